"""One cell of the benchmark of updates: a model that knows old text is updated on new text, and both are scored."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import Record
from shifts import Shift, count, cut, drawn

import transferlm as tl
from transferlm import catalog
from transferlm.measure.intervals import Interval, paired_gain
from transferlm.measure.peak_memory import PeakMemory

__all__ = ["FORGETTING", "GAIN", "Bench", "Judged", "Setup", "in_blocks", "made", "pretrained"]

GAIN, FORGETTING = 0.8, 0.2
"""What a method has to keep of plain further training's gain, and the most it may have of its forgetting."""
BLOCKS = 100
ALL = 10_000
"""More texts than any test part has."""
_MODEL = {"width": 192, "embedding_width": 128, "dropout": 0.1, "steps": 3000, "held_out": 0.0}


@dataclass(frozen=True)
class Setup:
    """How much is done.

    Attributes:
        tokens: New tokens of a shift.
        known: Tokens of old text, drawn from all of it, that methods may use.
        course: Settings of every method.
        model: Old texts -> the model before any update.
        tested: Old and new texts that are scored, at the most.
        pretrained_on: Old texts that it was trained on; None is all.
    """

    tokens: int
    known: int
    course: dict[str, Any]
    model: Callable[[Sequence[str]], Any]
    tested: tuple[int, int] = (ALL, ALL)
    pretrained_on: int | None = None


def pretrained(folder: Path, quick: bool, texts: Sequence[str]) -> Any:
    """The LSTM that knows these texts, trained once and kept in the folder (not committed)."""
    place = folder / tl.Corpus(texts).hash[:12]
    if not place.exists():
        tokenizer = tl.tokenizers.BytePair(vocabulary_size=400 if quick else 2000)
        settings = {**_MODEL, **({"steps": 20} if quick else {})}
        made = tl.pretrain(tl.models.Recurrent(tokenizer=tokenizer, **settings), texts)
        folder.mkdir(parents=True, exist_ok=True)
        made.save(place)
    return tl.load(place)


class Bench:
    """One shift: its texts, the model that knows the old one, and what is measured of it.

    Args:
        name: The shift.
        shift: Its texts.
        record: Where finished cells are kept.
        setup: How much is done.
    """

    def __init__(self, name: str, shift: Shift, record: Record, setup: Setup) -> None:
        self.name, self.record, self.setup = name, record, setup
        self.old = shift.old[: setup.pretrained_on]
        new_test = [text for part in shift.new_test for text in part]
        self.tests = shift.old_test[: setup.tested[0]], new_test[: setup.tested[1]]
        self._new = shift.new
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model before any update."""
        if self._model is None:
            self._model = self.setup.model(self.old)
        return self._model

    def updates(self) -> list[list[str]]:
        """The new texts of each update, all of them together within the limit."""
        limit = self.setup.tokens // len(self._new)
        return [cut(part, limit, self.model.tokenizer) for part in self._new]

    def known(self) -> list[str]:
        """The old texts that methods may use."""
        return drawn(self.old, self.setup.known, self.model.tokenizer)

    def before(self) -> dict[str, Any]:
        """What the model scores before any update."""
        found: dict[str, Any] = self.record.cell(f"{self.name} | before{self._tested}", lambda: self.scores(self.model))
        return found

    def cell(self, method: str, settings: dict[str, Any], seed: int) -> dict[str, Any]:
        """What the model scores after the updates, and what they cost."""
        amount = f"{self.setup.tokens:,} new and {self.setup.known:,} old tokens"
        key = f"{self.name} | {amount}{self._tested} | {method} {settings or ''} | seed {seed}"
        found: dict[str, Any] = self.record.cell(key, partial(self.measure, method, settings, seed))
        return found

    @property
    def _tested(self) -> str:
        """How many texts are scored, where not all are."""
        old, new = self.setup.tested
        return "" if max(old, new) == ALL else f", {old} old and {new} new texts scored"

    def measure(self, method: str, settings: dict[str, Any], seed: int) -> dict[str, Any]:
        """Update part by part, and score."""
        way = made(method, {**self.setup.course, **settings}, self.old, self.model)
        model, known = self.model, self.known()
        before, started = size(model), time.perf_counter()
        with PeakMemory() as memory:
            for part in self.updates():
                model = way.update(model, part, known, seed)
        spent = time.perf_counter() - started
        cost = {"seconds": spent, "peak_bytes": memory.bytes, "added_bytes": size(model) - before}
        return {**self.scores(model), **cost, "told": model.lineage.scores}

    def scores(self, model: Any) -> dict[str, list[float]]:
        """Bits per byte of old and new test texts, in blocks of texts that stand together: their means are the
        whole's.
        """
        return {kind: in_blocks(model, texts) for kind, texts in zip(("old", "new"), self.tests, strict=True)}


def made(method: str, settings: dict[str, Any], old: Sequence[str], model: Any) -> Any:
    """The update. By Bayes' rule new tokens are weighed against all that the model had learnt from."""
    known = {"old_tokens": count(old, model.tokenizer)} if method == "online_bayes" else {}
    return catalog.find("updates", method)(**{**settings, **known})


