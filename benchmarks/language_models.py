"""Recurrent language models on the Penn Treebank beside n-grams, mixed with them, and beside the published tables.

    python benchmarks/language_models.py --data DIR [--quick]

DIR holds `ptb.train.txt`, `ptb.valid.txt` and `ptb.test.txt` as Mikolov et al. (2010) prepared them: `<unk>` is an
ordinary word, the end of a sentence is counted, 82,430 test tokens in one stream. A plain recurrent network, a GRU and
an LSTM of width 256 have the same budget of 5,000 steps of 700 tokens, a few minutes each on two quiet cores; each is
mixed with a Kneser-Ney 5-gram, and read dynamically (Krause et al. 2018), with a cache of its states (Grave et al.
2017) and with both. Weights of mixtures, caches and steps are fitted to the validation part. The models of Zaremba et
al. (2015) and Merity et al. (2018) want a GPU and are told as not run where there is none. Exit code 1 when a mixture
is not below both of its parts, or dynamic evaluation, the cache or both don't help.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ptb_recurrent import QUICK, QUICK_LINES, beginning, evaluated, ran
from record import Record

CELLS = ("rnn", "gru", "lstm")
SMALL = {
    "width": 256,
    "embedding-width": 256,
    "dropout": 0.3,
    "batch-size": 20,
    "sequence-length": 35,
    "learning-rate": 3e-3,
    "clip": 0.25,
    "weight-decay": 0.1,
    "steps": 5_000,
    "evaluate-every": 1_000,
    "patience": "none",
}
LARGE = {"zaremba_medium": {}, "awd_lstm": {"epochs": 120}}
"""Presets that want a GPU; of the 500 epochs of the AWD-LSTM what 25 minutes of one have room for."""
KN5 = "KN5"
PLAIN, CACHED, MIXED, MIXED_CACHED = "alone", "with a cache", "with KN5", "with KN5 and a cache"
DYNAMIC, STATES, BOTH = "read dynamically", "with a cache of states", "read dynamically, with a cache of states"
PUBLISHED = {
    (KN5, PLAIN): "141.2",
    (KN5, CACHED): "125.7",
    ("rnn", PLAIN): "124.7",
    ("rnn", MIXED): "105.7",
    ("rnn", MIXED_CACHED): "97.5",
    ("zaremba_medium", PLAIN): "82.1",
    ("awd_lstm", PLAIN): "57.3",
    ("awd_lstm", DYNAMIC): "51.1",
    ("awd_lstm", STATES): "52.8",
}
"""Mikolov (2012, table 4.1), Zaremba et al. (2015), Merity et al. (2018), Krause et al. (2018); for a fixed budget of a
few minutes there are none.
"""
JUDGED_LINES = 8
"""Of validation and test part, for a quick run: a model that learns while it reads reads slowly."""
WIDEST = 58


class Treebank:
    """The three parts, and models made from them by the command line in a folder that goes afterwards."""

    def __init__(self, data: Path, scratch: Path, quick: bool) -> None:
        lines = {"train": QUICK_LINES, "valid": JUDGED_LINES, "test": JUDGED_LINES} if quick else {}
        names = ("train", "valid", "test")
        parts = [str(beginning(data / f"ptb.{part}.txt", scratch, lines.get(part))) for part in names]
        self.train, self.valid, self.test = parts
        self.scratch = scratch

    def pretrained(self, name: str, model: str, *flags: Any) -> str:
        """A model's folder; trained only once."""
        folder = self.scratch / name
        if not folder.exists():
            ran(["transferlm", "pretrain", model, self.train, *map(str, flags), "-o", str(folder)])
        return str(folder)

    def ngrams(self) -> str:
        """The Kneser-Ney 5-gram."""
        return self.pretrained("kn5", "kneser_ney", "--open-vocabulary", "false")

    def mixed(self, model: str) -> str:
        """A model mixed with the 5-gram, the weights fitted to the validation part."""
        both = f"{model}-kn5"
        parts = ["transferlm", "combine", model, self.ngrams(), "--method", "interpolation", "--tune", self.valid]
        ran([*parts, "-o", both])
        return both

    def perplexity(self, model: str, *flags: str) -> float:
        """Of the test part in one stream."""
        tuned = ["--tune", self.valid] if flags else []
        found: float = evaluated([model, *flags, *tuned], Path(self.test))["perplexity"]
        return found


def ngrams(bank: Treebank) -> dict[str, float]:
    """The 5-gram, alone and with a cache."""
    model = bank.ngrams()
    return {PLAIN: bank.perplexity(model), CACHED: bank.perplexity(model, "--cache", "counts")}


