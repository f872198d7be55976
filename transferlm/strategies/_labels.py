"""What strategies ask of labels before they learn."""

from __future__ import annotations

import numpy as np

from transferlm.errors import DataError
from transferlm.tasks.base import Examples

__all__ = ["refuse_empty_labels"]


def refuse_empty_labels(examples: Examples) -> None:
    """Refuse examples of classes or label sets where a label has no example; other tasks pass.

    Raises:
        DataError: A label of the task has no example.
    """
    match examples.task.output(examples.labels).link:
        case "softmax":
            counts = np.bincount(examples.targets, minlength=len(examples.labels))
        case "sigmoid":
            counts = examples.targets.sum(axis=0)
        case _:
            return
    if counts.min() == 0:
        empty = examples.labels[int(counts.argmin())]
        raise DataError(f"{examples.name}: label {empty!r} has no example to learn from")