def in_blocks(model: Any, texts: list[str]) -> list[float]:
    """Bits of each of 100 blocks, over the bytes of a block on average."""
    bits = [-scores.log_probs.sum() / np.log(2) for scores in model.token_scores(texts)]
    size = sum(len(text.encode()) + 1 for text in texts)
    blocks = np.array_split(np.array(bits), min(BLOCKS, len(texts)))
    return [round(float(block.sum()) * len(blocks) / size, 5) for block in blocks]


def size(model: Any) -> int:
    """Bytes of a model's weights and of what is kept with it."""
    weights: int = sum(tensor.nbytes for tensor in {id(p): p for p in model.module.parameters()}.values())
    kept: int = sum(thing.nbytes for thing in model.kept.values())
    return weights + kept


class Judged:
    """A method beside plain further training on one shift.

    Args:
        rows: Its cells, a seed each.
        plain: Those of plain further training.
        before: The scores before any update.
    """

    def __init__(self, rows: list[dict[str, Any]], plain: list[dict[str, Any]], before: dict[str, Any]) -> None:
        self.rows = rows
        was = {kind: np.tile(before[kind], (len(rows), 1)) for kind in ("old", "new")}
        self._own = {kind: np.array([row[kind] for row in rows]) - was[kind] for kind in was}
        self._plain = {kind: np.array([row[kind] for row in plain]) - was[kind] for kind in was}
        nothing = np.zeros_like(was["old"]), np.zeros_like(was["new"])
        self.forgetting = paired_gain(self._own["old"], nothing[0])
        self.gain = paired_gain(nothing[1], self._own["new"])
        self.forgets = paired_gain(self._plain["old"], nothing[0]).low > 0
        """Whether plain further training is shown to forget: else there is nothing to spare."""

    @property
    def kept(self) -> float:
        """Its gain on new text, over that of plain further training."""
        return float(self._own["new"].mean() / self._plain["new"].mean())

    @property
    def forgot(self) -> float:
        """Its forgetting, over that of plain further training."""
        return float(self._own["old"].mean() / self._plain["old"].mean())

    def spare(self) -> tuple[Interval, Interval]:
        """By how much gain and forgetting are better than asked, in bits per byte."""
        gain = paired_gain(-self._own["new"], -GAIN * self._plain["new"])
        return gain, paired_gain(FORGETTING * self._plain["old"], self._own["old"])

    def verdict(self) -> str:
        """Whether both are met: `shown` where both intervals exclude 0, `met` where both means do it, else nothing."""
        if not self.forgets:
            return ""
        spare = self.spare()
        if all(part.low > 0 for part in spare):
            return "shown"
        return "met" if all(part.mean >= 0 for part in spare) else ""

    def line(self) -> str:
        """A row of the table."""
        parts = [f"{x.mean:+.3f} [{x.low:+.3f}, {x.high:+.3f}]" for x in (self.gain, self.forgetting)]
        seconds = np.mean([row["seconds"] for row in self.rows])
        peak, added = (max(row[name] for row in self.rows) / 1e6 for name in ("peak_bytes", "added_bytes"))
        forgot = f"{self.forgot:.0%}" if self.forgets else "-"
        shares = f"{self.kept:8.0%}{forgot:>8}"
        return f"{parts[0]:>26}{parts[1]:>26}{shares}{seconds:8.1f}{peak:8.0f}{added:7.1f}  {self.verdict()}"
