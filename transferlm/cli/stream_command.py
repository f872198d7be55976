"""`transferlm stream`: a model is kept current over dated text, and measured at every step."""

from __future__ import annotations

import click

from transferlm.cli.plugs import Plug, PluggedCommand, built
from transferlm.cli.shared import PlugName, everywhere, kept_state, show_json, show_table, watched


class _Command(PluggedCommand):
    plugs = (Plug("method", "updates"),)


@click.command("stream", cls=_Command)
@click.argument("folder")
@click.argument("texts", type=click.Path())
@click.option("--method", type=PlugName("updates"), required=True, help="How each period is learnt.")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder for the model after the last update.")
@click.option("--by", default="month", show_default=True, help="Cut by day, month, quarter, year or decade.")
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--date", help="The column that holds the date, for tables.")
@click.option("--old", multiple=True, help="Text of the kind it knew before, scored after every update; repeatable.")
@click.option("--held-out", default=0.1, show_default=True, help="Share of each period that is never learnt.")
@click.option("--delta", default=0.002, show_default=True, help="Chance of a false drift alarm at each check.")
@click.option("--report", type=click.Path(), help="Write one self-contained HTML page here.")
@click.option("--encoding", default="utf-8", show_default=True, help="Character encoding of the text.")
@watched
@everywhere
def command(
    folder: str,
    texts: str,
    method: str,
    output: str,
    by: str,
    column: str | None,
    date: str | None,
    old: tuple[str, ...],
    held_out: float,
    delta: float,
    report: str | None,
    encoding: str,
    as_json: bool,
    seed: int,
) -> None:
    """Update the model in FOLDER period by period on TEXTS: a folder of files with a date in their names, or a table.

    Each period is scored before it is learnt, beside the model left as it was; a held-out part of every period is
    scored after every update. Interrupted, the same command goes on where it stopped, to the same figures.
    """
    from transferlm import lifecycle
    from transferlm.experiments.stream import stream
    from transferlm.storage import refuse_occupied
    from transferlm.text.corpus import Corpus
    from transferlm.text.dated import read_periods
    from transferlm.versions import replacing

    refuse_occupied(output)
    model = lifecycle.load(folder)
    periods = read_periods(texts, by, column, date, encoding)
    known = Corpus(*old, encoding=encoding) if old else None
    way = built("updates", "method", method)
    with kept_state(output) as state:
        found = stream(model, periods, way, known, share=held_out, delta=delta, seed=seed, checkpoints=state)
        with replacing(output):
            found.model.save(output)
        if report:
            found.report(report, f"{folder} over time")
    if as_json:
        show_json(found.as_json())
        return
    columns = ("period", "updated", "frozen", "gap", "cost of learning it")
    show_table(f"Loss of each period before it is learnt, {found.unit}", columns, list(found.rows()))
    click.echo(f"{found}\n{report or output}")
