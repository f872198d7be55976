"""`transferlm evaluate`: a task model's scores on labelled examples, a language model's on text, words' on pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from transferlm.cli.shared import everywhere, show_json, show_table

if TYPE_CHECKING:
    from transferlm.measure.language import LanguageScores
    from transferlm.measure.word_vectors import WordScores
    from transferlm.task_model import Scores

_WIDEST = 12
"""Labels up to which the confusion matrix is drawn; with more, --json holds it."""


@click.command("evaluate")
@click.argument("folder")
@click.argument("data")
@click.option(
    "--context",
    type=click.Choice(["text", "stream"]),
    help="For a language model: each text on its own (the default), or after all texts before it (with --dynamic).",
)
@click.option("--dynamic", is_flag=True, help="For a language model: it learns from the text while it reads it.")
@click.option("--cache", is_flag=True, help="For a language model: with a cache of the words it just read.")
@click.option("--tune", multiple=True, help="Text to fit --dynamic and --cache to, none of it in DATA; repeatable.")
@click.option("--column", help="For a language model: the column that holds the text, for tables.")
@click.option("--encoding", help="For a language model: character encoding of the text.  [default: utf-8]")
@everywhere
def command(
    folder: str,
    data: str,
    context: Literal["text", "stream"] | None,
    dynamic: bool,
    cache: bool,
    tune: tuple[str, ...],
    column: str | None,
    encoding: str | None,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Score the model in FOLDER on DATA.

    A task model is scored on labelled examples; a language model on plain text: a file with one text a line, .gz too, a
    folder of them, a table with --column, or - (standard input). Word vectors are scored on a file of word pairs whose
    similarity people judged (WS-353), or of analogies (Google's).
    """
    from transferlm import lifecycle
    from transferlm.measure.word_vectors import WordScores, read_word_file
    from transferlm.models.base import WordVectors
    from transferlm.task_model import Scores, TaskModel
    from transferlm.text.corpus import Corpus

    model = lifecycle.load(folder)
    added: dict[str, dict[str, Any]] = {}
    reading = {"--context": context, "--dynamic": dynamic, "--cache": cache, "--tune": tune, "--column": column}
    if isinstance(model, WordVectors):
        _refuse(reading, folder, "word vectors")
        found = lifecycle.evaluate(model, read_word_file(Path(data), encoding or "utf-8"))
    elif isinstance(model, TaskModel):
        _refuse({**reading, "--encoding": encoding}, folder, "a task model")
        found = lifecycle.evaluate(model, model.task.read(data, labels=model.labels))
    else:
        where: dict[str, Any] = {"column": column, "encoding": encoding or "utf-8"}
        texts, tuning = Corpus(data, **where), Corpus(*tune, **where) if tune else None
        context = context or ("stream" if dynamic else "text")
        if tuning is not None and not (dynamic or cache):
            raise click.UsageError("--tune is what --dynamic and --cache are fitted to: give one of them, or both")
        if tuning is not None and tuning.hash == texts.hash:
            raise click.UsageError("--tune is the text of DATA: what is scored must have had no part in the fit")
        for name, wanted, add in (
            ("dynamic", dynamic, lifecycle.with_dynamic_evaluation),
            ("cache", cache, lifecycle.with_cache),
        ):
            if wanted:
                model = add(model, tuning, context)
                added[name] = model.hyper_parameters()
        found = lifecycle.evaluate(model, texts, context)
    if isinstance(found, WordScores):
        _show_words(found, f"{folder} on {data}", as_json)
    elif isinstance(found, Scores):
        _show_task(found, f"{folder} on {data}", as_json)
    else:
        _show_language(found, f"{folder} on {data}", as_json, added)


def _refuse(given: dict[str, Any], folder: str, what: str) -> None:
    """Refuse flags that mean nothing for what is scored."""
    for flag, value in given.items():
        if value:
            raise click.UsageError(f"{flag} is for language models; {folder} holds {what}")


def _show_words(found: WordScores, title: str, as_json: bool) -> None:
    if as_json:
        show_json({"scores": found.to_json()})
        return
    name = {"spearman": "Spearman's correlation with people", "accuracy": "analogies answered rightly"}[found.measure]
    rows = [[name, f"{found.value:.4f}"], ["of those with vectors", f"{found.known:,} of {found.total:,}"]]
    show_table(title, ["figure", "value"], rows)


def _show_task(found: Scores, title: str, as_json: bool) -> None:
    from transferlm.task_model import ClassScores

    if as_json:
        show_json(found.to_json())
        return
    rows = [[name, f"{value:.4f}"] for name, value in found.figures().items()]
    show_table(title, ["metric", "value"], rows)
    columns = list(next(iter(found.by_label.values()), {}))
    if columns:
        shown = [
            [label, *(f"{row[name]:,}" if isinstance(row[name], int) else f"{row[name]:.4f}" for name in columns)]
            for label, row in found.by_label.items()
        ]
        show_table("by label", ["label", *(name.replace("f1", "F1") for name in columns)], shown)
    if isinstance(found, ClassScores) and len(found.labels) <= _WIDEST:
        counts = [[label, *(f"{n:,}" for n in row)] for label, row in zip(found.labels, found.confusion, strict=True)]
        show_table("taken for", ["true label", *found.labels], counts)


def _show_language(found: LanguageScores, title: str, as_json: bool, added: dict[str, dict[str, Any]]) -> None:
    if as_json:
        show_json({"scores": found.to_json(), **added})
        return
    bits = found.why_no_bits_per_byte or f"{found.bits_per_byte:.4f}"
    rows = [
        ["perplexity", f"{found.perplexity:.2f} a token, ends of texts counted"],
        ["bits per token", f"{found.bits_per_token:.4f}"],
        ["bits per byte", bits if found.bits_per_byte is not None else f"none: {bits}"],
        ["tokens", f"{found.tokens:,}, {found.unknown_share:.2%} unknown"],
        ["texts", f"{found.texts:,}, {found.bytes:,} bytes with an end each"],
        ["vocabulary", f"{found.vocabulary.name} ({found.vocabulary.hash[:12]})"],
        ["context", "each text alone" if found.context == "text" else "all texts before"],
        *([what, ", ".join(f"{name} {value}" for name, value in settings.items())] for what, settings in added.items()),
    ]
    show_table(title, ["figure", "value"], rows)
