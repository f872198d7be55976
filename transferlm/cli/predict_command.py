"""`transferlm predict`: labels for texts given as words, in files or on standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from transferlm.cli.shared import everywhere

if TYPE_CHECKING:
    from transferlm.progress import Progress
    from transferlm.task_model import TaskModel
    from transferlm.tasks.base import Prediction
    from transferlm.text.corpus import Corpus
    from transferlm.text.framing import Text


@click.command("predict")
@click.argument("folder")
@click.argument("texts", nargs=-1)
@click.option("--file", "files", multiple=True, help="A file of texts, one a line (or a table, with --column).")
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--encoding", default="utf-8", show_default=True, help="Character encoding of the files.")
@click.option("--table", is_flag=True, help="Read each --file as the task's examples are read; no labels are needed.")
@click.option("--question", help="For a task about pairs: what each text is paired with, such as a question.")
@everywhere
def command(
    folder: str,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    column: str | None,
    encoding: str,
    table: bool,
    question: str | None,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Predict for TEXTS, for the lines of files of any size, or of standard input, with the task model in FOLDER.

    Prints what is predicted and then the text, separated by tabs, a line for every line given: of a blank one nothing
    is predicted. With --json one JSON object a line. A task about pairs (a question and its context) takes --question,
    or files in its own form: SQuAD's JSON, JSON lines, a table.
    """
    from transferlm import lifecycle
    from transferlm.progress import Progress
    from transferlm.text.corpus import Corpus

    if texts and files:
        raise click.UsageError("give texts or --file, not both")
    model = lifecycle.task_model(folder)
    own_form = table or (model.task.paired and question is None)
    _refuse(own_form, model.task.paired, files, column, question)
    write = _as_json if as_json else _as_line
    corpus = None
    if not own_form:
        corpus = Corpus(texts) if texts else Corpus(*(files or ("-",)), column=column, encoding=encoding)
    total, unit = (None, "texts") if corpus is None else (corpus.size, "bytes")
    with Progress("predicting", total, unit) as progress:
        given = _inputs(model, files, progress) if corpus is None else _lines(corpus, question, progress)
        for text, prediction in model.predict_stream(given):
            sys.stdout.write(write(prediction, text, model.task.predicts.columns) + "\n")


def _lines(corpus: Corpus, question: str | None, progress: Progress) -> Iterator[Text]:
    for text in corpus.with_blanks(progress.advance):
        if question is None:
            yield text
        else:
            yield (question, text) if text.strip() else ("", "")


def _refuse(own_form: bool, paired: bool, files: Sequence[str], column: str | None, question: str | None) -> None:
    if question is not None and not paired:
        raise click.UsageError("--question is for tasks about pairs of texts; this one reads single texts")
    if question is not None and own_form:
        raise click.UsageError("--question is for texts; with --table each pair comes from the file")
    if own_form and not files:
        raise click.UsageError("give --question with the texts, or --file in the task's own form")
    if own_form and column is not None:
        raise click.UsageError("--column is for texts; with --table the task knows its columns")


def _inputs(model: TaskModel, files: Sequence[str], progress: Progress) -> Iterator[Text]:
    for file in files:
        for text in model.task.inputs(file):
            yield text
            progress.advance()


def _as_json(prediction: Prediction | None, text: Text, columns: Sequence[str]) -> str:
    told = prediction.to_json() if prediction else dict.fromkeys(columns)
    given = {"text": text} if isinstance(text, str) else {"first": text[0], "second": text[1]}
    return json.dumps({**told, **given}, ensure_ascii=False)


def _as_line(prediction: Prediction | None, text: Text, columns: Sequence[str]) -> str:
    told = str(prediction) if prediction else "\t" * (len(columns) - 1)
    return "\t".join([told, *([text] if isinstance(text, str) else text)])
