"""A text file of 1 GB: pretrained on for a thousand steps and scored, and how much memory each took.

    python benchmarks/large_file.py [--quick]

The file is IMDb's reviews over and over, the sentences of each pass shuffled anew, so that no two passes are the same;
it is written to a temporary folder. Needs `transferlm fetch imdb`. The peak is that of the whole process, memory-mapped
pages that were touched included. Exit code 1 when a command needs 2 GB or more.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import Record

import transferlm as tl

SIZE, LIMIT = 10**9, 2 * 10**9
SETTINGS = (
    "--tokenizer word --tokenizer.vocabulary-size 2000 --width 32 --embedding-width 32 --batch-size 64"
    " --sequence-length 32 --steps 1000 --evaluate-every 500 --patience none --held-out 0.001"
)


def write(path: Path, size: int) -> int:
    """Write the file; gives its lines."""
    csv.field_size_limit(1 << 30)
    with (tl.fetch("imdb") / "imdb.csv").open(encoding="utf-8", newline="") as file:
        reviews = [" ".join(row["text"].split()).split(". ") for row in csv.DictReader(file)]
    draw, written, lines = random.Random(0), 0, 0  # noqa: S311 - an order, not a secret
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            for sentences in reviews:
                draw.shuffle(sentences)
                line = ". ".join(sentences) + "\n"
                file.write(line)
                written += len(line.encode())
                lines += 1
                if written >= size:
                    break
    return lines


def ran(arguments: list[str], output: Path) -> tuple[float, int]:
    """Run `transferlm` with these arguments; seconds and peak resident bytes."""
    started = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "transferlm", *arguments],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)],
    )
    _, status, used = os.wait4(process, 0)
    if status:
        raise SystemExit(f"transferlm {' '.join(arguments)} failed")
    return time.perf_counter() - started, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(size: int) -> dict[str, Any]:
    """Write, pretrain, score."""
    with tempfile.TemporaryDirectory() as scratch:
        text, model, told = Path(scratch) / "text.txt", Path(scratch) / "lm", Path(scratch) / "told"
        lines = write(text, size)
        trained, training_peak = ran(["pretrain", "recurrent", str(text), *SETTINGS.split(), "-o", str(model)], told)
        scored, scoring_peak = ran(["evaluate", str(model), str(text), "--json"], told)
        scores = json.loads(told.read_text(encoding="utf-8"))["scores"]
        return {
            "bytes": text.stat().st_size,
            "lines": lines,
            "pretrain": {"seconds": trained, "peak": training_peak},
            "evaluate": {"seconds": scored, "peak": scoring_peak},
            "tokens": scores["tokens"],
            "perplexity": scores["perplexity"],
        }


def main() -> int:
    """Print both commands' time and memory; the exit code says whether both stayed below the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 MB")
    arguments = parser.parse_args()
    record = Record("large_file", arguments.quick)
    size = 5_000_000 if arguments.quick else SIZE
    found = record.cell(f"{size:,} bytes: {SETTINGS}", lambda: measure(size))
    print(f"{found['bytes']:,} bytes, {found['lines']:,} lines, {found['tokens']:,} tokens; {record.facts['machine']}")
    print(f"{'command':12}{'minutes':>9}{'peak memory':>14}")
    for name in ("pretrain", "evaluate"):
        print(f"{name:12}{found[name]['seconds'] / 60:>9.1f}{found[name]['peak'] / 1e9:>11.2f} GB")
    peak = max(found[name]["peak"] for name in ("pretrain", "evaluate"))
    met = peak < LIMIT
    print(f"Peak memory {peak / 1e9:.2f} GB (target below {LIMIT / 1e9:.0f}): {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
