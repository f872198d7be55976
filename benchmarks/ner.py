"""Named entities beside Hugging Face Trainer's recipe with the same body, in English and Chinese.

    python benchmarks/ner.py --data DIR [--quick]

The first 1,000 training sentences of CoNLL-2003, WNUT-17 and Resume, and Weibo's 1,350, are learnt by `FineTuning` and
by the Trainer (`run_ner.py`'s recipe) from the same weights with the same epochs and batch size, and by `FineTuning`
from scratch, each at the better of two peak step sizes on the development part; up to 1,000 test sentences are tagged.
English reads MiniLM-L6, Chinese m3e-small (licence: non-commercial research only). F1 is of whole entities, as seqeval
counts them, which is asserted. A made document of 5,000 words is read whole, and what is found there stands beside what
is found sentence by sentence. DIR holds the folder `ner`. Needs `pip install transferlm[benchmarks]`, `transferlm fetch
minilm` and `transferlm fetch m3e-small`. Exit code 1 when the Trainer is shown to be better on a set, or better on
average, or entities of the long document are lost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import Record
from trainer_peer import Budget, Stopwatch
from trainer_tags import tag_words

import transferlm as tl
from transferlm import sources
from transferlm.measure.intervals import Interval, interval_of_mean
from transferlm.tasks.base import Entities, Entity, Examples
from transferlm.text.conll import joined, read_columns

BUDGET = Budget(epochs=5, batch_size=16, learning_rate=1e-4, max_length=256)
RATES, TRIED = (1e-4, 3e-4), 500
"""Peak step sizes that each arm chooses from on sentences of the development part, and how many those are."""
ROWS, SEEDS, DEVELOPMENT_SEED = 1000, 3, 100
WORDS, LOST = 5000, 0.05
"""Length of the made document, and how much of its F1 reading it whole may cost beside its sentences one by one."""
OURS, PEER, SCRATCH = "transferlm", "Trainer", "from scratch"
Spans = set[tuple[int, int, str]]


@dataclass(frozen=True)
class Corpus:
    """A set of the benchmark: the body that reads it, and its files."""

    name: str
    body: str
    train: str
    dev: str
    test: str


CORPORA = (
    Corpus("CoNLL-2003", "minilm", "conll2003.train", "conll2003.dev", "conll2003.test"),
    Corpus("WNUT-17", "minilm", "wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
    Corpus("Weibo", "m3e-small", "weibo.train", "weibo.dev", "weibo.test"),
    Corpus("Resume", "m3e-small", "resume.train.bmes", "resume.dev.bmes", "resume.test.bmes"),
)


def ours(body: Any, train: Examples, test: Examples, budget: Budget, seed: int) -> tuple[list[Spans], dict[str, Any]]:
    """What `FineTuning` finds, and a cell's further figures: times, and of English a document of 5,000 words."""
    strategy = tl.strategies.FineTuning(
        epochs=budget.epochs,
        minimum_steps=0,
        batch_size=budget.batch_size,
        learning_rate=budget.learning_rate,
        held_out=0.0,
    )
    clock = Stopwatch()
    made = tl.transfer(body, train, strategy, seed)
    clock.lap()
    found = [_spans(row) for row in made.predict(test.texts)]
    clock.lap()
    return found, {**clock.timed().cell(), **_long(made, test)}


def _gold(examples: Examples) -> list[Spans]:
    return [{(entity.start, entity.end, entity.label) for entity in row} for row in examples.targets]


def _spans(row: Any) -> Spans:
    assert isinstance(row, Entities)
    return {(entity.start, entity.end, entity.label) for entity in row.entities}


def _long(made: tl.TaskModel, test: Examples) -> dict[str, Any]:
    """The document's figures, of a test part in English that has enough words for one."""
    enough = sum(len(str(text).split()) for text in test.texts) >= WORDS
    return {"document": _document(made, test)} if enough else {}


def _document(made: tl.TaskModel, test: Examples) -> dict[str, float]:
    """Sentences of the test part as one text: its entities found whole, and sentence by sentence."""
    gold, apart, place = set[Any](), set[Any](), 0
    sentences: list[str] = []
    for text, target, row in zip(test.texts, test.targets, made.predict(test.texts), strict=True):
        if sum(len(sentence.split()) for sentence in sentences) >= WORDS:
            break
        sentences.append(str(text))
        gold |= {(e.start + place, e.end + place, e.label) for e in target}
        apart |= {(start + place, end + place, label) for start, end, label in _spans(row)}
        place += len(str(text)) + 1
    (row,) = made.predict([" ".join(sentences)])
    whole = _spans(row)
    return {"gold": len(gold), "whole": _f1(whole, gold), "apart": _f1(apart, gold), "alike": _f1(whole, apart)}


