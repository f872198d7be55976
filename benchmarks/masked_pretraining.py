"""Does it pay to hide whole words instead of single tokens when a small masked Transformer is pretrained?

    python benchmarks/masked_pretraining.py --data DIR [--quick]

English: WikiText-2's training text, then TREC's question types. Chinese: the texts of two sets of reviews without their
labels, by character, words cut by `rjieba` (the extra `chinese`), then food reviews. The same model is pretrained twice
from each of 5 seeds, masking tokens and masking words, and fine-tuned with the same 64 labels a class; beside both
stands the model untrained. Whole words are set against tokens, and tokens against no pretraining: gain in accuracy with
its 95% interval, seeds and test examples both random. DIR holds `wikitext2/` and `classification/`. There is no target:
whichever way it falls is the result, and the exit code is 0 when every cell ran.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import Record

import transferlm as tl
from transferlm.measure.intervals import paired_gain

LABELS, SEEDS = 64, 5
ARMS = ("untrained", "token", "whole_word")
SETS = {"English": ("trec", "byte_pair"), "Chinese": ("waimai", "character")}


def text(language: str, data: Path) -> list[str]:
    """Text to pretrain on: paragraphs, or reviews without their labels."""
    if language == "English":
        (path,) = (data / "wikitext2").glob("*train*")
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if len(line) > 40]
    names = ("chnsenticorp", "waimai")
    return [t for name in names for t in read(data, f"{name}-train").texts]


def read(data: Path, name: str, labels: Any = None) -> Any:
    """Labelled examples."""
    return tl.tasks.Classification().read(data / "classification" / f"{name}.csv", labels=labels)


def sized(tokenizer: str, quick: bool, **settings: Any) -> Any:
    """The model before any text: 5 million parameters and 6,000 steps."""
    least = {"layers": 1, "width": 32, "heads": 2, "max_length": 32, "steps": 20}
    sizes = least if quick else {"max_length": 128, "batch_size": 32, "steps": 6000}
    reader = getattr(tl.tokenizers, {"byte_pair": "BytePair", "character": "Character"}[tokenizer])()
    return tl.models.MaskedTransformer(tokenizer=reader, **{**sizes, **settings})


def few(train: Any, seed: int) -> Any:
    """The same labels for every arm."""
    draw = np.random.default_rng(seed)
    rows = [np.flatnonzero(train.targets == label) for label in range(len(train.labels))]
    return train.subset(np.concatenate([draw.permutation(own)[:LABELS] for own in rows]))


def measure(language: str, seed: int, data: Path, quick: bool) -> dict[str, Any]:
    """Pretrain both ways from one seed and fine-tune all three arms: the loss of each, and which answers are right."""
    name, tokenizer = SETS[language]
    train = read(data, f"{name}-train")
    test = read(data, f"{name}-test", train.labels)
    corpus = text(language, data)
    if quick:
        corpus, test = corpus[:500], test.subset(np.arange(100))
    found: dict[str, Any] = {}
    for arm in ARMS[1:]:
        model = tl.pretrain(sized(tokenizer, quick, masking=arm), corpus, seed)
        found.setdefault("untrained", tl.untrained(model, seed))
        found[arm] = model
    strategy = tl.strategies.FineTuning(**({"epochs": 1, "minimum_steps": 3} if quick else {}))
    right = {}
    for arm, model in found.items():
        made = tl.transfer(model, few(train, seed), strategy, seed)
        right[arm] = (made.predict_proba(test.texts).argmax(axis=1) == test.targets).astype(int).tolist()
    return right


def gains(rows: list[dict[str, Any]]) -> Iterator[tuple[str, str, Any]]:
    """Each comparison and its gain, over all seeds."""
    right = {arm: np.stack([row[arm] for row in rows]).astype(float) for arm in ARMS}
    for ours, other in (("token", "untrained"), ("whole_word", "token")):
        yield ours, other, paired_gain(right[ours], right[other])


def main() -> int:
    """Print accuracies and gains a language, then what whole words gained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with wikitext2/ and classification/")
    parser.add_argument("--quick", action="store_true", help="English, a tiny model, 20 steps, 500 texts, 2 seeds")
    arguments = parser.parse_args()
    record, told = Record("masked_pretraining", arguments.quick), []
    for language in list(SETS)[: 1 if arguments.quick else 2]:
        rows = [
            record.cell(f"{language} {seed}", partial(measure, language, seed, arguments.data, arguments.quick))
            for seed in range(2 if arguments.quick else SEEDS)
        ]
        print(f"{language}: {SETS[language][0]}, {LABELS} labels a class, {len(rows)} seeds")
        for arm in ARMS:
            print(f"  {arm:12}{np.mean([row[arm] for row in rows]):8.1%}")
        for ours, other, gain in gains(rows):
            line = f"{ours} against {other} {gain.mean:+.1%} [{gain.low:+.1%}, {gain.high:+.1%}]"
            print(f"  {line}")
        told.append(f"{language} {line.removeprefix('whole_word against token ')}")
    print(f"Whole words instead of tokens: {'; '.join(told)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
