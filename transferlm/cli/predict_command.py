"""`transferlm predict`: labels for texts given as words, in files or on standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from transferlm.cli.shared import everywhere

if TYPE_CHECKING:
    from transferlm.tasks.base import Prediction
    from transferlm.text.framing import Text


@click.command("predict")
@click.argument("folder")
@click.argument("texts", nargs=-1)
@click.option("--file", "files", multiple=True, help="A file of texts, one a line (or a table, with --column).")
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--encoding", default="utf-8", show_default=True, help="Character encoding of the files.")
@everywhere
def command(
    folder: str,
    texts: tuple[str, ...],
    files: tuple[str, ...],
    column: str | None,
    encoding: str,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Label TEXTS, the lines of files of any size, or of standard input, with the task model in FOLDER.

    Prints label, probability and text, separated by tabs, a line for every line given: a blank one has no label. With
    --json one JSON object a line.
    """
    from transferlm import lifecycle
    from transferlm.progress import Progress
    from transferlm.text.corpus import Corpus

    if texts and files:
        raise click.UsageError("give texts or --file, not both")
    model = lifecycle.task_model(folder)
    corpus = Corpus(*(files or ("-",)), column=column, encoding=encoding) if not texts else Corpus(texts)
    with Progress("predicting", corpus.size, "bytes") as progress:
        for text, prediction in model.predict_stream(corpus.with_blanks(progress.advance)):
            sys.stdout.write((_as_json if as_json else _as_line)(prediction, text, model.task.predicts.columns) + "\n")


def _as_json(prediction: Prediction | None, text: Text, columns: Sequence[str]) -> str:
    told = prediction.to_json() if prediction else dict.fromkeys(columns)
    given = {"text": text} if isinstance(text, str) else {"first": text[0], "second": text[1]}
    return json.dumps({**told, **given}, ensure_ascii=False)


def _as_line(prediction: Prediction | None, text: Text, columns: Sequence[str]) -> str:
    told = str(prediction) if prediction else "\t" * (len(columns) - 1)
    return "\t".join([told, *([text] if isinstance(text, str) else text)])
