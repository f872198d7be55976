"""What a few labels are worth with transfer and without, on question classification (TREC-6).

    python benchmarks/few_labels.py --data DIR [--quick]

MiniLM-L6 frozen and fine-tuned, the same architecture untrained, and TF-IDF, at 8 and 64 labels a class, 5 seeds,
tested on all 500 test questions; DIR holds `trec-train.csv` and `trec-test.csv`. Finished cells are kept in the cache
folder, so a run that was stopped goes on. Needs `transferlm fetch minilm`. Exit code 1 when, with 64 labels a class,
fine-tuned MiniLM is not above 87% accuracy or not more than 15 points above its untrained twin.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from record import Record

import transferlm as tl

ACCURACY, GAIN = 0.87, 0.15


def main() -> int:
    """Print the table and the headline; the exit code says whether both targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with trec-train.csv and trec-test.csv")
    parser.add_argument("--quick", action="store_true", help="8 labels a class, 2 seeds, frozen only, 100 questions")
    arguments = parser.parse_args()
    task = tl.tasks.Classification()
    train = tl.read(arguments.data / "trec-train.csv", task)
    test = task.read(arguments.data / "trec-test.csv", labels=train.labels)
    strategies = [tl.strategies.FeatureExtraction(), tl.strategies.FineTuning()]
    plan = tl.Plan(sizes=(8, 64), seeds=5)
    if arguments.quick:
        test, strategies, plan = test.subset(np.arange(100)), strategies[:1], tl.Plan(sizes=(8,), seeds=2)
    found = tl.compare(train, test, {"minilm": tl.load(tl.fetch("minilm"))}, strategies, plan)
    found.show()
    result = found.as_json()
    Record("few_labels", arguments.quick).keep({part: result[part] for part in ("cells", "gains", "verdict")})
    best, size = strategies[-1], max(plan.sizes)
    name = "fine_tuning" if len(strategies) > 1 else "feature_extraction"
    arm = [cell for cell in found.cells if (cell.source, cell.strategy, cell.labels) == ("minilm", name, size)]
    accuracy = float(np.mean([cell.scores["accuracy"] for cell in arm]))
    gain = next(
        g
        for g in found.gains
        if (g.source, g.strategy, g.labels, g.metric, g.against)
        == ("minilm", name, size, "accuracy", "minilm-untrained")
    )
    met = accuracy > ACCURACY and gain.gain > GAIN
    print(
        f"{type(best).__name__} of minilm with {size} labels a class: {accuracy:.1%} (target above {ACCURACY:.0%}),"
        f" {100 * gain.gain:.1f} points [{100 * gain.low:.1f}, {100 * gain.high:.1f}] above untrained"
        f" (target above {100 * GAIN:.0f}): {'met' if met else 'missed'}"
    )
    return 0 if met or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
