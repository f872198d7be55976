"""An LSTM pretrained on the Penn Treebank by the command, in twenty minutes on two cores, and mixed with n-grams.

    python benchmarks/ptb_recurrent.py --data DIR [--quick]

DIR holds `ptb.train.txt`, `ptb.valid.txt` and `ptb.test.txt` as Mikolov et al. (2010) prepared them: `<unk>` is an
ordinary word, the end of a sentence is counted, 82,430 test tokens in one stream. The Kneser-Ney 5-gram is mixed with
the LSTM by `combine`, the weights and the cache fitted to the validation part. Beside them stand the figures of Mikolov
(2012, table 4.1) for his recurrent network. Exit code 1 when the LSTM is not below 140, or the mixture not below both.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from record import Record

TARGET = 140.0
PUBLISHED = {"LSTM": 124.7, "KN5": 141.2, "LSTM + KN5": 105.7, "LSTM + KN5 + cache": 97.5}
"""Mikolov's, with a plain recurrent network where ours is an LSTM."""
TEST_TOKENS = 82_430
SETTINGS = {
    "width": 512,
    "embedding-width": 320,
    "dropout": 0.4,
    "batch-size": 20,
    "sequence-length": 35,
    "learning-rate": 3e-3,
    "clip": 0.25,
    "weight-decay": 0.1,
    "steps": 16_000,
    "evaluate-every": 1_000,
    "patience": "none",
}
QUICK = {"steps": 20, "evaluate-every": 10}
QUICK_LINES = 2_000


def words(folder: Path, train: Path, settings: dict[str, Any]) -> list[str]:
    """The command, as a person would type it."""
    flags = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    return ["transferlm", "pretrain", "recurrent", str(train), "--tokenizer", "word", *flags, "-o", str(folder)]


def ran(command: list[str]) -> str:
    """What the command prints on standard output, its progress passing by on standard error."""
    whole = [sys.executable, "-m", *command]
    return subprocess.run(whole, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(data: Path, settings: dict[str, Any], lines: int | None) -> dict[str, Any]:
    """Pretrain, mix and evaluate by the command line."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        train, valid, test = (beginning(data / f"ptb.{part}.txt", place, lines) for part in ("train", "valid", "test"))
        lm, ngrams, both = (str(place / name) for name in ("lm", "ngrams", "both"))
        tuned = ["--tune", str(valid)]
        started = time.perf_counter()
        ran(words(place / "lm", train, settings))
        trained = time.perf_counter()
        ran(["transferlm", "pretrain", "kneser_ney", str(train), "--open-vocabulary", "false", "-o", ngrams])
        ran(["transferlm", "combine", lm, ngrams, "--method", "interpolation", *tuned, "-o", both])
        runs = {"LSTM": [lm], "KN5": [ngrams], "LSTM + KN5": [both], "LSTM + KN5 + cache": [both, "--cache", *tuned]}
        scores = {name: evaluated(run, test) for name, run in runs.items()}
        log = (place / "lm" / "training.jsonl").read_text(encoding="utf-8")
        return {
            "pretraining seconds": trained - started,
            "perplexity": {name: found["perplexity"] for name, found in scores.items()},
            "tokens": scores["LSTM"]["tokens"],
            "test hash": scores["LSTM"]["hash"],
            "vocabulary": scores["LSTM"]["vocabulary"],
            "curve": [json.loads(line) for line in log.splitlines()],
        }


def evaluated(run: list[str], test: Path) -> dict[str, Any]:
    """What `evaluate` tells of a model, its flags behind it, on the test part in one stream."""
    model, *flags = run
    told = ran(["transferlm", "evaluate", model, str(test), "--context", "stream", *flags, "--json"])
    scores: dict[str, Any] = json.loads(told)["scores"]
    return scores


def beginning(path: Path, scratch: Path, lines: int | None) -> Path:
    """The file itself, or for a quick run its first lines."""
    if lines is None:
        return path
    short = scratch / path.name
    with path.open(encoding="utf-8") as whole:
        short.write_text("".join(islice(whole, lines)), encoding="utf-8")
    return short


def main() -> int:
    """Print command, curve and headline; the exit code says whether the target was met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with ptb.{train,valid,test}.txt")
    parser.add_argument("--quick", action="store_true", help="a few steps on 2,000 lines: the same code, no result")
    arguments = parser.parse_args()
    settings = {**SETTINGS, **(QUICK if arguments.quick else {})}
    record = Record("ptb_recurrent", arguments.quick)
    key = " ".join(words(Path("lm"), Path("ptb.train.txt"), settings))
    lines = QUICK_LINES if arguments.quick else None
    found = record.cell(key, lambda: measure(arguments.data, settings, lines))
    print(f"{key}\n{record.facts['machine']}")
    print(f"{'step':>8}{'minutes':>9}{'train bits':>12}{'held-out perplexity':>21}")
    for row in found["curve"]:
        bits, held = row["loss"] / math.log(2), math.exp(row.get("held_out", math.nan))
        print(f"{row['step']:>8,}{row['seconds'] / 60:>9.1f}{bits:>12.3f}{held:>21.1f}")
    found_at = found["perplexity"]
    print(f"{'test, streaming context, perplexity':42}{'ours':>8}{'Mikolov':>10}")
    for name, published in PUBLISHED.items():
        print(f"{name:42}{found_at[name]:>8.2f}{published:>10}")
    ours, mixed = found_at["LSTM"], found_at["LSTM + KN5"]
    met = ours < TARGET and mixed < min(ours, found_at["KN5"]) and found["tokens"] == TEST_TOKENS
    spent = f"{found['pretraining seconds'] / 60:.1f} minutes"
    told = "quick run, no result" if arguments.quick else "met" if met else "missed"
    print(
        f"Pretrained for {spent}, {found['tokens']:,} test tokens: perplexity {ours:.1f} (target below {TARGET:.0f}),"
        f" {mixed:.1f} with KN5 (target below both): {told}"
    )
    return 0 if met or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
