"""`transferlm combine`: several models become one."""

from __future__ import annotations

import click

from transferlm.cli.plugs import Plug, PluggedCommand, built
from transferlm.cli.shared import PlugName, everywhere, show_json


class _Command(PluggedCommand):
    plugs = (Plug("method", "combinations"),)


@click.command("combine", cls=_Command)
@click.argument("folders", nargs=-1, required=True)
@click.option("--method", type=PlugName("combinations"), required=True, help="How the models are put together.")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder to write the combined model to.")
@click.option("--tune", multiple=True, help="Text that none of them was trained on, to fit weights to; repeatable.")
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--encoding", default="utf-8", show_default=True, help="Character encoding of the text.")
@everywhere
def command(
    folders: tuple[str, ...],
    method: str,
    output: str,
    tune: tuple[str, ...],
    column: str | None,
    encoding: str,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Put the models in FOLDERS (or ARPA files) together and write one model that speaks for all."""
    from transferlm import lifecycle
    from transferlm.storage import refuse_occupied
    from transferlm.text.corpus import Corpus

    refuse_occupied(output)
    texts = Corpus(*tune, column=column, encoding=encoding) if tune else None
    made = lifecycle.combine(
        [lifecycle.load(folder) for folder in folders], built("combinations", "method", method), texts
    )
    made.save(output)
    if as_json:
        show_json({"folder": output, "family": made.family, "scores": made.lineage.scores})
    else:
        click.echo("\n".join([output, *(f"{name}: {value:.4g}" for name, value in made.lineage.scores.items())]))
