"""What each way of updating keeps of the old text, and what it learns of the new: four shifts of real text.

    python benchmarks/updating.py --data DIR [--quick] [--development] [--methods NAME,...]

A small LSTM over byte pairs is trained once on old text, then updated on at most 300,000 tokens of new text, two passes
in steps of 2,048 tokens: Treebank news, then Wikipedia; addresses of 1790 to 1900, then of 1950 to 2021; headlines,
then later ones in four updates; English news, then Chinese Wikipedia. Methods that use old text have 1,000 texts drawn
from it, no more. Strengths were chosen on `--development`, a shift and a seed that the table doesn't hold. Bits per
byte of test texts before and after, 5 seeds, 95% intervals in which seeds and test texts are both random. Where the
forgetting of plain further training is shown (its interval excludes 0), some method has to keep 80% of its gain on new
text with at most 20% of its forgetting; exit code 1 where none does. DIR holds `ptb/`, `wikitext2/`, `streams/`, `qa/`
and for the development shift `classification/`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, Record
from shifts import DEVELOPMENT, SHIFTS, Shift, count, cut

import transferlm as tl
from transferlm.experiments.peak_memory import PeakMemory
from transferlm.measure.intervals import Interval, paired_gain

TOKENS, KNOWN, BLOCKS, SEEDS = 300_000, 1_000, 100, 5
PLAIN = "continued_pretraining"
GAIN, FORGETTING = 0.8, 0.2
MODEL = {"width": 192, "embedding_width": 128, "dropout": 0.1, "steps": 3000, "held_out": 0.0}
COURSE = {"epochs": 2}
METHODS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "experience_replay": {},
    "elastic_weight_consolidation": {},
    "online_bayes": {},
    "distance_to_start": {},
    "distillation": {},
    "low_rank": {},
    "weight_interpolation": {},
}


class Bench:
    """One shift: its texts, the model that knows the old one, and what is measured of it.

    Args:
        name: The shift.
        shift: Its texts.
        record: Where finished cells are kept.
        quick: Little of everything.
    """

    def __init__(self, name: str, shift: Shift, record: Record, quick: bool) -> None:
        self.name, self.record, self.quick = name, record, quick
        self.old, self.tests = shift.old, (shift.old_test, [t for part in shift.new_test for t in part])
        if quick:
            self.old, self.tests = self.old[:300], (self.tests[0][:20], self.tests[1][:20])
        self._new = shift.new
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model before any update, trained once and kept beside the results (not committed)."""
        if self._model is None:
            folder = RESULTS / f".updating{'-quick' if self.quick else ''}" / self.name.replace(" ", "-")
            if not folder.exists():
                settings = {**MODEL, **({"steps": 20} if self.quick else {})}
                tokenizer = tl.tokenizers.BytePair(vocabulary_size=400 if self.quick else 2000)
                made = tl.pretrain(tl.models.Recurrent(tokenizer=tokenizer, **settings), self.old)
                folder.parent.mkdir(parents=True, exist_ok=True)
                made.save(folder)
            self._model = tl.load(folder)
        return self._model

    def updates(self) -> list[list[str]]:
        """The new texts of each update, all of them together within the limit."""
        limit = (4_000 if self.quick else TOKENS) // len(self._new)
        return [cut(part, limit, self.model.tokenizer) for part in self._new]

    def known(self) -> list[str]:
        """The old texts that methods may use."""
        chosen = np.random.default_rng(0).choice(len(self.old), min(KNOWN, len(self.old)), replace=False)
        return [self.old[place] for place in np.sort(chosen)]

    def before(self) -> dict[str, Any]:
        """What the model scores before any update."""
        return self.record.cell(f"{self.name} | before", lambda: self.scores(self.model))

    def cell(self, method: str, seed: int) -> dict[str, Any]:
        """What the model scores after the updates, and what they cost."""
        settings = METHODS[method]
        key = f"{self.name} | {method} {settings or ''} | seed {seed}".replace(" {}", "")
        return self.record.cell(key, partial(self.measure, method, settings, seed))

    def measure(self, method: str, settings: dict[str, Any], seed: int) -> dict[str, Any]:
        """Update part by part, and score."""
        if method == "online_bayes":  # Bayes' rule weighs the new tokens against all that were learnt from
            settings = {**settings, "old_tokens": count(self.old, self.model.tokenizer)}
        way = tl.catalog.find("updates", method)(**{**COURSE, **settings})
        model, known = self.model, self.known()
        before, started = size(model), time.perf_counter()
        with PeakMemory() as memory:
            for place, part in enumerate(self.updates()):
                model = way.update(model, part, known if place == 0 or not model.kept else None, seed)
        spent = time.perf_counter() - started
        cost = {"seconds": spent, "peak_bytes": memory.bytes, "added_bytes": size(model) - before}
        return {**self.scores(model), **cost, "told": model.lineage.scores}

    def scores(self, model: Any) -> dict[str, list[float]]:
        """Bits per byte of old and new test texts, in blocks of texts that stand together: their means are the
        whole's.
        """
        return {kind: in_blocks(model, texts) for kind, texts in zip(("old", "new"), self.tests, strict=True)}


