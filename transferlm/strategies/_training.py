"""What every strategy that trains by gradients shares: rows, head, held-out part, checkpoints, task model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from transferlm import catalog
from transferlm.labelled.rows import Rows
from transferlm.labelled.trial import Trial
from transferlm.models.base import Encoder, GradientTrained, Model, digest
from transferlm.neural.checkpoint import Checkpoint
from transferlm.neural.embedding import only_rows
from transferlm.neural.freezing import only
from transferlm.neural.heads import LinearHead
from transferlm.neural.loop import Group, History, Settings, fit
from transferlm.outputs import Output
from transferlm.seeding import derive
from transferlm.storage import Lineage
from transferlm.strategies._settings import TrainingSettings
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel
from transferlm.tasks.base import Examples

__all__ = ["ANY_OUTPUT", "Tuned", "Tuning"]

ANY_OUTPUT = frozenset({"softmax a text", "sigmoid a text", "squared a text", "softmax a token", "span a token"})
"""What can be learnt by gradients: the outputs of every task."""


@dataclass(frozen=True)
class Tuned(TrainingSettings, Strategy):
    """A strategy that trains a copy of the model and a head by gradients; each says in `tune` what moves, and how.

    The weights with the lowest loss on a held-out part are kept.
    """

    requires: ClassVar[tuple[type, ...]] = (Encoder, GradientTrained)
    learns: ClassVar[frozenset[str]] = ANY_OUTPUT
    frozen: ClassVar[bool] = False

    def learn(self, model: Model, examples: Examples, seed: int, checkpoints: Path | None = None) -> TaskModel:
        """Train a copy of the model; its embedding table moves only in the rows that the examples use."""
        with self.prepared(model.copy(), seed) as body:
            tuning = Tuning(self, model, body, examples, seed, checkpoints)
            with tuning.opened():
                self.tune(tuning)
        return tuning.made()

    @contextmanager
    def prepared(self, body: Model, seed: int) -> Iterator[Model]:  # noqa: ARG002
        """The copy as it is trained: within the block it may be built otherwise than before and after it."""
        yield body

    def tune(self, tuning: Tuning) -> None:
        """Train; as it stands every layer and the head together, at one rate."""
        tuning.fit()


class Tuning:
    """A body and a new head on labelled examples, and what their training left.

    Args:
        strategy: Its hyper-parameters.
        source: The model that the body came from, which stays as it is.
        body: Trained in place: a copy of the source, prepared as the strategy wants it.
        examples: Labelled inputs of any task.
        seed: Decides held-out part, order, dropout and the head's first weights.
        checkpoints: Folder for the state, so that an interrupted run goes on; none keeps none.
    """

    trial: Trial

    def __init__(
        self,
        strategy: TrainingSettings,
        source: Model,
        body: Model,
        examples: Examples,
        seed: int,
        checkpoints: Path | None = None,
    ) -> None:
        assert isinstance(body, GradientTrained)
        self.strategy, self.source, self.body, self.examples, self.seed = strategy, source, body, examples, seed
        train, self.held = examples.hold_out(strategy.held_out, seed)
        self.rows = Rows(body, examples, train)
        self.train = self.rows.of(train)
        self.head = _new_head(body, self.rows.output, strategy.dropout, seed)
        self.folder = checkpoints
        settings = json.dumps(catalog.values_of(strategy), sort_keys=True)
        self.key = digest(
            catalog.name_of(strategy), source.fingerprint, examples.hash, repr(examples.task), settings, str(seed)
        )
        self.history = History()
        self.notes: list[str] = []

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Within the block the embedding table holds the rows in use, and the layers are those that `fit` moves."""
        with only_rows(self.body.embedding, [np.array([self.body.pad_id]), *self.rows.ids]) as renamed:
            self.used, self.vocabulary = np.flatnonzero(renamed >= 0), len(renamed)
            self.trial = Trial(self.body, self.head, self.rows, renamed, self.strategy.precision)
            yield

    @property
    def layers(self) -> list[list[nn.Parameter]]:
        """The body's parameters, from the embeddings up."""
        return self.trial.layers

    def named_layers(self) -> list[tuple[str, nn.Parameter]]:
        """The same parameters with their names in the module."""
        inside = {id(p) for layer in self.layers for p in layer}
        return [(name, p) for name, p in self.body.module.named_parameters() if id(p) in inside]

    def settings(self, strategy: TrainingSettings | None = None) -> Settings:
        """How the strategy (or another one's hyper-parameters) trains on so many rows."""
        return (strategy or self.strategy).settings(len(self.train))

    def fit(
        self,
        groups: Sequence[Group] | None = None,
        settings: Settings | None = None,
        *,
        frozen: Callable[[int], int] = lambda _: 0,
        memory: float = 0.0,
        draw_back: Callable[[Sequence[torch.Tensor], float], None] | None = None,
        part: str = "",
    ) -> None:
        """Train on the training part, and leave the weights that are best on the held-out part.

        Args:
            groups: What moves, with factors on the rate; none is every layer and the head at one rate.
            settings: How; none takes the strategy's.
            frozen: Epoch -> groups of layers, from the embeddings up, that stand still in it. Their states are computed
                once and kept (`FrozenStates`).
            memory: GiB that those states may take.
            draw_back: As in `neural.loop.fit`, in the order of `groups`.
            part: Name of this training where a strategy has several.
        """
        settings = settings or self.settings()
        groups = groups or [Group([p for layer in self.layers for p in layer] + list(self.head.parameters()))]
        moving = [p for group in groups for p in group.parameters]
        trained = nn.ModuleList([self.body.module, self.head])
        size, held = self.strategy.batch_size, self.rows.of(self.held)
        self.trial.frozen_states.keep({frozen(epoch) for epoch in range(settings.epochs)}, memory * 2**30)
        torch.manual_seed(derive(self.seed, "dropout", *[part] * bool(part)))
        with only(trained, moving):
            self.trial.move(moving)
            self.history = fit(
                trained,
                lambda epoch: self.trial.batches(self.train, size, derive(self.seed, "order", epoch), frozen(epoch)),
                self.trial.loss,
                settings,
                groups=groups,
                draw_back=draw_back,
                evaluate=(lambda: self.trial.mean_loss(held)) if len(held) else None,
                checkpoint=self._checkpoint(part),
                description=catalog.name_of(self.strategy).replace("_", "-") + f" ({part})" * bool(part),
            )
            self.trial.move(moving)

    def made(self) -> TaskModel:
        """Body and head as a task model, with what the task leaves open fitted to the held-out part."""
        held, scores = self.held, self.scores()
        weights, bias = self.rows.scale.outward(*self.head.arrays())
        lineage = Lineage(scores=scores, notes=self.notes)
        made = TaskModel(
            self.body,
            self.examples.task,
            self.examples.labels,
            weights,
            bias,
            lineage,
            window=self.rows.window,
        )
        if self.examples.task.is_open(self.examples.targets):
            _fit_task(made, self.examples.subset(held) if len(held) else self.examples, seen=not len(held))
        return made

    def scores(self) -> dict[str, float]:
        """What the training left: the losses of the weights kept, and the share of the texts that was read."""
        history, held = self.history, self.held
        scores = {"train_loss": history.losses[history.best if len(held) else -1]} if history.losses else {}
        if len(held) and history.evaluations:
            scores["held_out_loss"] = history.evaluations[history.best]
        return {**scores, "train_share_read": float(self.rows.read.mean())}

    def _checkpoint(self, part: str) -> Checkpoint | None:
        """Where this very training keeps its state: the key is everything that decides how it goes."""
        if self.folder is None:
            return None
        return Checkpoint(self.folder / part, digest(self.key, part) if part else self.key)


def _new_head(body: GradientTrained, output: Output, dropout: float, seed: int) -> LinearHead:
    """A head for these scores on the body's device: it reads a text's vector, or each token's."""
    width = body.token_width if output.per == "token" else body.encoding_width  # type: ignore[attr-defined]
    return LinearHead(width, output, dropout, derive(seed, "head")).to(next(body.module.parameters()).device)


def _fit_task(made: TaskModel, examples: Examples, seen: bool) -> None:
    """Fit what the task leaves open (a threshold) to these examples, in place."""
    scores, _ = made.scores(examples.texts)
    made.task = made.task.fitted(examples.targets, scores, examples.texts, made.labels)
    predictions = made.task.decode(scores, examples.texts, made.labels)
    made.lineage.notes += made.task.doubts(examples.targets, predictions)
    if seen:
        made.lineage.notes.append("no examples were held out: the task's threshold was fitted to those trained on")