def flags_of(settings: dict[str, Any]) -> list[Any]:
    """Settings as the command line takes them."""
    return [part for name, value in settings.items() for part in (f"--{name}", value)]


def small_model(bank: Treebank, cell: str, settings: dict[str, Any]) -> str:
    """A small model of one cell."""
    return bank.pretrained(cell, "recurrent", "--cell", cell, "--tokenizer", "word", *flags_of(settings))


def small(bank: Treebank, cell: str, settings: dict[str, Any]) -> dict[str, float]:
    """A small model of one cell, alone and mixed."""
    started = time.perf_counter()
    model = small_model(bank, cell, settings)
    seconds = time.perf_counter() - started
    both = bank.mixed(model)
    return {
        PLAIN: bank.perplexity(model),
        MIXED: bank.perplexity(both),
        MIXED_CACHED: bank.perplexity(both, "--cache", "counts"),
        "seconds": seconds,
    }


def adapted(bank: Treebank, model: str) -> dict[str, float]:
    """A model that follows the test text while it reads it: by its weights, by a cache of its states, by both."""
    return {
        DYNAMIC: bank.perplexity(model, "--dynamic"),
        STATES: bank.perplexity(model, "--cache", "states"),
        BOTH: bank.perplexity(model, "--dynamic", "--cache", "states"),
    }


def small_adapted(bank: Treebank, cell: str, settings: dict[str, Any]) -> dict[str, float]:
    """The small model of one cell that follows the text."""
    return adapted(bank, small_model(bank, cell, settings))


def large(bank: Treebank, preset: str, settings: dict[str, Any]) -> dict[str, float]:
    """A model of a paper, on a GPU."""
    started = time.perf_counter()
    model = bank.pretrained(preset, "recurrent", "--preset", preset, "--tokenizer", "word", *flags_of(settings))
    seconds = time.perf_counter() - started
    return {PLAIN: bank.perplexity(model), **adapted(bank, model), "seconds": seconds}


def shown(name: str, found: dict[str, float] | None) -> None:
    """A model's rows; what was not run has no figure."""
    rows = [how for how in found if how != "seconds"] if found else [PLAIN, DYNAMIC, STATES, BOTH]
    for how in rows:
        figure = f"{found[how]:.2f}" if found else "not run"
        print(f"{f'{name} {how}':{WIDEST}}{figure:>9}{PUBLISHED.get((name, how), ''):>11}")
    if found and "seconds" in found:
        print(f"{'  pretraining, minutes':{WIDEST}}{found['seconds'] / 60:>9.1f}")


def main() -> int:
    """Print the table and the headline; the exit code says whether the trend is right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with ptb.{train,valid,test}.txt")
    parser.add_argument(
        "--quick", action="store_true", help="an LSTM, a few steps on 2,000 lines: the same code, no result"
    )
    arguments = parser.parse_args()
    settings = {**SMALL, **(QUICK if arguments.quick else {})}
    record = Record("language_models", arguments.quick)
    with tempfile.TemporaryDirectory() as scratch:
        bank = Treebank(arguments.data, Path(scratch), arguments.quick)
        found = {KN5: record.cell(KN5, partial(ngrams, bank))}
        cells = CELLS[-1:] if arguments.quick else CELLS
        for cell in cells:
            alone = record.cell(f"{cell} {settings}", partial(small, bank, cell, settings))
            adaptive = record.cell(f"{cell} adapted {settings}", partial(small_adapted, bank, cell, settings))
            found[cell] = {**alone, **adaptive}
        for preset, changes in LARGE.items():
            runs = torch.cuda.is_available() and not arguments.quick
            found[preset] = record.cell(f"{preset} {changes}", partial(large, bank, preset, changes)) if runs else None
    print(f"{record.facts['machine']}\n{'test, streaming context, perplexity':{WIDEST}}{'ours':>9}{'published':>11}")
    for name, figures in found.items():
        shown(name, figures)
    below = all(found[cell][MIXED] < min(found[cell][PLAIN], found[KN5][PLAIN]) for cell in cells)
    lstm = found["lstm"]
    helps = all(found[cell][BOTH] < min(found[cell][DYNAMIC], found[cell][STATES]) for cell in cells)
    met = below and helps and all(max(found[cell][DYNAMIC], found[cell][STATES]) < found[cell][PLAIN] for cell in cells)
    told = "quick run, no result" if arguments.quick else "met" if met else "missed"
    print(
        f"LSTM {lstm[PLAIN]:.1f}, with KN5 {lstm[MIXED]:.1f}, read dynamically {lstm[DYNAMIC]:.1f}, with a cache of"
        f" states {lstm[STATES]:.1f}, with both {lstm[BOTH]:.1f} (target: mixtures below both parts, both below each):"
        f" {told}"
    )
    return 0 if met or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
