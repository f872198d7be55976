"""The life of a language model: opened, pretrained, updated, transferred, combined, compressed, evaluated."""

from transferlm.lifecycle.adapting import (
    compiled,
    with_cache,
    with_dynamic_evaluation,
    with_posterior,
    without_adapters,
)
from transferlm.lifecycle.finding import find_learning_rate
from transferlm.lifecycle.learning import combine, compress, pretrain, read, transfer
from transferlm.lifecycle.opening import (
    empty,
    load,
    load_tasks,
    reading_of,
    sources_of,
    task_model,
    tasks_of,
    untrained,
    word_vectors,
)
from transferlm.lifecycle.updating import Updated, update
from transferlm.lifecycle.using import evaluate, export, generate, generate_pieces
from transferlm.measure.forgetting import Report
from transferlm.versions import rollback, versions_of

__all__ = [
    "Report",
    "Updated",
    "combine",
    "compiled",
    "compress",
    "empty",
    "evaluate",
    "export",
    "find_learning_rate",
    "generate",
    "generate_pieces",
    "load",
    "load_tasks",
    "pretrain",
    "read",
    "reading_of",
    "rollback",
    "sources_of",
    "task_model",
    "tasks_of",
    "transfer",
    "untrained",
    "versions_of",
    "update",
    "with_cache",
    "with_dynamic_evaluation",
    "with_posterior",
    "without_adapters",
    "word_vectors",
]
