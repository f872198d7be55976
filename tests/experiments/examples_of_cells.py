"""Made-up cells with known accuracies, for the tests of gains, verdict and report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

from transferlm.experiments.cells import Cell
from transferlm.tasks._contributions import f1_without, pseudo_values

CLASSES = 6


def targets(examples: int = 500) -> np.ndarray:
    return np.arange(examples, dtype=np.int64) % CLASSES


def cells(
    accuracies: Mapping[tuple[str, str, int], float],
    seeds: Iterable[int] = range(5),
    examples: int = 500,
    seconds: Mapping[str, float] | None = None,
) -> list[Cell]:
    """One cell for each (source, strategy, labels) and seed, right on about that share of the same examples.

    Harder examples are harder for every arm and every seed has its own luck, as in real comparisons.
    """
    truth = targets(examples)
    difficulty = np.random.default_rng(0).uniform(size=examples)
    made = []
    for (source, strategy, labels), accuracy in accuracies.items():
        for seed in seeds:
            luck = np.random.default_rng([seed, labels, *source.encode(), *strategy.encode()])
            blurred = difficulty + luck.normal(0, 0.15, examples)
            right = blurred <= np.quantile(blurred, np.clip(accuracy + luck.normal(0, 0.008), 0, 1))
            predicted = np.where(right, truth, (truth + luck.integers(1, CLASSES, examples)) % CLASSES)
            made.append(
                Cell(
                    source=source,
                    strategy=strategy,
                    labels=labels,
                    seed=seed,
                    scores=_scores(truth, predicted),
                    seconds=(seconds or {}).get(strategy, 2.0) * labels / 8 * luck.uniform(0.9, 1.1),
                    peak_bytes=int(600e6 + 1e6 * labels),
                    targets=hashlib.sha256(truth.tobytes()).hexdigest(),
                    contributions=_contributions(truth, predicted),
                )
            )
    return made


def _contributions(truth: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    true, said = np.eye(CLASSES)[truth], np.eye(CLASSES)[predicted]
    macro = pseudo_values(f1_without(true * said, true, said, "macro"))
    return {"accuracy": (truth == predicted).astype(float), "macro_f1": macro}


def _scores(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import precision_recall_fscore_support

    macro = precision_recall_fscore_support(truth, predicted, labels=range(CLASSES), average="macro", zero_division=0.0)
    return {
        "accuracy": float((truth == predicted).mean()),
        "macro_precision": float(macro[0]),
        "macro_recall": float(macro[1]),
        "macro_f1": float(macro[2]),
    }
