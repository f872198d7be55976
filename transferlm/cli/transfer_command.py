"""`transferlm transfer`: a model and labelled examples become a task model."""

from __future__ import annotations

import click

from transferlm.cli.plugs import Plug, PluggedCommand, built
from transferlm.cli.shared import PlugName, everywhere, kept_state, show_json, watched


class _Command(PluggedCommand):
    plugs = (Plug("strategy", "strategies"), Plug("task", "tasks"))


@click.command("transfer", cls=_Command)
@click.argument("source")
@click.argument("data")
@click.option("--task", type=PlugName("tasks"), default="classification", show_default=True, help="What is predicted.")
@click.option("--strategy", type=PlugName("strategies"), required=True, help="How the model is transferred.")
@click.option("--test", type=click.Path(), help="Labelled examples to score the result on.")
@click.option("--max-length", type=click.IntRange(3), help="Tokens of a text that are read.")
@click.option("--from-scratch", is_flag=True, help="Start from the same architecture untrained.")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder to write the task model to.")
@watched
@everywhere
def command(
    source: str,
    data: str,
    task: str,
    strategy: str,
    test: str | None,
    max_length: int | None,
    from_scratch: bool,
    output: str,
    as_json: bool,
    seed: int,
) -> None:
    """Transfer SOURCE (a folder, a fetched name, a hub name) to the labelled examples in DATA.

    Interrupted, the same command goes on where it stopped, to the same bits.
    """
    from transferlm import lifecycle
    from transferlm.progress import say
    from transferlm.storage import refuse_occupied

    refuse_occupied(output)
    kind = built("tasks", "task", task)
    examples = kind.read(data)
    test_part = kind.read(test, labels=examples.labels) if test else None
    for part in (examples, *([test_part] if test_part is not None else [])):
        for note in part.notes:
            say(f"{part.name}: {note}")
    settings = {"max_length": max_length} if max_length else {}
    model = lifecycle.load(source, **settings)
    start = lifecycle.untrained(model, seed) if from_scratch else model
    with kept_state(output) as state:
        made = lifecycle.transfer(start, examples, built("strategies", "strategy", strategy), seed, state)
        for note in made.lineage.notes:
            if note not in examples.notes:
                say(note)
        scores = made.score(test_part) if test_part is not None else None
        made.save(output)
    if as_json:
        show_json({"folder": output, "labels": list(made.labels), "scores": scores.metrics if scores else None})
    else:
        click.echo(f"{output}: {scores}" if scores else output)
