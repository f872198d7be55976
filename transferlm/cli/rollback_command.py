"""`transferlm rollback`: an earlier version of a model is put back."""

from __future__ import annotations

import click

from transferlm.cli.shared import everywhere, show_json


@click.command("rollback")
@click.argument("folder", type=click.Path())
@click.option("--to", type=click.IntRange(1), help="Number of the version; without it the one that was replaced last.")
@everywhere
def command(folder: str, to: int | None, as_json: bool, seed: int) -> None:  # noqa: ARG001
    """Put an earlier version of the model in FOLDER back; `transferlm show FOLDER` lists them.

    What it replaces becomes a version in turn, so that going back can be undone.
    """
    from transferlm import lifecycle

    version = lifecycle.rollback(folder, to)
    if as_json:
        show_json({"folder": folder, **version.as_json(), "path": folder})
    else:
        click.echo(f"{folder}: version {version.number} is back ({version.step})")
