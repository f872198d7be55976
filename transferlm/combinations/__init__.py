"""How several models become one, one file a method, imported only when asked for."""

from transferlm.catalog import lazily

__getattr__, __dir__ = lazily("combinations")
