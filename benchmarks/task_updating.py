"""What each way of updating a task model with labels gains on examples of a new kind, and loses on the old kind.

    python benchmarks/task_updating.py --data DIR [--quick] [--seeds N] [--methods NAME,...]

MiniLM is fine-tuned on 1,000 examples of one kind, then updated with 500 of another: product reviews (CR), then films
(MR); the other way round; questions of six types (TREC), then questions of three of them alone. Methods that use old
examples have 200 of those that it learnt from. Each update takes three passes. Macro-F1 on the whole test part of
either kind before and after (a label that a part lacks counts 0 in it), 5 seeds (they draw the examples, too), 95%
intervals in which seeds and test examples are both random; seconds of learning and megabytes that the model grows by.
Where the forgetting of plain further training is shown (its interval excludes 0), some method has to keep 80% of its
gain with at most 20% of its forgetting; exit code 1 where none does. DIR holds `<set>-train.csv` and `<set>-test.csv`;
needs `transferlm fetch minilm`. Started models lie in `results/.task_updating` and serve reruns.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, Record

import transferlm as tl
from transferlm import catalog
from transferlm.measure.intervals import Interval, paired_gain

SEEDS, METRIC, PLAIN = 5, "macro_f1", "continued_pretraining"
SHIFTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("cr", "mr", ()),
    ("mr", "cr", ()),
    ("trec", "trec", ("DESC", "HUM", "NUM")),
)
"""What the model knows, what is new, and which labels alone the new examples have; none for all."""
METHODS = (
    PLAIN,
    "experience_replay",
    "elastic_weight_consolidation",
    "online_bayes",
    "distance_to_start",
    "distillation",
    "low_rank",
    "weight_interpolation",
)
KEPT, FORGOT = 0.8, 0.2
"""Share of plain training's gain that a method has to keep, and of its forgetting that it may show."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything there is."""

    first: int = 1000
    new: int = 500
    old: int = 200
    test: int | None = None
    settings: tuple[tuple[str, Any], ...] = (("epochs", 3),)
    start: tuple[tuple[str, Any], ...] = ()


QUICK = Sizes(32, 24, 16, 24, (("steps", 2), ("information_tokens", 8)), (("minimum_steps", 2), ("epochs", 1)))


class Bench:
    """One shift: the model before it, and what each method makes of it.

    Args:
        data: Where the files are.
        shift: One of `SHIFTS`.
        record: Finished cells.
        sizes: How much of everything.
    """

    def __init__(self, data: Path, shift: tuple[str, str, tuple[str, ...]], record: Record, sizes: Sizes) -> None:
        self.data, self.record, self.sizes = data, record, sizes
        self.known, self.new, self.labels = shift
        self.name = f"{self.known} to {self.new}" if not self.labels else f"{self.known} to {', '.join(self.labels)}"

    @cached_property
    def parts(self) -> dict[str, tuple[tl.Examples, tl.Examples]]:
        """The training and the test part of what is old and what is new."""
        task = tl.tasks.Classification()
        found: dict[str, tuple[tl.Examples, tl.Examples]] = {}
        for which, kind in (("old", self.known), ("new", self.new)):
            train = tl.read(self.data / f"{kind}-train.csv", task)
            test = tl.read(self.data / f"{kind}-test.csv", task, labels=train.labels)
            if which == "new" and self.labels:
                train, test = (self.chosen(part) for part in (train, test))
            found[which] = train, test.subset(np.arange(len(test))[: self.sizes.test])
        return found

    def chosen(self, examples: tl.Examples) -> tl.Examples:
        """Those of the shift's labels."""
        return examples.subset(np.flatnonzero(np.isin([examples.labels[t] for t in examples.targets], self.labels)))

    def drawn(self, which: str, seed: int, count: int) -> tl.Examples:
        """Training examples in an order that the seed decides, no new one among the old ones."""
        train, _ = self.parts[which]
        rows = np.random.default_rng(seed).permutation(len(train))
        if which == "new":
            taken = set(self.drawn("old", seed, self.sizes.first).strings)
            strings = train.strings
            rows = np.array([row for row in rows if strings[row] not in taken])
        return train.subset(rows[:count])

    def start(self, seed: int) -> tl.TaskModel:
        """The model before the update."""
        folder = self.record.path.with_name(f".{self.record.path.stem}") / f"{self.known}-{seed}"
        if not folder.exists():
            body = tl.load(tl.fetch("minilm"), max_length=96)
            strategy = tl.strategies.FineTuning(**dict(self.sizes.start))
            tl.transfer(body, self.drawn("old", seed, self.sizes.first), strategy, seed).save(folder)
        opened = tl.load(folder)
        assert isinstance(opened, tl.TaskModel)
        return opened

    def judged(self, model: tl.TaskModel) -> dict[str, list[float]]:
        """What each test example of either kind contributes to macro-F1."""
        found: dict[str, list[float]] = {}
        for which, (_, test) in self.parts.items():
            predictions = model.predict(test.texts, precision="fp32")
            rows = test.task.contributions(test.targets, predictions, test.labels)[METRIC]
            found[which] = [round(float(row), 6) for row in rows]
        return found

    def before(self, seed: int) -> Any:
        """The model as it was."""
        return self.record.cell(f"{self.name}, before, seed {seed}", lambda: self.judged(self.start(seed)))

    def after(self, method: str, seed: int) -> Any:
        """What a method made of it, and what that cost."""

        def measure() -> dict[str, Any]:
            known = {field.name for field in catalog.entry("updates", method).hyper_parameters}
            settings = {name: value for name, value in self.sizes.settings if name in known}
            way = catalog.find("updates", method)(**settings)
            old, examples = self.drawn("old", seed, self.sizes.old), self.drawn("new", seed, self.sizes.new)
            made, report = tl.update(self.start(seed), examples, way, old, None, seed)
            cost: Any = report.cost
            judged = self.judged(made)
            return {"parts": judged, "seconds": cost.seconds, "megabytes": cost.added_bytes / 1e6}

        return self.record.cell(f"{self.name}, {method}, seed {seed}", measure)


