"""Many transfers side by side on the same draws: sources x strategies x label counts x seeds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from transferlm import catalog, storage
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.experiments.cells import Cell, CellStore, key_of
from transferlm.experiments.gains import BASELINE, UNTRAINED, Gain, gains
from transferlm.experiments.remembered import Remembered
from transferlm.experiments.verdict import Verdict, verdict
from transferlm.measure.peak_memory import PeakMemory
from transferlm.models.base import CountBased, Encoder, FromScratch, GradientTrained, Model, Trainable, require
from transferlm.progress import Progress, say
from transferlm.strategies.base import Strategy
from transferlm.task_model import ClassScores, TaskModel, body_of
from transferlm.tasks.base import Examples
from transferlm.text.duplicates import keep_first, leaks, near_duplicates
from transferlm.text.framing import Text, strings_of
from transferlm.text.splits import draw

__all__ = ["Comparison", "Plan", "compare"]


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        sizes: Label counts, examples a class; a class with fewer rows gives all it has, and that is reported.
        seeds: Number of seeds: each draws its own training examples, the same for every arm.
        baselines: Whether untrained twins and the TF-IDF baseline run beside the sources.
    """

    sizes: Sequence[int] = (8, 64)
    seeds: int = 5
    baselines: bool = True

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1:
            raise SettingError(f"sizes {list(self.sizes)}: give one or more label counts, each 1 or more")
        if self.seeds < 1:
            raise SettingError(f"seeds {self.seeds}: give 1 or more (5 for an interval that can be trusted)")


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes:
        cells: Every arm and seed.
        gains: Each arm against its untrained twin and against TF-IDF.
        verdict: The plain answer.
        facts: What a reader needs to repeat it: data, rows, seeds, versions, machine, what was capped or cut.
        targets: True class indices of the test examples.
        labels: Their names.
    """

    cells: list[Cell]
    gains: list[Gain]
    verdict: Verdict
    facts: dict[str, Any]
    targets: np.ndarray = field(repr=False)
    labels: tuple[str, ...] = ()

    def report(self, path: str | Path, title: str = "Did transfer pay?") -> None:
        """Write one self-contained HTML file with learning curves, tables and the verdict."""
        from transferlm.experiments.report import write_report

        write_report(
            path, title, self.cells, self.gains, self.verdict, self.facts, self.targets, class_count=len(self.labels)
        )

    def as_json(self) -> dict[str, Any]:
        """The document that `--json` prints."""
        from transferlm.experiments.report import result_json

        return result_json(self.cells, self.gains, self.verdict, self.facts)

    def show(self) -> None:
        """Print the table of scores and gains, and the verdict, on standard output."""
        import sys

        from rich.console import Console

        from transferlm.experiments.report import console_table

        console = Console(width=None if sys.stdout.isatty() else 160)
        console.print(console_table(self.cells, self.gains))
        console.print(str(self.verdict), highlight=False)

    def __str__(self) -> str:
        return str(self.verdict)


@dataclass(frozen=True)
class _Arm:
    """A source under a strategy."""

    source: str
    model: Model
    name: str
    strategy: Strategy
    from_scratch: bool = False


def compare(
    train: Examples,
    test: Examples,
    sources: Mapping[str, Model | TaskModel],
    strategies: Sequence[Strategy] | Mapping[str, Strategy],
    plan: Plan = Plan(),
    cells: str | Path | None = None,
) -> Comparison:
    """Measure whether transfer pays, by how much, and with which strategy.

    Training rows that repeat one another or stand, exactly or nearly, in the test part are left out first; the test
    part stays as it is and no choice ever looks at it. The few labels of a seed are part of its many.

    Args:
        train: Where training examples are drawn from.
        test: What every arm is tested on.
        sources: Name -> model; of a task model its body is used.
        strategies: Strategies, or name -> strategy where one is tried in several settings.
        plan: Label counts, seeds and baselines.
        cells: Folder where finished cells are kept; the same comparison started again goes on from them. Default: a
            folder named after the comparison in the user's cache.

    Raises:
        UnsupportedError: A source works with none of the strategies, or the task has no classes.
        DataError: Fewer examples than asked, or the parts' labels differ.
    """
    if train.strata is None:
        raise UnsupportedError(f"compare measures tasks with one label a text, not {catalog.name_of(train.task)}")
    if train.labels != test.labels:
        raise DataError(f"{test.name}: its labels are not the training part's: read it with labels=train.labels")
    pool, facts = _cleaned(train, test)
    arms = _arms({name: body_of(source) for name, source in sources.items()}, _named(strategies), plan.baselines)
    draws = _draws(pool, plan, facts)
    store = CellStore(cells if cells is not None else _default_folder(train, test))
    finished: list[Cell] = []
    total = len(arms) * len(plan.sizes) * plan.seeds
    with Progress("comparing", total, "cells") as progress:
        for arm in arms:
            for cell in _run(arm, pool, test, draws, store):
                finished.append(cell)
                progress.advance(note=f"{cell.source} with {cell.strategy}, {cell.labels} labels a class")
    found = gains(finished, test.targets, len(test.labels))
    facts |= _facts(pool, test, plan, arms, finished)
    return Comparison(finished, found, verdict(finished, found), facts, test.targets, test.labels)


def _named(strategies: Sequence[Strategy] | Mapping[str, Strategy]) -> dict[str, Strategy]:
    if isinstance(strategies, Mapping):
        return dict(strategies)
    named = {catalog.name_of(strategy): strategy for strategy in strategies}
    if len(named) < len(strategies):
        raise SettingError("one strategy stands there twice: give a mapping that names its variants apart")
    return named


def _arms(sources: Mapping[str, Model], strategies: Mapping[str, Strategy], baselines: bool) -> list[_Arm]:
    arms = []
    for source, model in sources.items():
        fitting = [name for name, strategy in strategies.items() if _works(model, strategy)]
        if not fitting:
            name, strategy = next(iter(strategies.items()))
            require(model, strategy.requires, name)
        for name in [n for n in strategies if n not in fitting]:
            say(f"{source} is left out of {name}, which a {model.family} model can't do")
        arms += [_Arm(source, model, name, strategies[name]) for name in fitting]
        twin = isinstance(model, FromScratch) and isinstance(model, GradientTrained | CountBased) and model.trained
        if baselines and twin:
            arms += [_Arm(source + UNTRAINED, model, name, strategies[name], from_scratch=True) for name in fitting]
    if baselines and BASELINE not in sources:
        name = "feature_extraction"
        baseline = catalog.find("models", BASELINE)()
        arms.append(_Arm(BASELINE, baseline, name, strategies.get(name) or catalog.find("strategies", name)()))
    return arms


def _works(model: Model, strategy: Strategy) -> bool:
    try:
        require(model, strategy.requires, "")
    except UnsupportedError:
        return False
    return True


def _cleaned(train: Examples, test: Examples) -> tuple[Examples, dict[str, Any]]:
    """The training rows without repeats and without rows of the test part, and what was left out."""
    kept = keep_first(near_duplicates(train.strings), len(train))
    leaking = {pair[0] for pair in leaks(train.strings, test.strings)}
    rows = np.array([row for row in kept if row not in leaking], dtype=np.int64)
    facts = {
        "training rows given": len(train),
        "left out as duplicates": len(train) - len(kept),
        "left out because they stand in the test part": len(kept) - len(rows),
    }
    if len(rows) < len(train):
        say(
            f"{train.name}: {len(train) - len(kept)} duplicates and"
            f" {len(kept) - len(rows)} rows of the test part left out"
        )
    return train.subset(rows), facts


def _draws(pool: Examples, plan: Plan, facts: dict[str, Any]) -> dict[tuple[int, int], np.ndarray]:
    """(size, seed) -> rows; caps are said once a size."""
    largest = int(np.bincount(pool.targets, minlength=len(pool.labels)).max())
    if max(plan.sizes) > largest:
        raise DataError(
            f"{pool.name}: {max(plan.sizes)} labels a class asked for, the largest class has {largest}: lower --sizes"
        )
    draws = {}
    for size in plan.sizes:
        for seed in range(plan.seeds):
            drawn = draw(pool.targets, size, seed)
            draws[size, seed] = drawn.rows
        capped = {pool.labels[label]: count for label, count in drawn.caps.items()}
        if capped:
            facts[f"classes with fewer than {size} rows, which give all they have"] = capped
            say(f"{size} labels a class: " + ", ".join(f"{name} has only {count}" for name, count in capped.items()))
    return draws


def _run(
    arm: _Arm, pool: Examples, test: Examples, draws: Mapping[tuple[int, int], np.ndarray], store: CellStore
) -> Iterator[Cell]:
    """The arm's cells, finished ones from the store; encodings are shared where the strategy freezes the model."""
    fingerprint = arm.model.fingerprint
    keys = {cell: _key(arm, fingerprint, pool, test, draws[cell], cell[1]) for cell in draws}
    found = {cell: store.get(key) for cell, key in keys.items()}
    shared: dict[int | None, Model] = {}
    for (size, seed), key in keys.items():
        cell = found[size, seed]
        if cell is None:
            group = seed if arm.from_scratch else None
            if group not in shared:
                shared.clear()
                drawn = [rows for place, rows in draws.items() if group in (None, place[1])]
                texts = [pool.texts[row] for rows in drawn for row in rows]
                shared[group] = _prepared(arm, [*texts, *test.texts], seed, pool.task.reads_whole)
            cell = _cell(arm, shared[group], pool.subset(draws[size, seed]), test, (size, seed))
            store.put(key, cell)
        yield cell


