"""Teaching a count-based model text of another kind: what each update makes of the new text and of the old.

    python benchmarks/count_updates.py --data DIR [--quick]

A Kneser-Ney model of order 5 on WikiText-2 (encyclopaedia, 1.8 million tokens) gets 1,000, 5,000 and 20,000 lines of
the Penn Treebank (financial news). Bits per byte of both test parts, unknown words spelled out, so that vocabularies
may differ. DIR holds `wikitext2/` and `ptb/`. The peers are what other n-gram tools offer: estimating anew from all the
text (`count_merging` gives that model to the bit) or from the new text alone. `fixed` is without the switching that is
the default of both mixtures. Exit code 1 where `bayesian`, as it comes, is not better on the new text than both peers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from record import Record

import transferlm as tl
from transferlm.measure.language import score
from transferlm.text.corpus import Corpus

METHODS = {
    "count_merging": tl.updates.CountMerging(),
    "decay to a tenth": tl.updates.Decay(keep=0.1),
    "interpolation, fixed": tl.updates.Interpolation(switching=None),
    "bayesian, fixed": tl.updates.Bayesian(switching=None),
    "interpolation": tl.updates.Interpolation(),
    "bayesian": tl.updates.Bayesian(),
}
ALONE = "new text alone"
PEERS = ("count_merging", ALONE)
JUDGED = "bayesian"


def measured(data: Path, sizes: list[int], record: Record) -> Iterator[dict[str, Any]]:
    """One row for each method and size."""
    old_text, new_text = Corpus(data / "wikitext2" / "train.txt"), Corpus(data / "ptb" / "ptb.train.txt")
    tests = {"old": data / "wikitext2" / "test.txt", "new": data / "ptb" / "ptb.test.txt"}
    old: Any = tl.models.KneserNey(order=5).fit(old_text)

    def row(make: Callable[[], Any]) -> dict[str, Any]:
        started = time.perf_counter()
        model = make()
        seconds = time.perf_counter() - started
        bits = {name: score(model, Corpus(path)).bits_per_byte for name, path in tests.items()}
        return {**bits, "seconds": seconds}

    yield {"method": "none", "lines": 0, **record.cell("none", partial(row, lambda: old))}
    lines = list(new_text)
    for size in sizes:
        new = lines[:size]
        ways = {ALONE: partial(tl.models.KneserNey(order=5).fit, new)}
        ways |= {name: partial(method.update, old, new) for name, method in METHODS.items()}
        for name, make in ways.items():
            yield {"method": name, "lines": size, **record.cell(f"{name}, {size}", partial(row, make))}


def main() -> int:
    """Print the table and the headline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with wikitext2/ and ptb/")
    parser.add_argument("--quick", action="store_true", help="1,000 lines alone")
    arguments = parser.parse_args()
    record = Record("count_updates", arguments.quick)
    rows = list(measured(arguments.data, [1000] if arguments.quick else [1000, 5000, 20_000], record))
    print(record.facts["machine"])
    print(f"{'new lines':>9}  {'method':<21}{'new text':>10}{'old text':>10}  seconds   (bits per byte)")
    for row in rows:
        print(f"{row['lines']:>9,}  {row['method']:<21}{row['new']:>10.3f}{row['old']:>10.3f}  {row['seconds']:>7.2f}")
    beaten = []
    for size in sorted({row["lines"] for row in rows} - {0}):
        here = {row["method"]: row["new"] for row in rows if row["lines"] == size}
        peer = min(PEERS, key=here.__getitem__)
        beaten.append(here[JUDGED] < here[peer])
        print(f"{size:,} lines: {JUDGED} at {here[JUDGED]:.3f}, the better peer ({peer}) at {here[peer]:.3f}")
    print(f"{JUDGED} beats both peers on the new text at {sum(beaten)} of {len(beaten)} sizes")
    return 0 if all(beaten) else 1


if __name__ == "__main__":
    sys.exit(main())
