"""A model kept current over dated text: score each period first, then learn it (prequential; Dawid 1984)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from transferlm import catalog, storage
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.experiments.cell_store import key_of
from transferlm.experiments.machine import machine
from transferlm.experiments.stream_result import Stream
from transferlm.experiments.stream_state import State
from transferlm.measure.cost import Cost, Meter
from transferlm.measure.drift import Alarm, Drift
from transferlm.measure.held_out import HeldOut, held_out
from transferlm.measure.text_scores import TextScores, score_texts
from transferlm.models.base import Causal, Model, able, require
from transferlm.progress import Progress, say
from transferlm.seeding import derive
from transferlm.task_model import TaskModel, body_of
from transferlm.text.corpus import Corpus
from transferlm.text.dated import Period
from transferlm.updates.base import Update

__all__ = ["stream"]

Given = Sequence[Period] | Mapping[str, Corpus | Iterable[str]]


def stream(
    model: Model | TaskModel,
    periods: Given,
    method: Update,
    old: Corpus | Iterable[str] | None = None,
    *,
    share: float = 0.1,
    delta: float = 0.002,
    seed: int = 0,
    checkpoints: str | Path | None = None,
) -> Stream:
    """Update a model period by period and measure it at every step, beside the same model left as it is.

    Of each period a share is held out, never learnt by any update, and scored after each; all its texts are scored
    before the period is learnt. Methods that rehearse old text get the old text given and what was learnt of earlier
    periods.

    Args:
        model: A causal model that has seen text (an n-gram model, an LSTM, a Transformer); it is left as it was.
        periods: Two or more periods in their order, as `read_periods` gives them, or names and texts.
        method: How each period is learnt.
        old: Texts of the kind that the model knew before: a part is scored after every update, the rest may be
            rehearsed.
        share: Share of each period that is held out, a thousand texts at the most.
        delta: Chance of a false drift alarm at each check of a text (`measure.drift`).
        seed: Decides every random choice.
        checkpoints: Folder for what is finished: a stream that was killed goes on there, to the same figures.

    Raises:
        UnsupportedError: The model gives texts no probabilities, or 0; or the method does not suit it.
        DataError: Fewer than two periods, or one that is too small to hold a part out of.
        SettingError: A share or chance that is none.
    """
    body = body_of(model)
    require(body, (Causal, *method.requires), catalog.name_of(method))
    if method.unlearns:
        raise SettingError("a stream learns: take a method, or a setting, that does not take text away")
    parts = _Parts.of(_named(periods), None if old is None else Corpus.of(old), share, seed)
    facts = _facts(body, parts, method, share, seed)
    with ExitStack() as stack:
        folder = checkpoints or stack.enter_context(tempfile.TemporaryDirectory(prefix="transferlm-stream-"))
        kept = {name: thing.hash for name, thing in body.kept.items()}
        state = State(Path(folder), key_of(kept=kept, old=parts.old_hash, **facts))
        return _Run(body, parts, method, seed, state, Drift(delta)).result({**facts, "machine": machine()})


@dataclass(frozen=True)
class _Parts:
    """Each period whole, what is learnt of it, and what is held out; the same of the old text."""

    names: tuple[str, ...]
    whole: tuple[Corpus, ...]
    held: tuple[HeldOut, ...]
    old: HeldOut | None
    old_hash: str

    @classmethod
    def of(cls, periods: Mapping[str, Corpus], old: Corpus | None, share: float, seed: int) -> _Parts:
        if len(periods) < 2:
            raise DataError(f"a stream needs two periods or more, not {len(periods)}")
        found = [held_out(corpus, derive(seed, "stream", name), share) for name, corpus in periods.items()]
        past = [] if old is None else [held_out(old, seed)]
        fresh = _without_learnt([*found, *past])
        for name, part in zip(periods, fresh, strict=False):
            if not part.texts:
                raise DataError(f"{name}: no text can be held out that is learnt nowhere: cut by longer periods")
        if past and not fresh[-1].texts:
            raise DataError(f"{past[0].name}: no old text can be held out that is learnt nowhere: give more")
        count = len(periods)
        known = fresh[count] if past else None
        return cls(
            tuple(periods), tuple(periods.values()), tuple(fresh[:count]), known, "" if old is None else old.hash
        )

    def rehearsed(self, updates: int) -> Corpus | None:
        """The text that may be rehearsed after so many updates."""
        known = [] if self.old is None else [self.old.train]
        known += [part.train for part in self.held[:updates]]
        return Corpus(*known) if known else None


class _Run:
    """The stream itself: what was found before is read, the rest is found and kept."""

    def __init__(self, frozen: Model, parts: _Parts, method: Update, seed: int, state: State, drift: Drift) -> None:
        self._frozen, self._parts, self._method, self._seed = frozen, parts, method, seed
        self._state, self._drift = state, drift
        self._latest = (0, frozen)
        self._vocabulary = _vocabulary(frozen)

    def result(self, facts: Mapping[str, Any]) -> Stream:
        """All of it, one period after the other."""
        count = len(self._parts.names)
        columns, served, frozen, alarms, costs = [], [], [], [], []
        with Progress("streaming", count, "periods") as progress:
            for number, name in enumerate(self._parts.names):
                figures = self._state.found(f"scores-{number:04}", partial(self._scores, number))
                columns.append(figures)
                served.append(_read(figures["served"]))
                frozen.append(_read(figures["frozen"]))
                alarms += self._alarms(name, served[-1])
                cost = self._state.found(f"cost-{number:04}", partial(self._learn, number))
                costs.append(Cost.of(cost))
                progress.advance(note=f"{name}: {served[-1].mean:.3f}, frozen {frozen[-1].mean:.3f} {served[-1].unit}")
            columns.append(self._state.found(f"scores-{count:04}", partial(self._scores, count)))
        matrix = np.array([column["periods"] for column in columns]).T
        old = None if self._parts.old is None else np.array([column["old"] for column in columns])
        scores = (served[0].unit, matrix, old, tuple(served), tuple(frozen))
        return Stream(self._parts.names, *scores, tuple(alarms), tuple(costs), self._model(count), facts)

    def _scores(self, updates: int) -> dict[str, Any]:
        """Every held-out part after so many updates, and the next period's texts before they are learnt."""
        model = self._model(updates)
        found: dict[str, Any] = {
            "periods": [
                self._of(model, part.texts, name).mean
                for name, part in zip(self._parts.names, self._parts.held, strict=True)
            ],
            "old": None if self._parts.old is None else self._of(model, self._parts.old.texts, "old text").mean,
        }
        if updates < len(self._parts.names):
            texts, name = self._parts.whole[updates], self._parts.names[updates]
            served = self._of(model, texts, name)
            frozen = served if model is self._frozen else self._of(self._frozen, texts, name)
            found |= {"served": _written(served), "frozen": _written(frozen)}
        return found

    def _of(self, model: Model, texts: Iterable[str], name: str) -> TextScores:
        if _vocabulary(model) != self._vocabulary:
            raise UnsupportedError(
                "the vocabulary is closed and an update has changed it, so that scores before and after are not of the"
                " same tokens: take a model that spells unknown words (open_vocabulary, or a byte_pair tokenizer)"
            )
        return score_texts(able(model, Causal, "stream"), texts, name)

    def _learn(self, updates: int) -> dict[str, Any]:
        """The update that follows so many others: its model is kept, and what it cost is given."""
        model, part = self._model(updates), self._parts.held[updates].train
        seed = derive(self._seed, "stream update", updates)
        meter = Meter()
        with meter:
            old = self._parts.rehearsed(updates)
            made = self._method.update(model, part, old, seed, self._state.training(updates))
        self._state.keep(made, updates + 1)
        self._latest = (updates + 1, made)
        if updates:
            self._state.forget(updates - 1)
        return meter.cost(model, made).as_json()

    def _model(self, updates: int) -> Model:
        if not updates:
            return self._frozen
        if self._latest[0] != updates:
            self._latest = (updates, self._state.model(updates))
        return self._latest[1]

    def _alarms(self, name: str, scores: TextScores) -> list[Alarm]:
        alarms = self._drift.watch(name, scores.each)
        for alarm in alarms:
            say(f"drift alarm: {alarm}")
        return alarms


