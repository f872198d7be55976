"""A linear model on the encodings of labelled examples, whatever made the encoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from transferlm.models._inputs import encoded, features_apart
from transferlm.models.base import Model
from transferlm.storage import Lineage
from transferlm.strategies._linear import Linear, Solver, scaled
from transferlm.strategies._solving import told
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["with_linear_head"]


def with_linear_head(
    model: Model,
    examples: Examples,
    seed: int,
    *,
    regularisation: float | None,
    folds: int,
    iterations: int,
    apart: bool = False,
) -> TaskModel:
    """Encode, scale, fit, and fold the scale into the weights.

    Args:
        model: An encoder.
        examples: Labelled texts.
        seed: Decides the folds.
        regularisation: Inverse strength C of the L2 penalty; None chooses it by cross-validated loss.
        folds: Folds of that cross-validation.
        iterations: Most iterations of the solver.
        apart: Whether the two texts of a pair are encoded each by itself.
    """
    encoding = (features_apart if apart else encoded)(model, examples.texts, examples.task.reads_whole)
    weights = examples.task.weights(examples.targets, examples.labels)
    link = examples.task.output(examples.labels).link
    solver = Solver(link, regularisation, folds, iterations, weights, seed)
    features, factor = scaled(encoding.features)
    found = solver.fit(features, examples.targets)
    scores, notes = told(encoding, found.iterations, iterations)
    head = (found.weights * factor).astype(np.float32), found.bias.astype(np.float32)
    task = _closed(examples, solver, features, found)
    return TaskModel(model, task, examples.labels, *head, Lineage(scores=scores, notes=notes), apart)


def _closed(examples: Examples, solver: Solver, features: Any, found: Linear) -> Any:
    """The task with what it leaves open fitted to scores of rows that were left out in turn."""
    if not examples.task.is_open(examples.targets):
        return examples.task
    scores = solver.left_out(features, examples.targets, found)
    return examples.task.fitted(examples.targets, scores, examples.texts, examples.labels)