def in_blocks(model: Any, texts: list[str]) -> list[float]:
    """Bits of each of 100 blocks, over the bytes of a block on average."""
    bits = [-scores.log_probs.sum() / np.log(2) for scores in model.token_scores(texts)]
    size = sum(len(text.encode()) + 1 for text in texts)
    blocks = np.array_split(np.array(bits), min(BLOCKS, len(texts)))
    return [round(float(block.sum()) * len(blocks) / size, 5) for block in blocks]


def size(model: Any) -> int:
    """Bytes of a model's weights and of what is kept with it."""
    weights = sum(tensor.nbytes for tensor in {id(p): p for p in model.module.parameters()}.values())
    return weights + sum(thing.nbytes for thing in model.kept.values())


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
        spare = self.spare()
        if all(part.low > 0 for part in spare):
            return "shown"
        return "met" if all(part.mean >= 0 for part in spare) else ""

    def line(self) -> str:
        """A row of the table."""
        parts = [f"{x.mean:+.3f} [{x.low:+.3f}, {x.high:+.3f}]" for x in (self.gain, self.forgetting)]
        seconds = np.mean([row["seconds"] for row in self.rows])
        peak, added = (max(row[name] for row in self.rows) / 1e6 for name in ("peak_bytes", "added_bytes"))
        shares = f"{self.kept:8.0%}{self.forgot:8.0%}"
        return f"{parts[0]:>26}{parts[1]:>26}{shares}{seconds:8.1f}{peak:8.0f}{added:7.1f}  {self.verdict()}"


def table(bench: Bench, methods: Iterable[str], seeds: Iterable[int]) -> tuple[dict[str, Judged], bool]:
    """Measure and print one shift: each method judged, and whether forgetting is shown."""
    before = bench.before()
    told = ", ".join(f"{kind} {np.mean(before[kind]):.3f}" for kind in ("old", "new"))
    print(f"\n{bench.name}: bits per byte before {told}; {len(bench.updates())} update(s)")
    print(f"{'':30}{'gain on new':>26}{'forgetting of old':>26}{'kept':>8}{'forgot':>8}{'s':>8}{'MB':>8}{'+MB':>7}")
    seeds = list(seeds)
    plain = [bench.cell(PLAIN, seed) for seed in seeds]
    judged = {}
    for method in methods:
        judged[method] = Judged([bench.cell(method, seed) for seed in seeds], plain, before)
        print(f"{method:30}{judged[method].line()}", flush=True)
    return judged, judged[PLAIN].forgetting.low > 0


def main() -> int:
    """Print a table a shift and the headline; the exit code says whether the target was met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with ptb/, wikitext2/, streams/ and qa/")
    parser.add_argument("--quick", action="store_true", help="2 shifts, 2 seeds, a few steps: the same code, no result")
    parser.add_argument("--development", action="store_true", help="the shift that strengths are chosen on, 1 seed")
    parser.add_argument("--methods", help="only these beside plain further training, with commas between")
    arguments = parser.parse_args()
    record = Record("updating-development" if arguments.development else "updating", arguments.quick)
    chosen = METHODS if arguments.methods is None else dict.fromkeys([PLAIN, *arguments.methods.split(",")])
    shifts = DEVELOPMENT if arguments.development else SHIFTS
    seeds = [100] if arguments.development else range(2 if arguments.quick else SEEDS)
    told, missed = [], False
    for name, texts in list(shifts.items())[: 2 if arguments.quick else None]:
        judged, forgets = table(Bench(name, texts(arguments.data), record, arguments.quick), chosen, seeds)
        good = [f"{method} ({arm.kept:.0%}, {arm.forgot:.0%})" for method, arm in judged.items() if arm.verdict()]
        missed |= forgets and not good
        told.append(f"{name}: {', '.join(good) or 'none'}" if forgets else f"{name}: no forgetting shown")
    print(f"\n80% of the gain with at most 20% of the forgetting (kept, forgot): {'; '.join(told)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
