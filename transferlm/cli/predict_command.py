"""`transferlm predict`: labels for texts given as words, in files or on standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from transferlm.cli.shared import everywhere

if TYPE_CHECKING:
    from transferlm.progress import Progress
    from transferlm.tasks.base import Prediction, Task
    from transferlm.text.corpus import Corpus
    from transferlm.text.framing import Text


_BREAKS = str.maketrans("\t\n\r", "   ")
"""What would end a column or a line."""


@click.command("predict")
@click.argument("folder")
@click.argument("texts", nargs=-1)
@click.option("--file", "files", multiple=True, help="A file of texts, one a line (or a table, with --column).")
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--encoding", help="Character encoding of the files.  [default: utf-8, or the task's own]")
@click.option("--table", is_flag=True, help="Read each --file as the task's examples are read; no labels are needed.")
@click.option("--task", help="Which task, by its name, where the folder holds several.")
@click.option("--question", help="For a task about pairs: what each text is paired with, such as a question.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "int8"]),
    default="auto",
    show_default=True,
    help="What is computed in; auto is what `quicken` chose, else bf16 where the machine has it.",
)
@everywhere
def command(
    folder: str,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    column: str | None,
    encoding: str | None,
    table: bool,
    task: str | None,
    question: str | None,
    precision: str,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Predict for TEXTS, for the lines of files of any size, or of standard input, with the task model in FOLDER.

    Prints what is predicted and then the text, separated by tabs, a line for every text given: tabs and line breaks
    within it become spaces, and of a blank one nothing is predicted. With --json one JSON object a line. A task about
    pairs (a question and its context) takes --question, or files in its own form: SQuAD's JSON, JSON lines, a table.
    """
    from transferlm import lifecycle
    from transferlm.progress import Progress
    from transferlm.text.corpus import Corpus

    if texts and files:
        raise click.UsageError("give texts or --file, not both")
    for flag, value in (("column", column), ("encoding", encoding)):
        if texts and value is not None:
            raise click.UsageError(f"--{flag} says how files are read: with texts given as words leave it out")
    model = lifecycle.task_model(folder, task)
    own_form = table or (model.task.paired and question is None)
    _refuse(model.task.paired, table, files, column, question)
    write = _as_json if as_json else _as_line
    corpus = None
    if not own_form:
        corpus = Corpus(texts) if texts else Corpus(*(files or ("-",)), column=column, encoding=encoding or "utf-8")
    total, unit = (None, "texts") if corpus is None else (corpus.size, "bytes")
    with Progress("predicting", total, unit) as progress:
        given = _inputs(model.task, files, encoding, progress) if corpus is None else _lines(corpus, question, progress)
        for text, prediction in model.predict_stream(given, precision=precision):
            whole = text if question is None else (question, text[1])
            sys.stdout.write(write(prediction, whole, model.task.predicts.columns) + "\n")


def _lines(corpus: Corpus, question: str | None, progress: Progress) -> Iterator[Text]:
    """Each line, with the question where there is one; without it where the line is blank: nothing is asked of that."""
    for text in corpus.with_blanks(progress.advance):
        if question is None:
            yield text
        else:
            yield (question if text.strip() else "", text)


def _refuse(paired: bool, table: bool, files: Sequence[str], column: str | None, question: str | None) -> None:
    if question is not None and not paired:
        raise click.UsageError("--question is for tasks about pairs of texts; this one reads single texts")
    if table and question is not None:
        raise click.UsageError("--question is for texts; with --table each pair comes from the file")
    if table and not files:
        raise click.UsageError("--table says how files are read: name them with --file")
    if table and column is not None:
        raise click.UsageError("--column is for texts; with --table the task knows its columns")
    if not paired or table or question is not None:
        return
    if not files:
        raise click.UsageError("this task is about pairs: give --question with the texts, or --file in its own form")
    if column is not None:
        raise click.UsageError("this task is about pairs: give --question with --column, or files in its own form")


def _inputs(task: Task, files: Sequence[str], encoding: str | None, progress: Progress) -> Iterator[Text]:
    reader: Any = task if encoding is None else replace(task, encoding=encoding)  # type: ignore[type-var]
    for file in files:
        for text in reader.inputs(file):
            yield text
            progress.advance()


def _as_json(prediction: Prediction | None, text: Text, columns: Sequence[str]) -> str:
    told = prediction.to_json() if prediction else dict.fromkeys(columns)
    given = {"text": text} if isinstance(text, str) else {"first": text[0], "second": text[1]}
    return json.dumps({**told, **given}, ensure_ascii=False)


def _as_line(prediction: Prediction | None, text: Text, columns: Sequence[str]) -> str:
    told = str(prediction) if prediction else "\t" * (len(columns) - 1)
    return "\t".join([told, *(part.translate(_BREAKS) for part in ([text] if isinstance(text, str) else text))])