def _f1(said: Spans, true: Spans) -> float:
    return 2 * len(said & true) / max(1, len(said) + len(true))


def trainer(corpus: Corpus, data: Path, train: Examples, test: tuple[str, Examples], budget: Budget, seed: int) -> Any:
    """What the Trainer's recipe finds in a file's examples, as entities of characters, and its times."""
    from seqeval.metrics.sequence_labeling import get_entities

    tags = ["O", *(f"{mark}-{label}" for label in train.labels for mark in "BI")]
    words, places = _words(data / corpus.train, train)
    test_words, test_places = _words(data / test[0], test[1])
    gold = _gold(train)
    learnt = [[tags.index(tag) for tag in _tags(row, spots)] for row, spots in zip(gold, places, strict=True)]
    folder = sources.fetch(corpus.body)
    found, timed = tag_words(folder, (words, learnt), test_words, tags, budget, seed)
    spans = []
    for row, spots in zip(found, test_places, strict=True):
        chunks = get_entities([tags[tag] for tag in row])
        spans.append({(spots[first][0], spots[last][1], label) for label, first, last in chunks})
    return spans, timed.cell()


def _words(path: Path, examples: Examples) -> tuple[list[list[str]], list[list[tuple[int, int]]]]:
    """The file's words of each example, and where they stand in its text."""
    columns = read_columns(path)
    words, places = [], []
    for sentence, text in zip(columns.sentences, examples.texts, strict=False):
        joint, starts = joined(sentence.tokens, columns.by_character)
        assert joint == text, "the sentences are not those of the examples"
        words.append(sentence.tokens)
        places.append([(start, start + len(word)) for start, word in zip(starts, sentence.tokens, strict=True)])
    return words, places


def _tags(entities: Spans, places: Sequence[tuple[int, int]]) -> list[str]:
    """BIO tags of the units at these places; one that an entity holds a part of is the entity's."""
    tags = ["O"] * len(places)
    for start, end, label in entities:
        inside = [n for n, (a, b) in enumerate(places) if a < end and b > start]
        for n in inside:
            tags[n] = f"{'B' if n == inside[0] else 'I'}-{label}"
    return tags


def measured(found: Sequence[Spans], test: Examples) -> dict[str, Any]:
    """Entity F1 with each sentence's counts, after asserting that seqeval and our metric count the same."""
    from seqeval.metrics import f1_score

    gold = _gold(test)
    hits, true, said = (
        [len(s) for s in side] for side in ([a & b for a, b in zip(found, gold, strict=True)], gold, found)
    )
    f1 = 2 * sum(hits) / max(1, sum(true) + sum(said))
    letters = [[(n, n + 1) for n in range(len(text))] for text in test.texts]
    both = [[_tags(row, places) for row, places in zip(side, letters, strict=True)] for side in (gold, found)]
    rows = [Entities(tuple(Entity(a, b, label, "", 1.0) for a, b, label in sorted(row))) for row in found]
    own = test.task.metrics(test.targets, rows, test.labels)["f1"]
    assert abs(f1_score(*both) - f1) < 1e-12, f"seqeval counts {f1_score(*both)}, counted here {f1}"
    assert abs(own - f1) < 1e-12, f"the task's metric is {own}, seqeval's {f1}"
    return {
        "f1": f1,
        **{name: " ".join(map(str, row)) for name, row in (("hits", hits), ("said", said), ("true", true))},
    }


