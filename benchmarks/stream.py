"""A model kept current over dated text, beside the same model left as it is.

    python benchmarks/stream.py --data DIR [--quick]

Twelve months of Australian headlines (2003-03 to 2004-02) after ten days of them (2003-02): a Kneser-Ney 5-gram updated
by `count_merging` and `decay`, and a small LSTM over byte-pair tokens updated by `continued_pretraining`, 5 seeds.
State of the Union addresses by decades (1800s to 2020s) after those of the 1790s: the 5-gram by both. Each period is
scored before it is learnt; the gap is the frozen model's bits per byte less the updated one's over all periods but the
first, paired by text (block jackknife; seeds are as random as texts). DIR holds `streams/abc-headlines.csv` and
`streams/sotu/`. Exit code 1 where an updated model is not shown to beat the frozen one. Reports (HTML) of the first
seed lie beside the cells, in `results/`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, Record

import transferlm as tl
from transferlm.measure.intervals import interval_of_mean
from transferlm.measure.text_scores import gap_pseudo_values

SEEDS = 5
LSTM = {"width": 128, "embedding_width": 128, "epochs": 8, "batch_size": 16, "sequence_length": 40}
Made = Callable[[tl.Period, int], tl.Model]


def headlines(data: Path) -> list[tl.Period]:
    """By month; the first is not whole."""
    return tl.read_periods(data / "streams" / "abc-headlines.csv", "month", "headline_text", "publish_date")


def addresses(data: Path) -> list[tl.Period]:
    """By decade."""
    return tl.read_periods(data / "streams" / "sotu", "decade")


def five_gram(first: tl.Period, seed: int) -> tl.Model:
    """Counts of the first period; nothing is drawn."""
    made: tl.Model = tl.models.KneserNey(order=5).fit(first.corpus, seed)
    return made


def lstm(first: tl.Period, seed: int) -> tl.Model:
    """One layer over 2,000 byte-pair tokens."""
    tokenizer = tl.tokenizers.BytePair(vocabulary_size=2000)
    made: tl.Model = tl.models.Recurrent(tokenizer=tokenizer, **LSTM).fit(first.corpus, seed)
    return made


ARMS: dict[str, tuple[Callable[[Path], list[tl.Period]], Made, tl.updates.Update, int]] = {
    "headlines, 5-gram, count_merging": (headlines, five_gram, tl.updates.CountMerging(), 1),
    "headlines, 5-gram, decay 0.5": (headlines, five_gram, tl.updates.Decay(keep=0.5), 1),
    "addresses, 5-gram, count_merging": (addresses, five_gram, tl.updates.CountMerging(), 1),
    "addresses, 5-gram, decay 0.5": (addresses, five_gram, tl.updates.Decay(keep=0.5), 1),
    "headlines, LSTM, continued_pretraining": (headlines, lstm, tl.updates.ContinuedPretraining(steps=100), SEEDS),
}


def measure(arm: str, data: Path, seed: int, quick: bool) -> dict[str, Any]:
    """One stream."""
    periods_of, made, method, _ = ARMS[arm]
    periods = periods_of(data)
    first, rest = periods[0], periods[1:]
    if quick:
        rest = [tl.Period(period.name, tl.Corpus(list(period.corpus)[:200])) for period in rest[:3]]
    found = tl.stream(made(first, seed), rest, method, seed=seed)
    if not seed and not quick:
        found.report(RESULTS / f"stream-{arm.replace(', ', '-').replace(' ', '-')}.html", arm)
    told = found.as_json()
    told.pop("facts")
    return {**told, "pseudo_values": gap_pseudo_values(found.frozen[1:], found.served[1:]).round(6).tolist()}


def main() -> int:
    """Print a row an arm, and whether updating paid."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with streams/")
    parser.add_argument("--quick", action="store_true", help="three periods of 200 texts, one seed")
    arguments = parser.parse_args()
    record = Record("stream", arguments.quick)
    print(record.facts["machine"])
    print(f"{'stream, model, method':<40}{'frozen':>8}{'updated':>8}  {'gap, bits per byte':<28}", end="")
    print("forgetting  backward  forward  s an update  peak MB  added MB")
    pays = []
    for arm, (_, _, _, seeds) in ARMS.items():
        seeds = 1 if arguments.quick else seeds
        run = partial(measure, arm, arguments.data, quick=arguments.quick)
        cells = [record.cell(f"{arm}, seed {seed}", partial(run, seed)) for seed in range(seeds)]
        gap = interval_of_mean(np.array([cell["pseudo_values"] for cell in cells]))
        pays.append(gap.low > 0)
        frozen, served = (np.mean([cell[name][1:] for cell in cells]) for name in ("frozen", "served"))
        print(f"{arm:<40}{frozen:>8.3f}{served:>8.3f}  {gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]  ", end="")
        for name, width in (("average_forgetting", 11), ("backward_transfer", 9), ("forward_transfer", 9)):
            print(f"{np.mean([cell[name] for cell in cells]):>+{width}.3f}", end="")
        costs = [cost for cell in cells for cost in cell["costs"]]
        seconds, peak = np.median([c["seconds"] for c in costs]), max(c["peak_bytes"] for c in costs)
        added = sum(cost["added_bytes"] for cost in cells[0]["costs"])
        print(f"{seconds:>13.1f}{peak / 1e6:>9,.0f}{added / 1e6:>10,.1f}")
    print(f"The updated model is shown to beat the frozen one in {sum(pays)} of {len(pays)} streams")
    return 0 if all(pays) else 1


if __name__ == "__main__":
    sys.exit(main())
