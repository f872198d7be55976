"""`transferlm compress`: a count-based model made small for shipping."""

from __future__ import annotations

import click

from transferlm.cli.shared import everywhere, show_json


def _bits(_: click.Context, __: click.Parameter, said: str) -> int | None:
    if said.lower() == "none":
        return None
    if not said.isascii() or not said.isdigit() or not 2 <= int(said[:9]) <= 16:
        raise click.BadParameter(f"{said!r}: give 2 to 16, or none to lose nothing")
    return int(said)


@click.command("compress")
@click.argument("folder")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder to write the small model to.")
@click.option(
    "--bits",
    default="8",
    show_default=True,
    callback=_bits,
    help="2 to 16 for each log-probability and back-off weight, or none to keep both as they are.",
)
@click.option("--test", multiple=True, help="Text to measure on what it costs in perplexity; repeatable.")
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--encoding", default="utf-8", show_default=True, help="Character encoding of the text.")
@everywhere
def command(
    folder: str,
    output: str,
    bits: int | None,
    test: tuple[str, ...],
    column: str | None,
    encoding: str,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Write the count-based model in FOLDER (or an ARPA file) without its counts, packed and in codes of a few bits.

    It is evaluated like any other model; no text can be added to it any more.
    """
    from transferlm import lifecycle
    from transferlm.progress import say
    from transferlm.storage import refuse_occupied
    from transferlm.text.corpus import Corpus

    refuse_occupied(output)
    texts = Corpus(*test, column=column, encoding=encoding) if test else None
    made = lifecycle.compress(lifecycle.load(folder), bits, texts)
    made.save(output)
    for note in made.lineage.notes:
        say(note)
    found = made.lineage.scores
    sizes = {"before": found["bytes before"], "after": found["bytes after"]}
    names = {"before": "perplexity before", "after": "perplexity after", "rise": "rise"}
    perplexity = {short: found[name] for short, name in names.items()} if texts is not None else None
    if as_json:
        show_json({"bytes": sizes, "perplexity": perplexity, "notes": made.lineage.notes})
        return
    click.echo(f"{output}: {sizes['before']:,} -> {sizes['after']:,} bytes")
    if perplexity is not None:
        rise = f"{round(perplexity['rise'], 4) + 0.0:+.2%}"
        click.echo(f"perplexity: {perplexity['before']:.2f} -> {perplexity['after']:.2f} ({rise})")
