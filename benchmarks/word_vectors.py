"""word2vec, fastText and GloVe on WikiText-2, beside gensim alone with the same settings.

    python benchmarks/word_vectors.py --data DIR [--quick]

DIR holds `wikitext2/train.txt`, `words/EN-WS-353-ALL.txt` and `words/questions-words.txt`. Text is read in small
letters, as both test sets fold them. Similarity is Spearman's rank correlation with WS-353; analogies are Google's,
answered by 3CosAdd, over the questions whose words all have vectors. Ours and gensim's word2vec differ by their seeds
alone, so each is trained with several. `grown` is trained on the first half of the text and grown by the second. Words
a second are those of the text times the passes over it (for GloVe, which passes over pairs, once), counting included.
Exit code 1 when ours is worse than gensim by more than twice the standard error
of the difference.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from record import Record

from transferlm import Corpus, catalog
from transferlm.measure.word_vectors import read_word_file
from transferlm.vectors.table import WordTable
from transferlm.vectors.vocabulary import Sentences

SETTINGS = {"width": 100, "window": 5, "minimum_count": 5, "epochs": 5}
GLOVE = {"width": 100, "window": 10, "minimum_count": 5, "epochs": 25, "x_max": 10.0}
QUICK = {"width": 20, "epochs": 1}
QUICK_LINES = 3_000
SEEDS, QUICK_SEEDS = 3, 1


def ours(family: str, settings: dict[str, Any]) -> Callable[[Corpus, int], WordTable]:
    """Corpus, seed -> the family's vectors."""

    def trained(corpus: Corpus, seed: int) -> WordTable:
        model: Any = catalog.find("models", family)(lowercase=True, **settings)
        table: WordTable = model.fit(corpus, seed).table
        return table

    return trained


def grown(settings: dict[str, Any]) -> Callable[[Corpus, int], WordTable]:
    """word2vec of the first half of the text, grown by the second."""

    def trained(corpus: Corpus, seed: int) -> WordTable:
        first, second = corpus.at_end(0.5)
        model: Any = catalog.find("models", "word2vec")(lowercase=True, **settings)
        model.fit(first, seed).grow(second, seed, epochs=settings["epochs"])
        table: WordTable = model.table
        return table

    return trained


def gensims(settings: dict[str, Any]) -> Callable[[Corpus, int], WordTable]:
    """The same by gensim alone, as its own tutorial does it."""
    from gensim.models import Word2Vec

    def trained(corpus: Corpus, seed: int) -> WordTable:
        model = Word2Vec(
            Sentences(corpus, lambda text: text.lower().split()),
            vector_size=settings["width"],
            window=settings["window"],
            min_count=settings["minimum_count"],
            epochs=settings["epochs"],
            sg=1,
            workers=1,
            seed=seed,
        )
        return WordTable.of(model.wv.index_to_key, model.wv.vectors)

    return trained


def measure(train: Callable[[Corpus, int], WordTable], corpus: Corpus, data: Path, seed: int) -> dict[str, Any]:
    """Train once, and score."""
    words = sum(map(len, Sentences(corpus)))
    started = time.perf_counter()
    table = train(corpus, seed)
    seconds = time.perf_counter() - started
    return {
        "similarity": _figures(data / "words" / "EN-WS-353-ALL.txt", table),
        "analogies": _figures(data / "words" / "questions-words.txt", table),
        "vocabulary": len(table),
        "words": words,
        "seconds": seconds,
    }


def _figures(path: Path, table: WordTable) -> dict[str, float]:
    """What is measured on a file of judged words: numbers alone, as the words are the file's authors'."""
    told = read_word_file(path).score(table).to_json()
    return {name: figure for name, figure in told.items() if isinstance(figure, int | float)}


def spread(values: list[float]) -> float:
    """Standard deviation; 0 of one value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def main() -> int:
    """Print table and headline; the exit code says whether the target was met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with wikitext2/ and words/")
    parser.add_argument("--quick", action="store_true", help="3,000 lines, small vectors: the same code, no result")
    arguments = parser.parse_args()
    less = QUICK if arguments.quick else {}
    settings, glove = {**SETTINGS, **less}, {**GLOVE, **less}
    runs = {
        "word2vec": (ours("word2vec", settings), settings),
        "gensim alone": (gensims(settings), settings),
        "word2vec, grown": (grown(settings), settings),
        "fasttext": (ours("fasttext", {**settings, "buckets": 200_000}), {**settings, "buckets": 200_000}),
        "glove": (ours("glove", glove), glove),
    }
    record = Record("word_vectors", arguments.quick)
    seeds = range(1, 1 + (QUICK_SEEDS if arguments.quick else SEEDS))
    with tempfile.TemporaryDirectory() as scratch:
        text = arguments.data / "wikitext2" / "train.txt"
        if arguments.quick:
            short = Path(scratch) / "train.txt"
            with text.open(encoding="utf-8") as whole:
                short.write_text("".join(islice(whole, QUICK_LINES)), encoding="utf-8")
            text = short
        corpus = Corpus(text)
        found = {
            name: [
                record.cell(f"{name} {seed} {kept}", partial(measure, train, corpus, arguments.data, seed))
                for seed in seeds
            ]
            for name, (train, kept) in runs.items()
        }
    passes = {name: 1 if name == "glove" else settings["epochs"] for name in found}
    return shown(found, passes, record, arguments.quick)


def shown(found: dict[str, list[dict[str, Any]]], passes: dict[str, int], record: Record, quick: bool) -> int:
    """Print what was found; the exit code."""
    print(f"{record.facts['machine']}\n{'':16}{'WS-353':>16}{'analogies':>18}{'questions':>11}{'words/s':>12}")
    for name, cells in found.items():
        rho = [cell["similarity"]["spearman"] for cell in cells]
        right = [100 * cell["analogies"]["accuracy"] for cell in cells]
        speed = statistics.median(cell["words"] * passes[name] / cell["seconds"] for cell in cells)
        told = f"{statistics.mean(rho):.3f} ± {spread(rho):.3f}"
        print(
            f"{name:16}{told:>16}{f'{statistics.mean(right):.2f}% ± {spread(right):.2f}':>18}"
            f"{cells[0]['analogies']['known']:>11,}{speed:>12,.0f}"
        )
    met, parts = True, []
    for kind, measured in (("similarity", "spearman"), ("analogies", "accuracy")):
        mine, theirs = ([cell[kind][measured] for cell in found[name]] for name in ("word2vec", "gensim alone"))
        gap = statistics.mean(mine) - statistics.mean(theirs)
        error = math.hypot(spread(mine), spread(theirs)) / math.sqrt(len(mine))
        met &= gap >= -2 * error
        parts.append(f"{kind} {gap:+.4f} (standard error {error:.4f})")
    verdict = "quick run, no result" if quick else "met" if met else "missed"
    print(f"word2vec against gensim alone, the same settings: {', '.join(parts)}; target no worse: {verdict}")
    return 0 if met or quick else 1


if __name__ == "__main__":
    sys.exit(main())
