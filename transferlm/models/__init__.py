"""Language models, one file a family; `transferlm.models.Recurrent` imports its file only when asked for."""

from transferlm.catalog import lazily

__getattr__, __dir__ = lazily("models")
