"""`transferlm export`: a count-based model or word vectors as a file that other tools read."""

from __future__ import annotations

from pathlib import Path

import click

from transferlm.cli.shared import everywhere, show_json


@click.command("export")
@click.argument("folder")
@click.argument("file", type=click.Path(dir_okay=False))
@everywhere
def command(folder: str, file: str, as_json: bool, seed: int) -> None:  # noqa: ARG001
    """Write the model in FOLDER to FILE: a count-based or compact one as .arpa, word vectors as .bin, .vec or .txt.

    Each may end in .gz after that. An existing FILE is replaced. A .txt has no header line, as GloVe's files.

    KenLM, SRILM and speech recognisers read ARPA files, gensim and fastText the others, and so do our own commands.
    """
    from transferlm import lifecycle

    lifecycle.export(lifecycle.load(folder), file)
    size = Path(file).stat().st_size
    if as_json:
        show_json({"file": file, "bytes": size})
    else:
        click.echo(f"{file}, {size:,} bytes")
