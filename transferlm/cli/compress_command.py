"""`transferlm compress`: a count-based model made small for shipping."""

from __future__ import annotations

from pathlib import Path

import click

from transferlm.cli.shared import everywhere, show_json


def _bits(_: click.Context, __: click.Parameter, said: str) -> int | None:
    from transferlm.counts.quantising import check_bits
    from transferlm.errors import SettingError

    if said.lower() == "none":
        return None
    number = int(said[:9]) if said.isascii() and said.isdigit() else said
    try:
        check_bits(number)  # type: ignore[arg-type]
    except SettingError as error:
        raise click.BadParameter(str(error)) from None
    assert isinstance(number, int)
    return number


@click.command("compress")
@click.argument("folder")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder to write the small model to.")
@click.option(
    "--bits",
    default="8",
    show_default=True,
    callback=_bits,
    help="Width of a log-probability's and a back-off weight's code, or none to keep both as they are.",
)
@click.option("--test", multiple=True, help="Text to measure on what it costs in perplexity; repeatable.")
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--encoding", help="Character encoding of the text.  [default: utf-8]")
@everywhere
def command(
    folder: str,
    output: str,
    bits: int | None,
    test: tuple[str, ...],
    column: str | None,
    encoding: str | None,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Write the count-based model in FOLDER (or an ARPA file) without its counts, packed and in codes of a few bits.

    It is evaluated like any other model; no text can be added to it any more.
    """
    from transferlm import lifecycle
    from transferlm.errors import SettingError
    from transferlm.progress import say
    from transferlm.storage import refuse_occupied
    from transferlm.text.corpus import Corpus

    if not test and (column or encoding):
        raise click.UsageError("--column and --encoding tell how --test is read: give that too")
    if refuse_occupied(output).resolve() == Path(folder).resolve():
        raise SettingError(f"{output} would lose the counts that no text can be added without: give another folder")
    texts = Corpus(*test, column=column, encoding=encoding or "utf-8") if test else None
    made = lifecycle.compress(lifecycle.load(folder), bits, texts)
    made.save(output)
    for note in made.lineage.notes:
        say(note)
    found = made.lineage.scores
    sizes = {"before": found["bytes before"], "after": found["bytes after"]}
    names = {"before": "perplexity before", "after": "perplexity after", "rise": "rise"}
    perplexity = {short: found.get(name) for short, name in names.items()} if texts is not None else None
    if as_json:
        show_json({"bytes": sizes, "perplexity": perplexity, "notes": made.lineage.notes})
        return
    click.echo(f"{output}: {sizes['before']:,} -> {sizes['after']:,} bytes as a folder")
    if perplexity is not None:
        before, after = (_told(perplexity[name]) for name in ("before", "after"))
        rise = perplexity["rise"]
        click.echo(f"perplexity: {before} -> {after}{'' if rise is None else f' ({round(rise, 4) + 0.0:+.2%})'}")


def _told(perplexity: float | None) -> str:
    return "infinite" if perplexity is None else f"{perplexity:.2f}"