@dataclass(frozen=True)
class Row:
    """One method over all seeds."""

    method: str
    gain: Interval
    loss: Interval
    seconds: float
    megabytes: float

    @classmethod
    def of(cls, bench: Bench, method: str, seeds: range) -> Row:
        """Measure it, or take what was measured."""
        before, after = ([cell(seed) for seed in seeds] for cell in (bench.before, lambda s: bench.after(method, s)))

        def tables(which: str) -> tuple[np.ndarray, np.ndarray]:
            return np.array([cell["parts"][which] for cell in after]), np.array([cell[which] for cell in before])

        made, was = tables("old")
        return cls(
            method,
            paired_gain(*tables("new")),
            paired_gain(was, made),
            float(np.mean([cell["seconds"] for cell in after])),
            float(np.mean([cell["megabytes"] for cell in after])),
        )

    def __str__(self) -> str:
        gain, loss = (f"{i.mean:+7.1%} [{i.low:+.1%}, {i.high:+.1%}]" for i in (self.gain, self.loss))
        return f"  {self.method:30}{gain:>26}{loss:>26}{self.seconds:9.1f}{self.megabytes:8.1f}"


def told(bench: Bench, methods: list[str], seeds: range) -> tuple[str, bool]:
    """Print one shift; gives what meets the target there, and whether it is missed."""
    was = {which: np.mean([np.mean(bench.before(seed)[which]) for seed in seeds]) for which in ("old", "new")}
    scores = ", ".join(f"{which} {value:.1%}" for which, value in was.items())
    print(f"\n{bench.name}: macro-F1 before {scores}; {len(seeds)} seeds")
    print(f"  {'':30}{'gain on new':>26}{'loss on old':>26}{'s':>9}{'+MB':>8}")
    rows = []
    for method in methods:
        rows.append(Row.of(bench, method, seeds))
        print(rows[-1], flush=True)
    plain = rows[0]
    if plain.loss.low <= 0:
        return f"{bench.name}: no forgetting shown", False
    good = [
        row.method
        for row in rows[1:]
        if row.gain.mean >= KEPT * plain.gain.mean and row.loss.mean <= FORGOT * plain.loss.mean
    ]
    return f"{bench.name}: {', '.join(good) or 'none'}", not good


def main() -> int:
    """Print a table a shift and the headline; the exit code says whether the target was met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with <set>-train.csv and <set>-test.csv")
    parser.add_argument("--quick", action="store_true", help="1 shift, 2 seeds, two steps: the same code, no result")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many (5; intervals of fewer are weak)")
    parser.add_argument("--methods", help="only these beside plain further training, with commas between")
    arguments = parser.parse_args()
    quick, seeds = arguments.quick, range(2 if arguments.quick else arguments.seeds)
    record, sizes = Record("task_updating", quick), QUICK if quick else Sizes()
    methods = list(dict.fromkeys([PLAIN, *(arguments.methods.split(",") if arguments.methods else METHODS)]))
    RESULTS.mkdir(exist_ok=True)
    found = [
        told(Bench(arguments.data, shift, record, sizes), methods, seeds) for shift in SHIFTS[: 1 if quick else None]
    ]
    print(f"\n80% of plain training's gain with at most 20% of its forgetting: {'; '.join(line for line, _ in found)}")
    return 1 if any(missed for _, missed in found) and not quick else 0


if __name__ == "__main__":
    sys.exit(main())
