"""`transferlm check`: trouble in labelled data, found before training on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from transferlm.cli.plugs import Plug, PluggedCommand, built
from transferlm.cli.shared import PlugName, everywhere, show_json, show_table

if TYPE_CHECKING:
    from transferlm.text.checks import Labelled

_FAULTS = 3
"""Faults that an error of one line tells, where no row of a file is whole."""


class _Command(PluggedCommand):
    plugs = (Plug("task", "tasks"),)


@click.command("check", cls=_Command)
@click.argument("data")
@click.option("--test", type=click.Path(), help="The test part, looked at for leaks from DATA.")
@click.option("--task", type=PlugName("tasks"), default="classification", show_default=True, help="What is predicted.")
@click.option("--from", "source", help="A source: counts its tokens and what its maximum length would cut.")
@click.option("--max-length", type=click.IntRange(3), help="Another maximum length than the source's own.")
@everywhere
def command(
    data: str,
    test: str | None,
    task: str,
    source: str | None,
    max_length: int | None,
    as_json: bool,
    seed: int,  # noqa: ARG001
) -> None:
    """Report labels and their balance, duplicates, leaks between the splits, lengths and what would be cut in DATA."""
    from transferlm import lifecycle
    from transferlm.text.checks import check

    tokenizer, longest = lifecycle.reading_of(source, max_length) if source else (None, None)
    kind = built("tasks", "task", task)
    parts = [_read(kind, path) for path in (data, test) if path is not None]
    report = check(parts[0], parts[1] if test else None, tokenizer=tokenizer, max_length=longest)
    if as_json:
        show_json(report.as_json())
        return
    for name, part in (("train", report.train), ("test", report.test)):
        if part is not None:
            rows = [[label, f"{part.labels[label]:,}", f"{share:.1%}"] for label, share in part.shares.items()]
            show_table(f"{name}: {part.rows:,} rows", ["label", "rows" if part.classes else "count", "share"], rows)
    problems = report.problems()
    click.echo("\n".join(problems) if problems else "No trouble found.")


def _read(task: Any, path: str) -> Labelled:
    """What stands in the file.

    Raises:
        DataError: Not one row can be read; the first faults are told.
    """
    from transferlm.errors import DataError

    part: Labelled = task.labelled(path)
    if not len(part.texts):
        more = f" There are {len(part.faults) - _FAULTS:,} more." if len(part.faults) > _FAULTS else ""
        raise DataError(f"no row can be read. {' '.join(part.faults[:_FAULTS])}{more}".rstrip(), path=path)
    return part
