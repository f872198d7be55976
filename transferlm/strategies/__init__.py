"""How a model becomes a task model, one file a strategy, imported only when asked for."""

from transferlm.catalog import lazily

__getattr__, __dir__ = lazily("strategies")
