"""Text to tokens, one file a tokenizer, imported only when asked for."""

from transferlm.catalog import lazily

__getattr__, __dir__ = lazily("tokenizers")