def _prepared(arm: _Arm, texts: Sequence[Text], seed: int, whole: bool) -> Model:
    """The model that cells start from: drawn anew for from scratch, remembering its encodings when frozen."""
    model = arm.model.untrained(seed) if arm.from_scratch and isinstance(arm.model, FromScratch) else arm.model
    learns = isinstance(model, Trainable) and not isinstance(model, GradientTrained)
    if arm.strategy.frozen and isinstance(model, Encoder) and not learns:
        return Remembered(model, [part for text in texts for part in strings_of(text)], whole)
    return model


def _cell(arm: _Arm, model: Model, examples: Examples, test: Examples, place: tuple[int, int]) -> Cell:
    size, seed = place
    before = model.seconds_saved if isinstance(model, Remembered) else 0.0
    started = time.perf_counter()
    with PeakMemory() as memory:
        made = arm.strategy.transfer(model, examples, seed)
        trained = time.perf_counter()
        scores = made.score(test)
    assert isinstance(scores, ClassScores)
    shared = model.seconds_saved - before if isinstance(model, Remembered) else 0.0
    finished = time.perf_counter()
    return Cell(
        source=arm.source,
        strategy=arm.name,
        labels=size,
        seed=seed,
        scores=scores.metrics,
        seconds=finished - started + shared,
        peak_bytes=memory.bytes,
        targets=test.hash,
        predicted=scores.predicted.astype(np.int32),
        correct=scores.predicted == test.targets,
        extras={
            "share_read": scores.share_read,
            "training_rows": len(examples),
            "training_hash": examples.hash,
            "training_seconds": trained - started,
        },
    )