def _named(periods: Given) -> dict[str, Corpus]:
    if isinstance(periods, Mapping):
        return {name: Corpus.of(texts) for name, texts in periods.items()}
    return {period.name: period.corpus for period in periods}


def _without_learnt(parts: Sequence[HeldOut]) -> list[HeldOut]:
    """The same without held-out texts that stand, word for word, in what any part learns."""
    held = {text for part in parts for text in part.texts}
    for part in parts:
        held.difference_update([text for text in part.train if text in held])
    return [HeldOut(part.name, part.train, tuple(text for text in part.texts if text in held)) for part in parts]


def _facts(model: Model, parts: _Parts, method: Update, share: float, seed: int) -> dict[str, Any]:
    return {
        "model": {"family": model.family, "fingerprint": model.fingerprint},
        "method": {"name": catalog.name_of(method), **method.hyper_parameters()},
        "periods": {
            name: {"texts": corpus.survey().texts, "held out": len(part.texts), "hash": corpus.hash}
            for name, corpus, part in zip(parts.names, parts.whole, parts.held, strict=True)
        },
        "share held out": share,
        "seed": seed,
        "versions": storage.versions(),
    }


def _vocabulary(model: Model) -> str:
    vocabulary = able(model, Causal, "stream").vocabulary
    return vocabulary.hash if vocabulary.closed else ""


def _written(scores: TextScores) -> dict[str, Any]:
    return {
        "costs": scores.costs.tolist(),
        "sizes": scores.sizes.tolist(),
        "unit": scores.unit,
        "vocabulary": scores.vocabulary,
    }


def _read(told: Mapping[str, Any]) -> TextScores:
    costs, sizes = np.array(told["costs"]), np.array(told["sizes"], dtype=np.int64)
    return TextScores(costs, sizes, told["unit"], told["vocabulary"])
