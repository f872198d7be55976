"""`transferlm quicken`: the precision that a task model predicts in, chosen by trial."""

from __future__ import annotations

from dataclasses import asdict

import click

from transferlm.cli.shared import everywhere, show_json


@click.command("quicken")
@click.argument("folder")
@click.argument("texts", nargs=-1, required=True)
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--encoding", help="Character encoding of the texts.  [default: utf-8]")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder to write the task model to.")
@everywhere
def command(
    folder: str,
    texts: tuple[str, ...],
    column: str | None,
    encoding: str | None,
    output: str,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Try the precisions that this machine has on the texts in the files TEXTS, a line each, as they will be predicted.

    The quickest that gives the labels of fp32 for 99.5% of 256 texts, and changes no probability by 0.05, is what the
    task model in --output predicts in from then on. Texts that such a change could turn are read again more exactly.
    """
    from transferlm import lifecycle
    from transferlm.errors import UnsupportedError
    from transferlm.storage import refuse_occupied
    from transferlm.text.corpus import Corpus

    refuse_occupied(output)
    if lifecycle.tasks_of(folder):
        raise UnsupportedError(f"{folder} holds several tasks, and a precision is chosen for one: train it alone")
    model = lifecycle.task_model(folder)
    trials = model.quicken(list(Corpus(*texts, column=column, encoding=encoding or "utf-8")))
    model.save(output)
    if as_json:
        show_json({"precision": model.precision, "trials": [asdict(trial) for trial in trials]})
        return
    for trial in trials:
        click.echo(str(trial))
    way = "one way only, with nothing to choose from" if model.precision is None else model.precision
    click.echo(f"{output}: predicts in {way}")
