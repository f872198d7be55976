"""Train on English reviews, predict Chinese ones: which way across a language is worth how many Chinese labels?

    python benchmarks/cross_language.py --data DIR --cedict FILE [--quick]

Labels are English (CR's product reviews, 500 a class, 5 seeds); the test parts are Chinese (ChnSentiCorp without the
rows that stand in train, Waimai). The ways: word vectors of both languages, trained here on reviews without labels, in
one space by `orthogonal_map`, with a dictionary (FILE is CC-CEDICT as its makers give it, `.gz` too), without one, and,
as a check, with the dictionary's pairs shuffled; a multilingual encoder (`use-multilingual`); a Chinese masked model
(`m3e-small`, research only) as it is, and updated by `continued_pretraining` on reviews of both languages. Each is a
frozen encoder below `feature_extraction`. Beside them TF-IDF from scratch on 8 and 64 Chinese labels a class, which is
what a person without transfer has; gains are over the 8, with 95% intervals, seeds and test examples both random. DIR
holds `cr-train.csv`, `chnsenticorp-train.csv`, `chnsenticorp-test-clean.csv`, `waimai-train.csv` and `waimai-test.csv`;
needs `transferlm fetch` of imdb, chinese-reviews, use-multilingual and m3e-small, and the extra `chinese`. Exit code 1
when no way is above TF-IDF from 8 Chinese labels a class on either test part (an interval's lower end above 0).
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from record import Record

import transferlm as tl
from transferlm.experiments.remembered import Remembered
from transferlm.measure.intervals import paired_gain
from transferlm.text.draws import draw
from transferlm.text.files import numbered_lines

LABELS, SEEDS, WIDTH = 500, 5, 100
ENGLISH_REVIEWS, STEPS = 10_000, 150
TESTS = {"ChnSentiCorp": "chnsenticorp-test-clean", "Waimai": "waimai-test"}
BASE = "TF-IDF, 8 Chinese labels a class"
Right = dict[str, list[str]]


class Data:
    """Texts and labels, read once."""

    def __init__(self, folder: Path, cedict: Path, quick: bool) -> None:
        self.folder, self.cedict, self.quick = folder, cedict, quick
        self.seeds = 2 if quick else SEEDS

    @cache  # noqa: B019 - one object for the whole run
    def examples(self, name: str) -> tl.Examples:
        """One labelled set, its labels in the order of CR's."""
        labels = None if name == "cr-train" else self.examples("cr-train").labels
        found: tl.Examples = tl.tasks.Classification().read(self.folder / f"{name}.csv", labels=labels)
        return found.subset(np.arange(200)) if self.quick and name in TESTS.values() else found

    def texts(self, language: str) -> list[str]:
        """Reviews without labels; none of them is a test text."""
        if language == "english":
            reviews = [text.replace("<br />", " ") for text in _column(tl.fetch("imdb") / "imdb.csv")]
            count = 300 if self.quick else ENGLISH_REVIEWS
            return [*self.examples("cr-train").strings, *reviews[:count]]
        tests = {text.strip() for name in TESTS.values() for text in self.examples(name).strings}
        own = [text for name in ("chnsenticorp", "waimai") for text in self.examples(f"{name}-train").strings]
        other = [] if self.quick else _column(tl.fetch("chinese-reviews") / "chinese-reviews.csv")
        return [text for text in [*own[: 2000 if self.quick else None], *other] if text.strip() not in tests]

    @cache  # noqa: B019 - as above
    def vectors(self, language: str) -> Any:
        """word2vec of one language's reviews."""
        settings = {"lowercase": True, "punctuation": True, "chinese": "words"}
        least = 2 if self.quick else 5
        return tl.pretrain(tl.models.Word2Vec(width=WIDTH, minimum_count=least, **settings), self.texts(language))

    def dictionary(self, folder: Path, shuffled: bool) -> Path:
        """CC-CEDICT's entries whose words both models know, as a file of pairs."""
        english, chinese = (self.vectors(name).table for name in ("english", "chinese"))
        pairs = [(one, other) for one, other in _entries(self.cedict) if one in english and other in chinese]
        if shuffled:
            order = np.random.default_rng(0).permutation(len(pairs))
            pairs = [(one, pairs[place][1]) for (one, _), place in zip(pairs, order, strict=True)]
        path = folder / "pairs.txt"
        path.write_text("".join(f"{one}\t{other}\n" for one, other in pairs), encoding="utf-8")
        return path


def _column(path: Path) -> list[str]:
    return tl.read(path, tl.tasks.Classification()).strings


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """English and simplified Chinese words out of CC-CEDICT, for glosses of one word."""
    for _, line in numbered_lines(path):
        entry = re.match(r"\S+ (\S+) \[[^]]*\] /(.*)/", line)
        for gloss in entry[2].split("/") if entry else ():
            word = re.sub(r"\([^)]*\)|^to ", "", gloss).strip().lower()
            if re.fullmatch(r"[a-z]+", word):
                yield word, entry[1]  # type: ignore[index]


