"""How a model learns from new text without labels, one file an update, imported only when asked for."""

from transferlm.catalog import lazily

__getattr__, __dir__ = lazily("updates")
