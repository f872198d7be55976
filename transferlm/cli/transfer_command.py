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
@click.argument("data", required=False)
@click.option("--task", type=PlugName("tasks"), default="classification", show_default=True, help="What is predicted.")
@click.option("--strategy", type=PlugName("strategies"), required=True, help="How the model is transferred.")
@click.option("--labels", metavar="A,B,...", help="Labels by name, in this order; without DATA for zero_shot.")
@click.option("--test", type=click.Path(), help="Labelled examples to score the result on.")
@click.option("--max-length", type=click.IntRange(3), help="Tokens of a text that are read.")
@click.option("--from-scratch", is_flag=True, help="Start from the same architecture untrained.")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder to write the task model to.")
@watched
@everywhere
def command(
    source: str,
    data: str | None,
    task: str,
    strategy: str,
    labels: str | None,
    test: str | None,
    max_length: int | None,
    from_scratch: bool,
    output: str,
    as_json: bool,
    seed: int,
) -> None:
    """Transfer SOURCE (a folder, a fetched name, a hub name) to the labelled examples in DATA.

    `zero_shot` needs no DATA, only `--labels`. With --strategy multi_task DATA may be a TOML file that names several
    tasks, to be learnt together, each as a table: [names], task = "ner", data = "news.conll", and if you like test =
    "test.conll" and the task's settings.

    Interrupted, the same command goes on where it stopped, to the same bits.
    """
    from transferlm import lifecycle
    from transferlm.progress import say
    from transferlm.storage import refuse_occupied
    from transferlm.task_models import TaskModels

    refuse_occupied(output)
    several = data is not None and data.lower().endswith(".toml")
    sets = _several_sets(str(data), labels, test) if several else {task: _one_set(data, task, labels, test)}
    for part in (part for one in sets.values() for part in one if part is not None):
        for note in part.notes:
            say(f"{part.name}: {note}")
    method = built("strategies", "strategy", strategy)
    settings = {"max_length": max_length} if max_length else {}
    model = lifecycle.load(source, **settings)
    start = lifecycle.untrained(model, seed) if from_scratch else model
    train = {name: one.train for name, one in sets.items()}
    with kept_state(output) as state:
        made = lifecycle.transfer(start, train if several else train[task], method, seed, state)
        for note in made.lineage.notes:
            if all(note not in one.train.notes for one in sets.values()):
                say(note)
        models = dict(made) if isinstance(made, TaskModels) else {task: made}
        scores = {name: models[name].score(one.test) for name, one in sets.items() if one.test is not None}
        made.save(output)
    told = {
        name: {"labels": list(one.labels), "scores": scores[name].metrics if name in scores else None}
        for name, one in models.items()
    }
    if as_json:
        show_json({"folder": output, **({"tasks": told} if several else told[task])})
    elif several:
        click.echo("\n".join([output, *(f"  {name}: {found}" for name, found in scores.items())]))
    else:
        click.echo(f"{output}: {scores[task]}" if scores else output)


def _one_set(data: str | None, task: str, labels: str | None, test: str | None) -> TaskSet:
    """The labelled examples of one task, or its labels alone."""
    from transferlm.cli.task_sets import TaskSet
    from transferlm.tasks.base import Examples

    names = None if labels is None else labels.split(",")
    if data is None and names is None:
        raise click.UsageError("give DATA with labelled examples, or --labels for zero_shot")
    kind = built("tasks", "task", task)
    train = Examples.without_texts(kind, names or ()) if data is None else kind.read(data, labels=names)
    return TaskSet(train, train.task.read(test, labels=train.labels) if test else None)


def _several_sets(data: str, labels: str | None, test: str | None) -> dict[str, TaskSet]:
    """The labelled examples of the tasks that a TOML file names."""
    from transferlm.cli.task_sets import read_sets

    parameter = click.get_current_context().get_parameter_source("task")
    if labels is not None or test is not None or parameter is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError(f"{data} names tasks, data and tests: leave --task, --labels and --test out")
    return read_sets(data)
