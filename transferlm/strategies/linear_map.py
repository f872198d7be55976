"""Move the model's vectors by a residual linear map, learnt together with the head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse

from transferlm.errors import SettingError, UnsupportedError
from transferlm.models._inputs import encoded
from transferlm.models.base import Encoder, Model
from transferlm.models.mapped import Mapped
from transferlm.storage import Lineage
from transferlm.strategies._labels import refuse_empty_labels
from transferlm.strategies._linear import scaled
from transferlm.strategies._residual_map import MapSolver
from transferlm.strategies._solving import check_solver, ready, told
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["LinearMap"]

_DENSE = 1 << 28
"""Numbers that sparse features may become: 1 GiB."""


@dataclass(frozen=True)
class LinearMap(Strategy):
    """A frozen body, its vectors w mapped to w + T w, and a linear head on these: T and head are learnt together.

    The penalty |T|^2 pulls the map towards 0, where this is `feature_extraction`. T stretches the directions that tell
    the labels apart, as many as there are scores at the most, and leaves the others as they were. Convex, so the
    result depends on the data and on nothing else (`strategies/_residual_map.py` says why). With two classes, or a
    number, no map can do more for this task than another strength would; what it is for is the next one: the task
    model's body is the mapped encoder, and a `transfer` from it needs fewer labels where the tasks are akin
    (`benchmarks/source_tasks.py`).
    """

    regularisation: float | None = None
    """Inverse strength C of the head's L2 penalty; none chooses it by cross-validated loss."""
    looseness: float = 1.0
    """Inverse strength of the map's penalty, as a multiple of C: 1 has one weight decay for both, 0 no map."""
    folds: int = 5
    """Folds of that cross-validation, fewer where a class has fewer rows."""
    steps: int = 1000
    """Most iterations of the solver."""

    requires: ClassVar[tuple[type, ...]] = (Encoder,)
    learns: ClassVar[frozenset[str]] = frozenset({"softmax a text", "sigmoid a text", "squared a text"})
    frozen: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_solver(self)
        if not 0 <= self.looseness < math.inf:
            raise SettingError(f"looseness {self.looseness}: give 0 (no map) or a number above it")

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:  # noqa: ARG002
        """Encode, scale, fit, and put the map behind the encoder.

        Raises:
            DataError: A label of the task has no example.
            UnsupportedError: The inputs are pairs and the model reads single texts, or its sparse vectors are too many
                and too long to become dense.
        """
        refuse_empty_labels(examples)
        model = ready(model, examples, seed)
        encoding = encoded(model, examples.texts, examples.task.reads_whole)
        _refuse_too_large(model, encoding.features)
        features, factor = scaled(encoding.features)
        link, weights = (
            examples.task.output(examples.labels).link,
            examples.task.weights(examples.targets, examples.labels),
        )
        solver = MapSolver(link, self.regularisation, self.looseness, self.folds, self.steps, weights, seed)
        found = solver.fit(features, examples.targets)
        scores, notes = told(encoding, found.iterations, self.steps)
        scores |= {"regularisation": found.regularisation, "longest stretch": 1 + float(found.stretch.max(initial=0.0))}
        task = examples.task
        if task.is_open(examples.targets):
            left_out = solver.at(found.regularisation).left_out(features, examples.targets)
            task = task.fitted(examples.targets, left_out, examples.texts, examples.labels)
        body = Mapped.of(model, found.directions, found.stretch)
        head, bias = (found.weights * factor).astype(np.float32), found.bias.astype(np.float32)
        return TaskModel(body, task, examples.labels, head, bias, Lineage(scores=scores, notes=notes))


def _refuse_too_large(model: Model, features: Any) -> None:
    """Refuse sparse features that would not fit in memory once the map has made them dense."""
    rows, columns = features.shape
    if issparse(features) and rows * columns > _DENSE:
        raise UnsupportedError(
            f"a linear map makes the sparse vectors of {model.family} dense, and {rows:,} x {columns:,} numbers are too"
            " many: choose feature_extraction, or a smaller vocabulary_size"
        )
