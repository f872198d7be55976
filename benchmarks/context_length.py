"""How far back each model looks: perplexity against the tokens of context that it is given.

    python benchmarks/context_length.py --data DIR [--quick]

DIR holds `ptb.train.txt` and `ptb.test.txt` as Mikolov et al. (2010) prepared them. The same 2,000 tokens of the test
part, drawn once, are predicted by every model from the last 1, 2, 3 ... tokens before them, nothing else, as Khandelwal
et al. (2018, "Sharp nearby, fuzzy far away") do: three recurrent networks of width 256 (their state begins at the first
of those tokens) and a causal Transformer, 2,500 steps each, some minutes to a quarter of an hour on two quiet cores. A
Kneser-Ney model of order n reads n - 1 tokens, and its line is flat from there. Bands are 1.96 standard errors. The
figure is written to `results/context_length.svg`. Exit code 1 when a recurrent network that is given the longest
context is not within 1% of what it reaches in one stream, or does not look further than a 5-gram.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from curve_svg import svg
from language_models import SMALL, flags_of
from ptb_recurrent import QUICK_LINES, beginning, ran
from record import RESULTS, Record

import transferlm as tl
from transferlm.experiments.curves import BOTTOM, HEIGHT, TOP, Point, Style, log_axis, panel
from transferlm.models.base import Causal

CONTEXTS = (1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 256, 512)
POSITIONS = 2_000
SEED = 0
ORDERS = (2, 3, 4, 5)
CELLS = ("lstm", "gru", "rnn")
RECURRENT = {**SMALL, "steps": 2_500}
TRANSFORMER = {
    "layers": 4,
    "heads": 4,
    "width": 256,
    "dropout": 0.2,
    "max-length": 256,
    "batch-size": 4,
    "steps": 2_500,
    "evaluate-every": 1_000,
    "patience": "none",
}
QUICK_CONTEXTS, QUICK_POSITIONS = (1, 2, 4, 8, 16, 32), 200
QUICK_TRAINING = {"steps": 20, "evaluate-every": 10}
TOKENS = 8_192
"""Of all contexts that pass through a network together."""
NEAR = 1.01
"""How near its best a model has to be for the rest of the context to count for nothing."""

Figures = dict[str, Any]
"""Of a model: mean nats of the drawn tokens and their standard error, a context each, and in one stream."""


def drawn(tokens: int, longest: int, count: int) -> np.ndarray:
    """Places of the tokens that are predicted, ascending: each has the longest context before it."""
    places = np.arange(longest, tokens)
    return np.sort(np.random.default_rng(SEED).choice(places, min(count, len(places)), replace=False))


def contexts_of(stream: np.ndarray, places: np.ndarray, length: int) -> np.ndarray:
    """The tokens before each place, shape (places, length)."""
    before: np.ndarray = stream[places[:, None] - np.arange(length, 0, -1)]
    return before


def mean_and_error(logs: np.ndarray) -> tuple[float, float]:
    """Mean nats and its standard error."""
    return -float(logs.mean()), float(logs.std(ddof=1) / math.sqrt(len(logs)))


def perplexities(nats: float, error: float) -> tuple[float, float, float]:
    """Perplexity and the ends of its band."""
    return math.exp(nats), math.exp(nats - 1.96 * error), math.exp(nats + 1.96 * error)


def looks_back(contexts: Sequence[int], nats: Sequence[float]) -> int:
    """The shortest context with which a model is within 1% of its best perplexity; more may do harm.

    >>> looks_back([1, 2, 4, 8, 16], [6.0, 5.5, 5.005, 5.0, 5.1])
    4
    """
    enough = min(nats) + math.log(NEAR)
    return next(length for length, found in zip(contexts, nats, strict=True) if found <= enough)


def streamed(model: Causal, texts: Sequence[str], places: np.ndarray) -> np.ndarray:
    """Log-probabilities of the drawn tokens after all of the text before them."""
    logs = [scores.log_probs for scores in model.token_scores(texts, "stream")]
    found: np.ndarray = np.concatenate(logs)[places - 1]
    return found


@torch.inference_mode()
def cut(model: Any, block: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Log-probabilities of the wanted tokens, each after a row of the block and nothing else."""
    recurrent = hasattr(model.module, "states")
    device, found = next(model.module.parameters()).device, []
    rows = max(1, TOKENS // block.shape[1])
    for start in range(0, len(block), rows):
        ids = torch.from_numpy(block[start : start + rows].astype(np.int64)).to(device)
        if recurrent:
            logits = model.module.logits(model.module.states(ids)[0][:, -1])
        else:
            logits = model.module(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1]
        asked = torch.from_numpy(wanted[start : start + rows].astype(np.int64)).to(device)
        found.append(torch.log_softmax(logits.double(), dim=-1).gather(1, asked[:, None])[:, 0].cpu().numpy())
    return np.concatenate(found)


class Trial:
    """The texts, the tokens drawn from them, and models trained in a folder that goes afterwards."""

    def __init__(self, data: Path, scratch: Path, quick: bool) -> None:
        lines = QUICK_LINES if quick else None
        self.train, test = (beginning(data / f"ptb.{part}.txt", scratch, lines) for part in ("train", "test"))
        self.texts = list(tl.Corpus(test))
        self.contexts = QUICK_CONTEXTS if quick else CONTEXTS
        tokens = 1 + sum(len(text.split()) + 1 for text in self.texts)
        self.places = drawn(tokens, self.contexts[-1], QUICK_POSITIONS if quick else POSITIONS)
        self.scratch = scratch

    def ngrams(self, order: int) -> Figures:
        """A Kneser-Ney model, which has all of its context or none."""
        model: Any = tl.pretrain(tl.models.KneserNey(order=order, open_vocabulary=False), tl.Corpus(self.train))
        nats, error = mean_and_error(streamed(model, self.texts, self.places))
        contexts = [length for length in self.contexts if length >= order - 1]
        return self.figures(contexts, [nats] * len(contexts), [error] * len(contexts), nats)

    def neural(self, family: str, settings: dict[str, Any]) -> Figures:
        """A neural model, trained by the command line."""
        folder = self.scratch / "-".join([family, str(settings.get("cell", ""))])
        words = ["transferlm", "pretrain", family, str(self.train), "--tokenizer", "word"]
        ran([*words, *map(str, flags_of(settings)), "-o", str(folder)])
        model: Any = tl.load(folder)
        end = [model.tokenizer.end_id]
        stream = np.concatenate([end, *(part for t in model.tokenizer.encode(self.texts) for part in (t.ids, end))])
        contexts = [length for length in self.contexts if length <= settings.get("max-length", math.inf)]
        found = [
            mean_and_error(cut(model, contexts_of(stream, self.places, length), stream[self.places]))
            for length in contexts
        ]
        whole, _ = mean_and_error(streamed(model, self.texts, self.places))
        return self.figures(contexts, [nats for nats, _ in found], [error for _, error in found], whole)

    def figures(
        self, contexts: Sequence[int], nats: Sequence[float], errors: Sequence[float], stream: float
    ) -> Figures:
        """What is kept of a model."""
        return {"contexts": [*contexts], "nats": [*nats], "errors": [*errors], "stream": stream}


def measured(trial: Trial, record: Record, quick: bool) -> dict[str, Figures]:
    """Every model's figures, those that were not measured yet now."""
    changes = QUICK_TRAINING if quick else {}
    asked = f"{len(trial.places)} tokens after {trial.contexts}"
    runs: dict[str, tuple[str, Callable[[], Figures]]] = {
        f"KN{order}": ("", partial(trial.ngrams, order)) for order in ORDERS
    }
    for cell in CELLS:
        settings = {"cell": cell, **RECURRENT, **changes}
        runs[cell] = (str(settings), partial(trial.neural, "recurrent", settings))
    settings = {**TRANSFORMER, **changes}
    runs["transformer"] = (str(settings), partial(trial.neural, "causal_transformer", settings))
    return {name: record.cell(f"{name} {how} {asked}", run) for name, (how, run) in runs.items()}


def figure(found: dict[str, Figures]) -> str:
    """All curves as SVG."""
    series, values = {}, []
    for hue, (name, figures) in enumerate(found.items()):
        rows = zip(figures["contexts"], figures["nats"], figures["errors"], strict=True)
        points = [(length, *perplexities(nats, error)) for length, nats, error in rows]
        series[Style(hue, 0, untrained=False)] = [
            Point(length, value, low, high, name, f"{name}, {length} tokens: {value:.1f} [{low:.1f}, {high:.1f}]")
            for length, value, low, high in points
        ]
        values += [bound for point in points for bound in point[1:]]
    title = "Perplexity on the Penn Treebank against the context given"
    axis = log_axis(values, HEIGHT - BOTTOM, TOP)
    return svg(panel(title, series, axis), "tokens of context", "perplexity")


def table(found: dict[str, Figures], contexts: Sequence[int]) -> None:
    """A row a context, a column a model."""
    print(f"{'context':>8}" + "".join(f"{name:>13}" for name in found))
    for length in contexts:
        cells = []
        for figures in found.values():
            told = "-"
            if length in figures["contexts"]:
                place = figures["contexts"].index(length)
                value, low, high = perplexities(figures["nats"][place], figures["errors"][place])
                told = f"{value:.1f} ±{(high - low) / 2:.1f}"
            cells.append(f"{told:>13}")
        print(f"{length:>8}" + "".join(cells))
    print(f"{'stream':>8}" + "".join(f"{math.exp(figures['stream']):>13.1f}" for figures in found.values()))


def main() -> int:
    """Print the table and the headline, write the figure; the exit code says whether the curves hold together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with ptb.train.txt and ptb.test.txt")
    parser.add_argument("--quick", action="store_true", help="a few steps and tokens: the same code, no result")
    arguments = parser.parse_args()
    record = Record("context_length", arguments.quick)
    with tempfile.TemporaryDirectory() as scratch:
        trial = Trial(arguments.data, Path(scratch), arguments.quick)
        found = measured(trial, record, arguments.quick)
    print(record.facts["machine"])
    table(found, trial.contexts)
    place = RESULTS / f"context_length{'-quick' if arguments.quick else ''}.svg"
    place.write_text(figure(found), encoding="utf-8")
    back = {name: looks_back(figures["contexts"], figures["nats"]) for name, figures in found.items()}
    whole = [abs(found[cell]["nats"][-1] - found[cell]["stream"]) < math.log(NEAR) for cell in CELLS]
    met = all(whole) and all(back[cell] > ORDERS[-1] - 1 for cell in CELLS)
    told = "quick run, no result" if arguments.quick else "met" if met else "missed"
    far = ", ".join(f"{name} {tokens}" for name, tokens in back.items())
    print(f"Tokens of context until within 1% of the best: {far} (target: recurrent ones beyond a 5-gram's 4): {told}")
    return 0 if met or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
