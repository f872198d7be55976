"""Many transfers side by side on the same draws: sources x strategies x sizes x seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transferlm import catalog, storage
from transferlm.errors import DataError, SettingError
from transferlm.experiments.cell_store import CellStore, key_of
from transferlm.experiments.cells import Cell
from transferlm.experiments.gains import Gain, gains
from transferlm.experiments.pairings import Pairing, named, no_baseline, pairings
from transferlm.experiments.pools import cleaned, drawn
from transferlm.experiments.runs import run
from transferlm.experiments.verdict import Verdict, verdict
from transferlm.experiments.wording import sized, unit_of
from transferlm.models.base import Model
from transferlm.progress import Progress, say
from transferlm.strategies.base import Strategy
from transferlm.task_model import TaskModel, body_of
from transferlm.tasks.base import Examples

__all__ = ["Comparison", "Plan", "compare"]


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes:
        sizes: Labels a class; a class with fewer rows gives all it has, and that is reported. Where examples have no
            class of their own (several labels, numbers, entities, answers) all examples.
        seeds: Number of seeds: each draws its own training examples, the same for every arm.
        baselines: Whether untrained twins and the TF-IDF baseline run beside the sources.
    """

    sizes: Sequence[int] = (8, 64)
    seeds: int = 5
    baselines: bool = True

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1:
            raise SettingError(f"sizes {list(self.sizes)}: give one or more, each 1 or more")
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
    """

    cells: list[Cell]
    gains: list[Gain]
    verdict: Verdict
    facts: dict[str, Any]

    def report(self, path: str | Path, title: str = "Did transfer pay?") -> None:
        """Write one self-contained HTML file with learning curves, tables and the verdict."""
        from transferlm.experiments.report import write_report

        write_report(path, title, self.cells, self.gains, self.verdict, self.facts)

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


def compare(
    train: Examples,
    test: Examples,
    sources: Mapping[str, Model | TaskModel],
    strategies: Sequence[Strategy] | Mapping[str, Strategy],
    plan: Plan = Plan(),
    cells: str | Path | None = None,
) -> Comparison:
    """Measure whether transfer pays, by how much, and with which strategy.

    Every task is judged by its headline metric. Training rows that repeat one another or stand, exactly or nearly, in
    the test part are left out first; the test part stays as it is and no choice ever looks at it. The few labels of a
    seed are part of its many. Where the TF-IDF baseline can't do the task, the verdict says so.

    Args:
        train: Where training examples are drawn from.
        test: What every arm is tested on.
        sources: Name -> model; of a task model its body is used.
        strategies: Strategies, or name -> strategy where one is tried in several settings.
        plan: Sizes, seeds and baselines.
        cells: Folder where finished cells are kept; the same comparison started again goes on from them. Default: a
            folder named after the comparison in the user's cache.

    Raises:
        UnsupportedError: A source works with none of the strategies, or none of them can learn the task.
        DataError: Fewer examples than asked, fewer than two to test on, or the parts' labels differ.
    """
    if train.labels != test.labels:
        raise DataError(f"{test.name}: its labels are not the training part's: read it with labels=train.labels")
    if len(test) < 2:
        raise DataError(f"{test.name}: {len(test)} examples to test on: an interval needs two or more")
    bodies = {name: body_of(source) for name, source in sources.items()}
    pairs = pairings(train, bodies, named(strategies), plan.baselines)
    pool, facts = cleaned(train, test)
    draws = drawn(pool, tuple(plan.sizes), plan.seeds, facts)
    store = CellStore(cells if cells is not None else _default_folder(train, test))
    finished: list[Cell] = []
    with Progress("comparing", len(pairs) * len(draws), "cells") as progress:
        for pairing in pairs:
            for cell in run(pairing, pool, test, draws, store):
                finished.append(cell)
                progress.advance(note=f"{cell.arm.name}, {sized(cell.labels, cell.per_class)}")
    found = gains(finished)
    return Comparison(
        finished, found, _judged(finished, found, train, plan), facts | _facts(pool, test, plan, finished, pairs)
    )


def _judged(cells: list[Cell], found: list[Gain], train: Examples, plan: Plan) -> Verdict:
    """The verdict, with a note where the strong baseline is missing that the plan asked for."""
    answer, missing = verdict(cells, found), no_baseline(train) if plan.baselines else ""
    if not missing:
        return answer
    say(missing)
    return replace(answer, notes=(*answer.notes, missing))


def _default_folder(train: Examples, test: Examples) -> Path:
    from transferlm.sources import cache_folder

    return cache_folder() / "cells" / key_of(train=train.hash, test=test.hash)[:16]


def _facts(
    pool: Examples, test: Examples, plan: Plan, cells: Sequence[Cell], pairs: Sequence[Pairing]
) -> dict[str, Any]:
    from transferlm.experiments.machine import machine

    read: dict[str, float] = {}
    for cell in cells:
        share = float(cell.extras["share_read"])
        if share < 1:
            read[cell.source] = min(share, read.get(cell.source, 1.0))
    return {
        "training part": f"{pool.name}, {len(pool):,} rows after cleaning, SHA-256 {pool.hash}",
        "test part": f"{test.name}, {len(test):,} rows, SHA-256 {test.hash}",
        "task": f"{catalog.name_of(test.task)}, judged by {test.task.headline}",
        **({"labels": ", ".join(test.labels)} if test.labels else {}),
        f"sizes, {unit_of(test.strata is not None)}": ", ".join(str(size) for size in plan.sizes),
        "seeds": ", ".join(str(seed) for seed in range(plan.seeds)),
        "strategies": {pairing.name: str(pairing.strategy.hyper_parameters()) for pairing in pairs},
        "share of each test text read": {name: f"{share:.1%}" for name, share in read.items()}
        or "all of it, by every source",
        "versions": storage.versions(),
        "machine": machine(),
    }
