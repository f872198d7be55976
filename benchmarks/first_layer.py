"""Word vectors of others as the first layer of a recurrent model: what they are worth to a task with few labels.

    python benchmarks/first_layer.py --data DIR [--quick]

An LSTM of width 128 over the words of TREC's training questions, pretrained on these questions without their labels (5
passes), its first layer drawn or begun from GloVe (50 wide), moved on or frozen; then fine-tuned on 16 and 64 labels a
class (rate 2e-3, 10 passes at least), 5 seeds that draw labels and weights. Beside it the same architecture without any
pretraining, and TF-IDF. Gains over the LSTM that was pretrained with a drawn first layer, with 95% intervals, seeds and
test questions both random. DIR holds `trec-train.csv` and `trec-test.csv`; needs `transferlm fetch glove`. Exit code 1
when GloVe in the first layer, trained on, is not shown to help with 16 labels a class.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from labelled_sets import labelled_set
from record import Record

import transferlm as tl
from transferlm.measure.intervals import paired_gain
from transferlm.text.draws import draw

SIZES, SEEDS = (16, 64), 5
BASE, HELPED = "pretrained, drawn first layer", "pretrained, GloVe, trained on"
ARMS: dict[str, dict[str, Any] | None] = {
    "from scratch": {},
    "TF-IDF": None,
    BASE: {"pretrained": None},
    HELPED: {"pretrained": "glove"},
    "pretrained, GloVe, frozen": {"pretrained": "glove", "pretrained_words": "frozen"},
}


def empty(**settings: Any) -> Any:
    """The LSTM before any text, over words in small letters."""
    words = tl.tokenizers.Word(lowercase=True, punctuation=True)
    return tl.models.Recurrent(width=128, embedding_width=50, tokenizer=words, **settings)


@cache
def source(data: Path, name: str, seed: int) -> Any:
    """What an arm starts from; a seed's is made once for all label counts."""
    settings = ARMS[name]
    if settings is None:
        return tl.models.TfIdf()
    made = tl.pretrain(empty(**settings), labelled_set(data, "trec")[0].strings, seed)
    return made.untrained(seed) if name == "from scratch" else made  # type: ignore[attr-defined]


@cache
def measure(data: Path, name: str, size: int, seeds: int, questions: int) -> list[str]:
    """A 1 for each test question that is answered rightly, a 0 for each other; a row a seed."""
    train, test = labelled_set(data, "trec")[0], labelled_set(data, "trec")[1].subset(np.arange(questions))
    tuned = tl.strategies.FineTuning(learning_rate=2e-3, epochs=10)
    strategy = tl.strategies.FeatureExtraction() if ARMS[name] is None else tuned
    rows = []
    for seed in range(seeds):
        few = train.subset(draw(train.targets, size, seed).rows)
        scores: Any = tl.transfer(source(data, name, seed), few, strategy, seed).score(test)
        rows.append("".join("01"[int(each)] for each in scores.probabilities.argmax(axis=1) == test.targets))
    return rows


def main() -> int:
    """Print a row an arm and label count, and whether the first layer helped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with trec-train.csv and trec-test.csv")
    parser.add_argument("--quick", action="store_true", help="16 labels a class, 2 seeds, 100 questions")
    arguments = parser.parse_args()
    tl.fetch("glove")
    record, seeds = Record("first_layer", arguments.quick), 2 if arguments.quick else SEEDS
    questions = 100 if arguments.quick else len(labelled_set(arguments.data, "trec")[1])
    gains = {}
    for size in SIZES[: 1 if arguments.quick else 2]:
        found = {}
        for name in ARMS:
            rows = record.cell(f"{name}, {size} labels", partial(measure, arguments.data, name, size, seeds, questions))
            found[name] = np.array([[float(each) for each in row] for row in rows])
        print(f"TREC, {size} labels a class, {questions} questions, {seeds} seeds")
        for name, table in found.items():
            gain = gains[name, size] = paired_gain(table, found[BASE])
            told = "" if name == BASE else f"{gain.mean:+8.1%} [{gain.low:+.1%}, {gain.high:+.1%}]"
            print(f"  {name:32}{table.mean():8.1%}{told}")
    gain = gains[HELPED, SIZES[0]]
    met = gain.low > 0
    print(
        f"GloVe in an LSTM's first layer, {SIZES[0]} labels a class: {gain.mean:+.1%} [{gain.low:+.1%},"
        f" {gain.high:+.1%}] (target: above 0): {'met' if met else 'missed'}"
    )
    return 0 if met or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
