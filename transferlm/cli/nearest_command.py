"""`transferlm nearest`: the words nearest to a word, or what completes an analogy."""

from __future__ import annotations

import click

from transferlm.cli.shared import everywhere, show_json, show_table


@click.command("nearest")
@click.argument("source")
@click.argument("words", nargs=-1, required=True)
@click.option("--analogy", is_flag=True, help="Take three words A B C: what is to C as B is to A?")
@click.option("--count", type=click.IntRange(1), default=10, show_default=True, help="Words given for each.")
@click.option("--encoding", help="Character encoding of a file of vectors.  [default: utf-8]")
@everywhere
def command(
    source: str,
    words: tuple[str, ...],
    analogy: bool,
    count: int,
    encoding: str | None,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Print the words nearest to each of WORDS by the cosine of their vectors, those of the model in SOURCE.

    SOURCE is a model's folder, a fetched name (glove), or a file of word vectors: .bin, .vec, .txt, each .gz too. With
    --json {"nearest": [{"words", "neighbours": [{"word", "cosine"}]}]}.
    """
    from transferlm import lifecycle

    if analogy and len(words) != 3:
        raise click.UsageError(f"--analogy takes three words, A B C, and {len(words)} are given")
    model = lifecycle.word_vectors(source, **({"encoding": encoding} if encoding else {}))
    if analogy:
        a, b, c = words
        asked, answers = [words], [model.table.analogy(a, b, c, count)]
    else:
        asked, answers = [(word,) for word in words], [model.nearest(word, count) for word in words]
    if as_json:
        rows = [
            {"words": list(each), "neighbours": [{"word": word, "cosine": cosine} for word, cosine in found]}
            for each, found in zip(asked, answers, strict=True)
        ]
        show_json({"nearest": rows})
        return
    for each, found in zip(asked, answers, strict=True):
        title = f"{each[0]} is to {each[1]} as {each[2]} is to" if analogy else f"nearest to {each[0]}"
        show_table(title, ["word", "cosine"], [[word, f"{cosine:.4f}"] for word, cosine in found])
