"""Kill pretraining, updating and fine-tuning at random moments: do the weights end in the same bits?

    python benchmarks/interruptions.py --data DIR [--quick]

Each command runs once to its end; then it is started again and again, killed by SIGKILL at a random moment each time,
until 20 kills are done; whenever a run lives to its end, every weight file must have the hash of the uninterrupted one.
The state is saved every second (the library's 30 would hardly be reached here). DIR holds `ptb.train.txt` under `ptb/`
and `trec-test.csv` under `classification/`; needs `transferlm fetch minilm`. Exit code 1 when a single bit differs.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from record import Record

KILLS = 20
LAUNCH = """
import sys
from transferlm.neural import checkpoint
checkpoint.SECONDS_BETWEEN = 1.0
from transferlm.cli import main
sys.exit(main(sys.argv[1:]))
"""


def commands(data: Path, scratch: Path) -> dict[str, list[str]]:
    """The three commands, without their output folder."""
    text = scratch / "text.txt"
    with (data / "ptb" / "ptb.train.txt").open(encoding="utf-8") as whole:
        text.write_text("".join(islice(whole, 2_000)), encoding="utf-8")
    questions = str(data / "classification" / "trec-test.csv")
    steps = 40
    small = "--width 128 --embedding-width 128 --layers 2 --steps 400 --evaluate-every 50 --patience none"
    to_pretrain = f"pretrain recurrent {text} --tokenizer character {small}"
    to_update = (
        f"update minilm {questions} --column text --method continued_pretraining --steps {steps} --head-steps {steps}"
    )
    to_transfer = (
        f"transfer minilm {questions} --task classification --strategy fine_tuning --epochs 4 --minimum-steps 0"
    )
    return {"pretrain": to_pretrain.split(), "update": to_update.split(), "transfer": to_transfer.split()}


def started(command: list[str], output: Path) -> subprocess.Popen[bytes]:
    """The command in a process of its own, silent."""
    whole = [sys.executable, "-c", LAUNCH, *command, "-o", str(output)]
    return subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finished(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end, which must be a good one."""
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(said.decode()[-2000:])


def hashes(folder: Path) -> dict[str, str]:
    """File name -> SHA-256 of every weight file."""
    found = sorted(folder.rglob("*.safetensors"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def measure(command: list[str], scratch: Path, kills: int, draw: random.Random) -> dict[str, Any]:
    """Kill and start again until enough kills are done; compare each run that lives."""
    output = scratch / "model"
    begun = time.perf_counter()
    finished(started(command, output))
    whole = time.perf_counter() - begun
    wanted = hashes(output)
    shutil.rmtree(output)
    moments: list[float] = []
    ends, same = 0, 0
    while len(moments) < kills or ends == 0:
        process = started(command, output)
        moment = draw.uniform(0, whole) if len(moments) < kills else None
        try:
            process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            moments.append(round(float(moment or 0.0), 3))
            print(f"  killed after {moments[-1]:.1f} s of {whole:.0f} ({len(moments)} of {kills})", file=sys.stderr)
            continue
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
        ends += 1
        same += hashes(output) == wanted
        shutil.rmtree(output)
    return {"uninterrupted seconds": whole, "files": wanted, "killed after": moments, "ends": ends, "same": same}


def main() -> int:
    """Print the table and the headline; the exit code says whether every end was the same."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with ptb/ and classification/")
    parser.add_argument("--quick", action="store_true", help="one kill of `pretrain` alone")
    arguments = parser.parse_args()
    record = Record("interruptions", arguments.quick)
    kills = 1 if arguments.quick else KILLS
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, command in commands(arguments.data, Path(scratch)).items():
            if arguments.quick and name != "pretrain":
                continue
            draw = random.Random(f"{name} 0")  # noqa: S311 - moments, not secrets
            told = f"{' '.join(command).replace(scratch, '.')}, {kills} kills"
            found[name] = record.cell(told, partial(measure, command, Path(scratch), kills, draw))
    print(f"{'command':10}{'alone':>8}{'kills':>7}{'weight files':>14}{'ends':>6}{'the same':>10}")
    for name, cell in found.items():
        seconds, files = f"{cell['uninterrupted seconds']:.0f} s", len(cell["files"])
        print(f"{name:10}{seconds:>8}{len(cell['killed after']):>7}{files:>14}{cell['ends']:>6}{cell['same']:>10}")
    met = all(cell["ends"] == cell["same"] for cell in found.values())
    total = sum(len(cell["killed after"]) for cell in found.values())
    print(f"After {total} kills every end has the hashes of an uninterrupted run: {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
