"""Training over a large vocabulary: the full softmax, the sampled one, and torch's adaptive softmax, in one run.

    python benchmarks/large_vocabulary.py --data DIR [--quick]

DIR holds WikiText-2's `train.txt` and `valid.txt` (33,278 words); the larger vocabulary is that of IMDb's reviews
(`transferlm fetch imdb`), its 100,000 most frequent words and signs, the last thousand reviews kept for validation. All
arms train the same LSTM (width 256, embeddings of 256) by the same loop on the same tokens and differ in the output
layer alone; the adaptive softmax (Grave et al. 2017) is `nn.AdaptiveLogSoftmaxWithLoss` with its own table, as it can't
share the input's. Time is processor time of one thread, so that it holds on a machine that others work on, but only as
a ratio. Perplexities are by exact probabilities over all words. Each arm is seen twice: after equal tokens, and after
the time that the sampled softmax took for them, its schedule fitted to the steps that this time allows.

Exit code 1 when the sampled softmax is not 1.5 times as fast as the full one (both begun at the words' frequencies)
over WikiText-2's vocabulary and 3 times over IMDb's, or not better at equal time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from record import Record
from torch import nn

import transferlm as tl
from transferlm.models._recurrent_network import Network
from transferlm.models._stream import StreamReader
from transferlm.neural.loop import Settings, fit
from transferlm.neural.recurrence import Dropouts
from transferlm.neural.sampled_softmax import SampledLoss
from transferlm.text.corpus import Corpus
from transferlm.text.token_store import token_store
from transferlm.text.tokenizers.word import Word

WIDTH, LANES, LENGTH, RATE, SAMPLES = 256, 20, 35, 4e-3, 4096
WIKITEXT, IMDB = "WikiText-2", "IMDb"
TARGETS = {WIKITEXT: 1.5, IMDB: 3.0}
STEPS, QUICK_STEPS = {WIKITEXT: 1_000, IMDB: 400}, 4
WARM_UP = 2
JUDGED, QUICK_JUDGED = 60_000, 2_000
JUDGED_REVIEWS = 1_000
FULL, BEGUN, SAMPLED, ADAPTIVE = "full", "full, begun at frequencies", "sampled", "adaptive (torch)"
ARMS = (SAMPLED, BEGUN, FULL, ADAPTIVE)


class Text(NamedTuple):
    """Tokens to learn from and to judge by, and how many words there are."""

    train: np.ndarray
    judged: np.ndarray
    words: int


class AdaptiveReader(StreamReader):
    """The stream with torch's adaptive softmax in the place of the output layer; words must be sorted by frequency."""

    def __init__(self, network: Network, stream: np.ndarray, words: int, lanes: int = LANES) -> None:
        super().__init__(network, stream, lanes, LENGTH)
        cutoffs = [cut for cut in (2_000, 10_000, 50_000) if cut < words]
        self.head = nn.AdaptiveLogSoftmaxWithLoss(WIDTH, words, cutoffs)
        network.output = nn.ModuleList([self.head])  # type: ignore[assignment]

    def _read(
        self,
        part: range,
        sampled: SampledLoss | None = None,  # noqa: ARG002 - it has one loss
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        if part.start == 0:
            self.state = None
        states, state = self._network.states(self._part(self.inputs, part), self.state)
        self.state = tuple(tensor.detach() for tensor in state)
        outputs = self._network.outputs(states)
        return self.head(outputs.flatten(0, 1), self._part(self.targets, part).flatten()).loss.float(), states, outputs


def made(arm: str, text: Text) -> StreamReader:
    """An arm's network, drawn anew, over the text that it learns from."""
    torch.manual_seed(0)
    tied = arm != ADAPTIVE
    network = Network(text.words if tied else 1, "lstm", [WIDTH, WIDTH], tied, Dropouts(inputs=0.2, outputs=0.2))
    if not tied:
        network.embedding = nn.Embedding(text.words, WIDTH)
        nn.init.uniform_(network.embedding.weight, -(WIDTH**-0.5), WIDTH**-0.5)
        return AdaptiveReader(network, text.train, text.words)
    counts = np.bincount(text.train, minlength=text.words)
    sampled = SampledLoss(counts, min(SAMPLES, text.words - 1), 0)
    if arm != FULL:
        network.begin_at(sampled.log_frequencies)
    return StreamReader(network, text.train, LANES, LENGTH, sampled=sampled if arm == SAMPLED else None)


def measure(arm: str, text: Text, steps: int) -> dict[str, float]:
    """Train one arm for so many steps; processor time of a step, and perplexity on text that it hasn't seen."""
    for count in (WARM_UP, steps):  # kernels that are made at their first call are no arm's time
        reader = made(arm, text)
        settings = Settings(1, RATE, 0.0, 0.05, "cosine", 0.5, steps=count)
        started = time.process_time()
        fit(reader.module, reader.batches, reader.loss, settings, tokens=reader.tokens, description=arm)
        seconds = time.process_time() - started
    reader.__dict__.update(_lanes_of(text.judged))
    with torch.inference_mode():
        nats = reader.mean_loss()
    return {"seconds": seconds, "steps": steps, "perplexity": float(np.exp(nats))}


def _lanes_of(stream: np.ndarray) -> dict[str, object]:
    """What a reader knows of its text, for another one."""
    length = (len(stream) - 1) // LANES
    return {
        "length": length,
        "inputs": stream[: LANES * length].reshape(LANES, -1),
        "targets": stream[1 : LANES * length + 1].reshape(LANES, -1),
        "state": None,
    }


def texts(data: Path, scratch: Path, judged: int) -> Iterator[tuple[str, Text]]:
    """Each vocabulary's name, and its text."""
    word = Word()
    word.fit(Corpus(data / "train.txt"))
    yield WIKITEXT, _text(word, Corpus(data / "train.txt"), Corpus(data / "valid.txt"), scratch, judged)
    reviews = Corpus(tl.fetch("imdb") / "imdb.csv", column="text")
    kept = reviews.survey().texts - JUDGED_REVIEWS
    train = _written(islice(reviews, kept), scratch / "train.txt")
    held = _written(islice(reviews, kept, None), scratch / "judged.txt")
    word = Word(vocabulary_size=100_000, punctuation=True)
    word.fit(train)
    yield IMDB, _text(word, train, held, scratch, judged)


def _written(lines: Iterable[str], path: Path) -> Corpus:
    path.write_text("".join(" ".join(line.split()) + "\n" for line in lines), encoding="utf-8")
    return Corpus(path)


def _text(word: Word, train: Corpus, held: Corpus, scratch: Path, judged: int) -> Text:
    return Text(
        np.asarray(token_store(train, word, scratch)), np.asarray(token_store(held, word, scratch))[:judged], len(word)
    )


def run(name: str, text: Text, steps: int, cell: Callable[..., dict[str, float]]) -> tuple[float, bool]:
    """Print one vocabulary's table; how many times as fast sampling is, and whether it is better at equal time."""
    equal = {arm: cell(f"{name}, {arm}, {steps} steps", partial(measure, arm, text, steps)) for arm in ARMS}
    print(f"\n{name}: {text.words:,} words, {steps} steps of {LANES} x {LENGTH} tokens, {SAMPLES:,} samples")
    print(f"{'':28}{'speed':>8}{'perplexity':>12}{'in the time of the sampled: steps':>36}{'perplexity':>12}")
    own, best = equal[SAMPLED], {}
    for arm, found in equal.items():
        within = max(1, round(steps * own["seconds"] / found["seconds"]))
        timed = found if arm == SAMPLED else cell(f"{name}, {arm}, in time", partial(measure, arm, text, within))
        best[arm] = timed["perplexity"]
        speed = equal[FULL]["seconds"] / found["seconds"]
        print(f"{arm:28}{speed:>8.2f}{found['perplexity']:>12.1f}{timed['steps']:>36.0f}{timed['perplexity']:>12.1f}")
    return equal[BEGUN]["seconds"] / own["seconds"], best[SAMPLED] < min(best[FULL], best[BEGUN])


def main() -> int:
    """Print the tables and the headline; the exit code says whether the targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with WikiText-2's train.txt and valid.txt")
    parser.add_argument("--quick", action="store_true", help="four steps: the same code, no result")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record = Record("large_vocabulary", arguments.quick)
    print(record.facts["machine"])
    told, met = [], True
    with tempfile.TemporaryDirectory() as scratch:
        judged = QUICK_JUDGED if arguments.quick else JUDGED
        for name, text in texts(arguments.data, Path(scratch), judged):
            steps = QUICK_STEPS if arguments.quick else STEPS[name]
            times, better = run(name, text, steps, record.cell)
            told.append(f"{times:.2f} times as fast over {text.words:,} words (target {TARGETS[name]})")
            met &= times >= TARGETS[name] and better
    verdict = "quick run, no result" if arguments.quick else "met" if met else "missed"
    print(f"\nThe sampled softmax is {' and '.join(told)}, and is to be the better at equal time: {verdict}")
    return 0 if met or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
