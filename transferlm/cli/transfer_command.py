"""`transferlm transfer`: a model and labelled examples become a task model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from transferlm.cli.plugs import Plug, PluggedCommand, built
from transferlm.cli.shared import PlugName, everywhere, kept_state, show_json, watched

if TYPE_CHECKING:
    from transferlm.cli.task_sets import TaskSet


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

    With --strategy multi_task DATA may be a TOML file that names several tasks, to be learnt together, each as a table:
    [names], task = "ner", data = "news.conll", and if you like test = "test.conll" and the task's settings.

    Interrupted, the same command goes on where it stopped, to the same bits.
    """
    from transferlm import lifecycle
    from transferlm.progress import say
    from transferlm.storage import refuse_occupied
    from transferlm.task_models import TaskModels

    refuse_occupied(output)
    sets = _sets(data, task, test)
    for part in (part for one in sets.values() for part in one if part is not None):
        for note in part.notes:
            say(f"{part.name}: {note}")
    method = built("strategies", "strategy", strategy)
    settings = {"max_length": max_length} if max_length else {}
    model = lifecycle.load(source, **settings)
    start = lifecycle.untrained(model, seed) if from_scratch else model
    train = {name: one.train for name, one in sets.items()}
    with kept_state(output) as state:
        made = lifecycle.transfer(start, train if _several(data) else train[task], method, seed, state)
        models = dict(made) if isinstance(made, TaskModels) else {task: made}
        scores = {name: models[name].score(one.test) for name, one in sets.items() if one.test is not None}
        made.save(output)
    told = {
        name: {"labels": list(one.labels), "scores": scores[name].metrics if name in scores else None}
        for name, one in models.items()
    }
    if as_json:
        show_json({"folder": output, **({"tasks": told} if _several(data) else told[task])})
    elif _several(data):
        click.echo("\n".join([output, *(f"  {name}: {found}" for name, found in scores.items())]))
    else:
        click.echo(f"{output}: {scores[task]}" if scores else output)


def _several(data: str) -> bool:
    return data.lower().endswith(".toml")


def _sets(data: str, task: str, test: str | None) -> dict[str, TaskSet]:
    """The labelled examples by name: those of one task under the task's own, or those that a TOML file names."""
    from transferlm.cli.task_sets import TaskSet, read_sets

    if not _several(data):
        kind = built("tasks", "task", task)
        train = kind.read(data)
        return {task: TaskSet(train, kind.read(test, labels=train.labels) if test else None)}
    parameter = click.get_current_context().get_parameter_source("task")
    if test is not None or parameter is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError(f"{data} names tasks, data and tests: leave --task and --test out")
    return read_sets(data)
