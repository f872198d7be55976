"""Tokens a second of training language models, beside the loop of a textbook on the same network and data.

    python benchmarks/training_speed.py --data DIR [--quick] [--only recurrent|transformer]

DIR holds `ptb.train.txt` and `ptb.valid.txt` as Mikolov et al. (2010) prepared them. The LSTM's textbook is
nn.Embedding, nn.LSTM, nn.Linear, cross entropy and Adam in fp32; both begin with the same weights (width 512,
embeddings of 320 that input and output share, dropout 0.4), read the same 20 lanes of 35 tokens a step, and are judged
by the same held-out text after equally many tokens. Rounds of all loops alternate, so that none has the machine's best
minutes to itself.

The Transformer's part, and what it counts as operations, is in `transformer_speed.py`. Exit code 1 when our LSTM is
not 1.5 times as fast, when our Transformer reaches less than 40% of the processor's peak, or when a loss is more than
a hundredth higher. `OMP_NUM_THREADS=1` measures one thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformer_speed
from record import Record
from torch import nn

from transferlm.models.base import Objective
from transferlm.models.recurrent import Recurrent
from transferlm.neural.loop import Settings, fit
from transferlm.text.corpus import Corpus
from transferlm.text.token_store import token_store
from transferlm.text.tokenizers.word import Word

Parts = tuple[Corpus, Corpus, np.ndarray]
"""Text to train on, text to judge by, and the tokens of the first."""

TARGET, TOLERANCE = 1.5, 0.01
LANES, LENGTH, RATE, CLIP, DROPOUT = 20, 35, 3e-3, 0.25, 0.4
WIDTH, EMBEDDING = 512, 320
JUDGED_LINES, QUICK_LINES = 1_000, 50
STEPS, ROUNDS = 300, 3
QUICK_STEPS, QUICK_ROUNDS = 6, 1
TEXTBOOK, OURS_EXACT, OURS = "textbook, fp32", "transferlm, fp32", "transferlm"


class Textbook(nn.Module):
    """The network as any introduction writes it."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, EMBEDDING)
        self.layers = nn.LSTM(EMBEDDING, WIDTH, batch_first=True)
        self.projection = nn.Linear(WIDTH, EMBEDDING)
        self.output = nn.Linear(EMBEDDING, tokens)
        self.output.weight = self.embedding.weight
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, ids: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        """Scores (lanes, tokens, vocabulary) and the state to go on from."""
        states, state = self.layers(self.dropout(self.embedding(ids)), state)
        return self.output(self.dropout(self.projection(states))), state