def gain(mine: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> Interval:
    """How many points of F1 the first arm is better, seeds and sentences both random (jackknife pseudo-values)."""
    return interval_of_mean(np.stack([_shares(cell) for cell in mine]) - np.stack([_shares(cell) for cell in theirs]))


def _shares(cell: dict[str, Any]) -> np.ndarray:
    """Each sentence's pseudo-value of F1: float64 of shape (sentences,)."""
    hits, said, true = (np.array(cell[name].split(), dtype=np.float64) for name in ("hits", "said", "true"))
    without = 2 * (hits.sum() - hits) / np.maximum(1, said.sum() + true.sum() - said - true)
    return np.asarray(cell["f1"] + (len(hits) - 1) * (without.mean() - without))


def cells(corpus: Corpus, data: Path, record: Record, rows: int, seeds: int) -> dict[str, list[dict[str, Any]]]:
    """Every arm's cells of one set, measured or kept from an earlier run; the arms take turns."""
    whole = tl.read(data / corpus.train, tl.tasks.NER())
    train = whole.subset(np.arange(min(len(whole), rows if corpus.name != "Weibo" else 2 * rows)))
    parts = {}
    for file, most in ((corpus.dev, min(rows, TRIED)), (corpus.test, rows)):
        part = train.task.read(data / file, labels=train.labels)
        parts[file] = part.subset(np.arange(min(len(part), most)))
    body: Any = tl.load(sources.fetch(corpus.body), max_length=BUDGET.max_length)

    def measure(arm: str, file: str, budget: Budget, seed: int) -> dict[str, Any]:
        if arm == PEER:
            found, further = trainer(corpus, data, train, (file, parts[file]), budget, seed)
        else:
            start = body.untrained(seed) if arm == SCRATCH else body
            found, further = ours(start, train, parts[file], budget, seed)
        return {**measured(found, parts[file]), **further}

    def cell(arm: str, file: str, rate: float, seed: int) -> dict[str, Any]:
        budget = replace(BUDGET, learning_rate=rate)
        hashes = f"{train.hash[:12]} {parts[file].hash[:12]}"
        key = f"{corpus.name}, {arm}, seed {seed}, {budget}, {train.task}, {file} {hashes}"
        found: dict[str, Any] = record.cell(key, partial(measure, arm, file, budget, seed))
        return found

    arms = (OURS, PEER, SCRATCH)
    rates = {arm: max(RATES, key=lambda rate: cell(arm, corpus.dev, rate, DEVELOPMENT_SEED)["f1"]) for arm in arms}
    shown: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
    for seed in range(seeds):
        for arm, found in shown.items():
            found.append(cell(arm, corpus.test, rates[arm], seed))
    print(
        f"{corpus.name}: peak step size {', '.join(f'{arm} {rate:g}' for arm, rate in rates.items())}", file=sys.stderr
    )
    return shown


def show(corpus: Corpus, found: dict[str, list[dict[str, Any]]]) -> tuple[Interval, list[bool]]:
    """Print a set's rows; how far ours is ahead of the Trainer, and whether its document, if any, was read whole."""
    against = gain(found[OURS], found[PEER])
    for arm, row in found.items():
        f1 = np.array([cell["f1"] for cell in row])
        seconds, processor = (np.median([cell[name] for cell in row]) for name in ("train", "train_processor"))
        told = f"{100 * f1.mean():>8.1f}{100 * f1.std():>7.1f}{seconds:>10.0f}{processor:>12.0f}"
        other = gain(found[OURS], row) if arm != OURS else None
        ahead = "" if other is None else f"{100 * other.gain:+.1f} [{100 * other.low:.1f}, {100 * other.high:.1f}]"
        print(f"{corpus.name if arm == OURS else '':12}{arm:14}{told}{ahead:>24}")
    documents = [cell["document"] for cell in found[OURS] if "document" in cell]
    if not documents:
        return against, []
    whole, apart, alike = (float(np.mean([d[name] for d in documents])) for name in ("whole", "apart", "alike"))
    print(
        f"{'':12}one document of {WORDS:,} words: F1 {whole:.1%} read whole, {apart:.1%} sentence by sentence,"
        f" {alike:.1%} between the two"
    )
    return against, [whole > apart - LOST]


def main() -> int:
    """Print the table and the headline; the exit code says whether the targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the folder ner")
    parser.add_argument("--quick", action="store_true", help="Resume alone, 48 sentences and one seed")
    arguments = parser.parse_args()
    corpora, rows, seeds = (CORPORA[-1:], 48, 1) if arguments.quick else (CORPORA, ROWS, SEEDS)
    record = Record("ner", arguments.quick)
    course = f"{BUDGET.epochs} epochs in batches of {BUDGET.batch_size}"
    print(f"{rows} sentences, {course}, {seeds} seeds; {record.facts['machine']}")
    print(f"{'':26}{'F1':>8}{'sd':>7}{'train s':>10}{'processor s':>12}{'ours is ahead by':>24}")
    gains: list[Interval] = []
    read: list[bool] = []
    for corpus in corpora:
        against, whole = show(corpus, cells(corpus, arguments.data / "ner", record, rows, seeds))
        gains.append(against)
        read += whole
    mean, beaten = float(np.mean([g.gain for g in gains])), sum(g.high < 0 for g in gains)
    met = mean >= 0 and not beaten and all(read)
    print(
        f"Entity F1 is {100 * mean:+.1f} points beside the Trainer's on average (target 0 or more); it is shown to be"
        f" better on {beaten} of {len(gains)} sets (target 0); of {len(read)} long documents {sum(read)} lose less than"
        f" {100 * LOST:.0f} points beside their sentences (target all): {'met' if met else 'missed'}"
    )
    return 0 if met or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
