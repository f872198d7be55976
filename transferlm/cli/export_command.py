"""`transferlm export`: a count-based model as a file that other tools read."""

from __future__ import annotations

from pathlib import Path

import click

from transferlm.cli.shared import everywhere, show_json


@click.command("export")
@click.argument("folder")
@click.argument("file", type=click.Path(dir_okay=False))
@everywhere
def command(folder: str, file: str, as_json: bool, seed: int) -> None:  # noqa: ARG001
    """Write the count-based or compact model in FOLDER to FILE, which ends in .arpa or .arpa.gz.

    An existing FILE is replaced.

    KenLM, SRILM and speech recognisers read it, and so does `transferlm evaluate`.
    """
    from transferlm import lifecycle

    lifecycle.export(lifecycle.load(folder), file)
    size = Path(file).stat().st_size
    if as_json:
        show_json({"file": file, "bytes": size})
    else:
        click.echo(f"{file}, {size:,} bytes")
