"""What every strategy that trains by gradients shares: rows, head, loss, held-out part, checkpoint, task model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from transferlm import catalog
from transferlm.models.base import GradientTrained, Model, digest
from transferlm.neural.batching import by_length, collate, shuffled_by_length
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.embedding import only_rows
from transferlm.neural.heads import LinearHead, loss_of
from transferlm.neural.loop import Group, fit
from transferlm.neural.precision import Precision, autocast
from transferlm.outputs import Output
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.strategies._rows import Rows
from transferlm.strategies._settings import TrainingSettings
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["ANY_OUTPUT", "trained"]

ANY_OUTPUT = frozenset({"softmax a text", "sigmoid a text", "squared a text", "softmax a token", "span a token"})
"""What `trained` can learn: the outputs of every task."""


def _checkpoint(
    strategy: TrainingSettings, model: Model, examples: Examples, seed: int, folder: Path | None
) -> Checkpoint | None:
    """Where this very training keeps its state: the key is everything that decides how it goes."""
    if folder is None:
        return None
    settings = json.dumps(catalog.values_of(strategy), sort_keys=True)
    parts = (model.fingerprint, examples.hash, repr(examples.task), settings, str(seed))
    return Checkpoint(folder, digest(catalog.name_of(strategy), *parts))


def _new_head(body: GradientTrained, output: Output, dropout: float, seed: int) -> LinearHead:
    """A head for these scores on the body's device: it reads a text's vector, or each token's."""
    width = body.token_width if output.per == "token" else body.encoding_width  # type: ignore[attr-defined]
    return LinearHead(width, output, dropout, derive(seed, "head")).to(next(body.module.parameters()).device)


def trained(
    strategy: TrainingSettings,
    source: Model,
    body: Model,
    examples: Examples,
    seed: int,
    checkpoints: Path | None = None,
) -> TaskModel:
    """Train a body and a head on examples, and put them together with what is left to fit on the held-out part.

    Every layer and the head move at one rate.

    Args:
        strategy: Its hyper-parameters.
        source: The model that the body came from, which stays as it is.
        body: Trained in place: a copy of the source, prepared as the strategy wants it.
        examples: Labelled inputs of any task.
        seed: Decides held-out part, order, dropout and the head's first weights.
        checkpoints: Folder for the state, so that an interrupted run goes on; none keeps none.
    """
    assert isinstance(body, GradientTrained)
    train, held = examples.hold_out(strategy.held_out, seed)
    rows = Rows(body, examples, train)
    torch.manual_seed(derive(seed, "dropout"))
    head = _new_head(body, rows.output, strategy.dropout, seed)
    with only_rows(body.embedding, [np.array([body.pad_id]), *rows.ids]) as renamed:
        trial = _Trial(body, head, rows, renamed)
        places = rows.of(train)
        history = fit(
            nn.ModuleList([body.module, head]),
            lambda epoch: trial.batches(places, strategy.batch_size, derive(seed, "order", epoch)),
            trial.loss,
            strategy.settings(len(places)),
            groups=[Group([p for group in body.layer_groups() for p in group] + list(head.parameters()))],
            evaluate=(lambda: trial.mean_loss(rows.of(held), strategy.precision)) if len(held) else None,
            checkpoint=_checkpoint(strategy, source, examples, seed, checkpoints),
            description=catalog.name_of(strategy).replace("_", "-"),
        )
    scores = {"train_loss": history.losses[history.best if len(held) else -1]}
    if len(held):
        scores["held_out_loss"] = history.evaluations[history.best]
    scores["train_share_read"] = float(rows.read.mean())
    weights, bias = rows.scale.outward(*head.arrays())
    made = TaskModel(body, examples.task, examples.labels, weights, bias, Lineage(scores=scores), window=rows.window)
    if examples.task.is_open(examples.targets):
        _fit_task(made, examples.subset(held if len(held) else train), seen=not len(held))
    return made


def _fit_task(made: TaskModel, examples: Examples, seen: bool) -> None:
    """Fit what the task leaves open (a threshold) to these examples, in place."""
    scores, _ = made.scores(examples.texts)
    made.task = made.task.fitted(examples.targets, scores, examples.texts, made.labels)
    predictions = made.task.decode(scores, examples.texts, made.labels)
    made.lineage.notes += made.task.doubts(examples.targets, predictions)
    if seen:
        made.lineage.notes.append("no examples were held out: the task's threshold was fitted to those trained on")


class _Trial:
    """The rows as the loop wants them: batches of renamed token ids, and their loss."""

    def __init__(self, body: GradientTrained, head: LinearHead, rows: Rows, renamed: np.ndarray) -> None:
        self.body, self.head, self.rows = body, head, rows
        self.ids, self.pad_id = [renamed[ids] for ids in rows.ids], int(renamed[body.pad_id])
        self.device = next(head.parameters()).device
        self.lengths = np.array([len(row) for row in self.ids])
        self.weights = None if rows.weights is None else torch.tensor(rows.weights, dtype=torch.float32).to(self.device)
        self.per_text = None if rows.targets is None else torch.from_numpy(rows.targets).to(self.device)

    def batches(self, places: np.ndarray, batch_size: int, seed: int) -> list[np.ndarray]:
        order = shuffled_by_length(self.lengths[places], batch_size, np.random.default_rng(seed))
        return [places[batch] for batch in order]

    def loss(self, places: np.ndarray) -> torch.Tensor:
        batch = collate(self.ids, places, self.pad_id, self.device, self.rows.types)
        output = self.rows.output
        if self.per_text is not None:
            scores = self.head(self.body.text_states(batch))
            return loss_of(output, scores, self.per_text[torch.from_numpy(places).to(self.device)], self.weights)
        scores = self.head(self.body.token_states(batch))
        if output.link == "span":
            possible = torch.from_numpy(self.rows.possible(places, scores.shape[1])).to(self.device)
            scores = scores.masked_fill(~possible.unsqueeze(-1), -torch.inf)
        targets = torch.from_numpy(self.rows.token_targets(places, scores.shape[1])).to(self.device)
        return loss_of(output, scores, targets, self.weights)

    def mean_loss(self, places: np.ndarray, precision: Precision) -> float:
        """The mean over rows, or over labelled tokens where there is one score vector a token."""
        total, counts = 0.0, self.rows.counts
        for batch in by_length(self.lengths[places]):
            chosen = places[batch]
            with autocast(self.device, precision):
                total += float(self.loss(chosen)) * int(counts[chosen].sum())
        return total / max(1, int(counts[places].sum()))