def by_vectors(data: Data, how: str) -> Any:
    """Both languages' word vectors in one space."""
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {}
        if how != "no dictionary":
            settings = {"dictionary": str(data.dictionary(Path(folder), how == "shuffled dictionary"))}
        elif data.quick:
            settings = {"frequent": 300, "rounds": 3}
        method = tl.combinations.OrthogonalMap(**settings)
        return tl.combine([data.vectors("english"), data.vectors("chinese")], method)


def by_encoder(data: Data, name: str, updated: bool) -> Any:
    """A pretrained encoder, as it is or updated on both languages' reviews."""
    model = tl.load(tl.fetch(name)) if name == "use-multilingual" else tl.load(tl.fetch(name), max_length=64)
    if not updated:
        return model
    steps, count = (2, 200) if data.quick else (STEPS, 16 * STEPS)
    mixed = [
        text for pair in zip(*(data.texts(name) for name in ("english", "chinese")), strict=False) for text in pair
    ]
    method = tl.updates.ContinuedPretraining(steps=steps, head_steps=steps // 2 + 1, batch_size=16)
    return tl.update(model, list(islice(mixed, 2 * count)), method).model


def across(data: Data, model: Any) -> dict[str, Any]:
    """Train on English labels, test on Chinese reviews."""
    source = data.examples("cr-train")
    tests = {name: data.examples(file) for name, file in TESTS.items()}
    body = Remembered(model, [text for part in (source, *tests.values()) for text in part.strings])
    right: Right = {name: [] for name in tests}
    for seed in range(data.seeds):
        few = source.subset(draw(source.targets, LABELS, seed).rows)
        learnt = tl.transfer(body, few, tl.strategies.FeatureExtraction(), seed)
        for name, test in tests.items():
            right[name].append(_right(learnt, test))
    return {"right": right, "story": model.lineage.scores}


def from_scratch(data: Data, size: int) -> dict[str, Any]:
    """TF-IDF and a linear model on the target's own labels."""
    right: Right = {}
    for name, file in TESTS.items():
        train = data.examples(f"{file.split('-')[0]}-train")
        draws = [train.subset(draw(train.targets, size, seed).rows) for seed in range(data.seeds)]
        made = [tl.transfer(tl.models.TfIdf(), few, tl.strategies.FeatureExtraction()) for few in draws]
        right[name] = [_right(each, data.examples(file)) for each in made]
    return {"right": right, "story": {}}


def _right(learnt: Any, test: tl.Examples) -> str:
    """A 1 for each example that is predicted rightly, a 0 for each other."""
    found = learnt.score(test).probabilities.argmax(axis=1) == test.targets
    return "".join("01"[int(each)] for each in found)


def _table(rows: list[str]) -> np.ndarray:
    return np.array([[float(each) for each in row] for row in rows])


def main() -> int:
    """Print a row a way and test part, and whether one of them beats a few labels of the language itself."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with the sets that the head of this file names"
    )
    parser.add_argument("--cedict", type=Path, required=True, help="CC-CEDICT, text or .gz")
    parser.add_argument("--quick", action="store_true", help="word vectors of 300 and 2,000 reviews alone, 2 seeds")
    arguments = parser.parse_args()
    data, record = Data(arguments.data, arguments.cedict, arguments.quick), Record("cross_language", arguments.quick)
    ways = {BASE: partial(from_scratch, data, 8), "TF-IDF, 64 Chinese labels a class": partial(from_scratch, data, 64)}
    for how in ("dictionary", "no dictionary", "shuffled dictionary"):
        ways[f"word vectors, {how}"] = partial(lambda how: across(data, by_vectors(data, how)), how)
    if not arguments.quick:
        for name, updated in (("use-multilingual", False), ("m3e-small", False), ("m3e-small", True)):
            way = partial(lambda name, updated: across(data, by_encoder(data, name, updated)), name, updated)
            ways[f"{name}{', updated on both languages' if updated else ''}"] = way
    cells = {name: record.cell(name, way) for name, way in ways.items()}
    best: list[tuple[float, str]] = []
    for test in TESTS:
        base = _table(cells[BASE]["right"][test])
        targets = data.examples(TESTS[test]).targets
        print(f"{test}: {len(targets):,} reviews, {np.bincount(targets).max() / len(targets):.1%} of the larger class")
        for name, cell in cells.items():
            found = _table(cell["right"][test])
            gain = paired_gain(found, base)
            told = f"{gain.mean:+8.1%} [{gain.low:+.1%}, {gain.high:+.1%}]" if name != BASE else ""
            print(f"  {name:40}{found.mean():8.1%}{told}")
            best += [(gain.low, f"{name} on {test} ({found.mean():.1%})")] if "TF-IDF" not in name else []
    for name, cell in cells.items():
        if "translated rightly" in cell["story"]:
            print(f"{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in cell["story"].items()))
    low, told = max(best)
    met = low > 0
    print(
        f"English labels instead of 8 Chinese ones a class, best: {told}, {'shown' if met else 'not shown'} to be above"
    )
    return 0 if met or arguments.quick else 1


if __name__ == "__main__":
    sys.exit(main())
