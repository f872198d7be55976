"""`transferlm nearest`: the words nearest to a word, what completes an analogy, how alike words are."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import click

from transferlm.cli.shared import everywhere, show_json, show_table

if TYPE_CHECKING:
    from transferlm.models.base import WordVectors
    from transferlm.vectors.table import Near


@click.command("nearest")
@click.argument("source")
@click.argument("words", nargs=-1, required=True)
@click.option("--analogy", is_flag=True, help="Take three words A B C: what is to C as B is to A?")
@click.option("--similarity", is_flag=True, help="Take two words or more: how alike is each pair of them?")
@click.option("--count", type=click.IntRange(1), default=10, show_default=True, help="Words given for each.")
@click.option("--encoding", help="Character encoding of a file of vectors.  [default: utf-8]")
@everywhere
def command(
    source: str,
    words: tuple[str, ...],
    analogy: bool,
    similarity: bool,
    count: int,
    encoding: str | None,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Print the words nearest to each of WORDS by the cosine of their vectors, those of the model in SOURCE.

    SOURCE is a model's folder, a fetched name (glove), or a file of word vectors: .bin, .vec, .txt, each .gz too. With
    --json {"nearest": [{"words", "neighbours": [{"word", "cosine"}]}]}, or {"similarity": [{"words", "cosine"}]}.
    """
    from transferlm import lifecycle

    if analogy and similarity:
        raise click.UsageError("--analogy and --similarity are two questions: ask one at a time")
    if analogy and len(words) != 3:
        raise click.UsageError(f"--analogy takes three words, A B C, and {len(words)} are given")
    if similarity and len(words) < 2:
        raise click.UsageError("--similarity takes two words or more, and 1 is given")
    model = lifecycle.word_vectors(source, **({"encoding": encoding} if encoding else {}))
    if similarity:
        _show_similarity(model, words, as_json)
    elif analogy:
        a, b, c = words
        _show_near({f"{a} is to {b} as {c} is to": (words, model.analogy(a, b, c, count))}, as_json)
    else:
        _show_near({f"nearest to {word}": ((word,), model.nearest(word, count)) for word in words}, as_json)


def _show_similarity(model: WordVectors, words: tuple[str, ...], as_json: bool) -> None:
    found = [(pair, model.similarity(*pair)) for pair in combinations(words, 2)]
    if as_json:
        show_json({"similarity": [{"words": list(pair), "cosine": cosine} for pair, cosine in found]})
        return
    show_table("how alike", ["word", "other word", "cosine"], [[*pair, f"{cosine:.4f}"] for pair, cosine in found])


def _show_near(answers: dict[str, tuple[tuple[str, ...], Near]], as_json: bool) -> None:
    """Tables by their titles, or what was asked beside the answers."""
    if as_json:
        rows = [
            {"words": list(asked), "neighbours": [{"word": word, "cosine": cosine} for word, cosine in found]}
            for asked, found in answers.values()
        ]
        show_json({"nearest": rows})
        return
    for title, (_, found) in answers.items():
        show_table(title, ["word", "cosine"], [[word, f"{cosine:.4f}"] for word, cosine in found])