def textbook(model: Recurrent, stream: np.ndarray, steps: int) -> float:
    """Train a copy in the plain loop, put what it learnt into `model`, and tell the seconds."""
    network = Textbook(model.vocabulary.size)
    network.load_state_dict(model.module.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    criterion = nn.CrossEntropyLoss()
    count = (len(stream) - 1) // LANES
    ids = torch.from_numpy(stream[: LANES * count + 1].astype(np.int64))
    inputs, targets = ids[:-1].view(LANES, -1), ids[1:].view(LANES, -1)
    network.train()
    started, state = time.perf_counter(), None
    for start in range(0, steps * LENGTH, LENGTH):
        scores, state = network(inputs[:, start : start + LENGTH], state)
        state = tuple(part.detach() for part in state)
        loss = criterion(scores.reshape(-1, scores.shape[-1]), targets[:, start : start + LENGTH].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
    seconds = time.perf_counter() - started
    model.module.load_state_dict(network.state_dict())
    return seconds


def ours(objective: Objective, steps: int, precision: Any) -> float:
    """Train with the library's loop, and tell the seconds."""
    settings = Settings(1, RATE, 0.0, 0.0, "constant", CLIP, precision=precision, steps=steps)
    return fit(objective.module, objective.batches, objective.loss, settings, tokens=objective.tokens).seconds


def measure(name: str, start: Recurrent, parts: Parts, steps: int, seed: int) -> dict[str, float]:
    """One loop in one round: tokens a second, and the loss on held-out text afterwards."""
    train, held_out, stream = parts
    model = start.copy()
    torch.manual_seed(seed)
    if name == TEXTBOOK:
        seconds = textbook(model, stream, steps)
    else:
        seconds = ours(model.objective(train, batch_size=LANES), steps, "fp32" if name == OURS_EXACT else "auto")
    model.module.eval()
    with torch.inference_mode():
        loss = model.objective(held_out).mean_loss()
    return {"tokens a second": steps * LANES * LENGTH / seconds, "loss": loss}


def prepared(data: Path, scratch: Path, lines: int) -> tuple[Recurrent, Parts]:
    """A model with the Treebank's vocabulary and weights that know nothing, and the texts."""
    train = Corpus(data / "ptb.train.txt")
    with (data / "ptb.valid.txt").open(encoding="utf-8") as whole:
        (scratch / "judged.txt").write_text("".join(islice(whole, lines)), encoding="utf-8")
    tokenizer = Word()
    tokenizer.fit(train)
    model = Recurrent(
        width=WIDTH, embedding_width=EMBEDDING, dropout=DROPOUT, sequence_length=LENGTH, tokenizer=tokenizer
    )
    stream = token_store(train, tokenizer, scratch)
    return model.untrained(0), (train, Corpus(scratch / "judged.txt"), stream)


def run(record: Record, start: Recurrent, parts: Parts, quick: bool) -> bool:
    """Print the recurrent model's table and headline; whether the target was met."""
    steps, rounds = (QUICK_STEPS, QUICK_ROUNDS) if quick else (STEPS, ROUNDS)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (TEXTBOOK, OURS_EXACT, OURS)}
    for turn in range(rounds):
        for name, cells in found.items():
            key = f"{name}, {steps} steps, round {turn + 1}"
            cells.append(record.cell(key, partial(measure, name, start, parts, steps, turn)))
    print(f"LSTM: {steps} steps of {LANES} x {LENGTH} tokens, {rounds} rounds")
    print(f"{'':24}{'tokens/s':>10}{'times':>8}{'held-out nats':>16}")
    speed = {name: statistics.median(cell["tokens a second"] for cell in cells) for name, cells in found.items()}
    loss = {name: statistics.mean(cell["loss"] for cell in cells) for name, cells in found.items()}
    for name in found:
        print(f"{name:24}{speed[name]:>10,.0f}{speed[name] / speed[TEXTBOOK]:>8.2f}{loss[name]:>16.4f}")
    times, rise = speed[OURS] / speed[TEXTBOOK], loss[OURS] / loss[TEXTBOOK] - 1
    met = times >= TARGET and rise <= TOLERANCE
    told = "quick run, no result" if quick else "met" if met else "missed"
    print(
        f"{times:.2f} times the textbook's tokens a second (target {TARGET}), held-out loss {rise:+.2%} after equal"
        f" tokens (target at most {TOLERANCE:+.0%}): {told}"
    )
    return met


def main() -> int:
    """Print the tables and the headlines; the exit code says whether the targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with ptb.{train,valid}.txt")
    parser.add_argument("--quick", action="store_true", help="a few steps in one round: the same code, no result")
    parser.add_argument("--only", choices=("recurrent", "transformer"), help="one of the two models; default both")
    arguments = parser.parse_args()
    record = Record("training_speed", arguments.quick)
    print(record.facts["machine"])
    met = []
    with tempfile.TemporaryDirectory() as scratch:
        start, parts = prepared(arguments.data, Path(scratch), QUICK_LINES if arguments.quick else JUDGED_LINES)
        if arguments.only != "transformer":
            met.append(run(record, start, parts, arguments.quick))
        if arguments.only != "recurrent":
            met.append(transformer_speed.run(record, parts[:2], arguments.quick))
    return 0 if all(met) or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
