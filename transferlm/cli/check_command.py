"""`transferlm check`: trouble in labelled data, found before training on it."""

from __future__ import annotations

import click

from transferlm.cli.plugs import Plug, PluggedCommand, built
from transferlm.cli.shared import PlugName, everywhere, show_json, show_table


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
    parts = [kind.labelled(path) for path in (data, test) if path is not None]
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
