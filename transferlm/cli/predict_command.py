"""`transferlm predict`: labels for texts given as words, in files or on standard input."""

from __future__ import annotations

import json
import sys

import click

from transferlm.cli.shared import everywhere


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
            label, probability = (prediction.label, prediction.probability) if prediction else (None, None)
            if as_json:
                line = json.dumps({"label": label, "probability": probability, "text": text}, ensure_ascii=False)
            else:
                line = f"{label}\t{probability:.4f}\t{text}" if prediction else f"\t\t{text}"
            sys.stdout.write(line + "\n")
