"""What is predicted, one file a task, imported only when asked for."""

from transferlm.catalog import lazily

__getattr__, __dir__ = lazily("tasks")