def _key(arm: _Arm, fingerprint: str, pool: Examples, test: Examples, rows: np.ndarray, seed: int) -> str:
    return key_of(
        source=arm.source,
        model=fingerprint,
        from_scratch=arm.from_scratch,
        strategy=arm.name,
        method=catalog.name_of(arm.strategy),
        hyper_parameters=arm.strategy.hyper_parameters(),
        task=repr(pool.task),
        train=pool.subset(rows).hash,
        labels=list(pool.labels),
        test=test.hash,
        seed=seed,
        versions=storage.versions(),
    )


def _default_folder(train: Examples, test: Examples) -> Path:
    from transferlm.sources import cache_folder

    return cache_folder() / "cells" / key_of(train=train.hash, test=test.hash)[:16]


def _facts(pool: Examples, test: Examples, plan: Plan, arms: Sequence[_Arm], cells: Sequence[Cell]) -> dict[str, Any]:
    from transferlm.experiments.machine import machine

    read: dict[str, float] = {}
    for cell in cells:
        share = float(cell.extras["share_read"])
        if share < 1:
            read[cell.source] = min(share, read.get(cell.source, 1.0))
    return {
        "training part": f"{pool.name}, {len(pool):,} rows after cleaning, SHA-256 {pool.hash}",
        "test part": f"{test.name}, {len(test):,} rows, SHA-256 {test.hash}",
        "labels": ", ".join(test.labels),
        "label counts, examples a class": ", ".join(str(size) for size in plan.sizes),
        "seeds": ", ".join(str(seed) for seed in range(plan.seeds)),
        "strategies": {arm.name: str(arm.strategy.hyper_parameters()) for arm in arms},
        "share of each test text read": {name: f"{share:.1%}" for name, share in read.items()}
        or "all of it, by every source",
        "versions": storage.versions(),
        "machine": machine(),
    }
