"""`transferlm compare`: whether transfer beats training from scratch, by how much, and with which strategy."""

from __future__ import annotations

from typing import Any

import click

from transferlm.cli.plugs import Plug, PluggedCommand, built
from transferlm.cli.shared import PlugName, everywhere, show_json


class _Numbers(click.ParamType[Any]):
    """Whole numbers separated by commas."""

    name = "n,n,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(int(number) for number in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of whole numbers such as 8,64", param, ctx)


class _Command(PluggedCommand):
    plugs = (Plug("strategy", "strategies", prefix="{name}."), Plug("task", "tasks"))


@click.command("compare", cls=_Command)
@click.argument("data")
@click.option("--test", type=click.Path(), help="The test part; without it a fifth of DATA is split off.")
@click.option("--task", type=PlugName("tasks"), default="classification", show_default=True, help="What is predicted.")
@click.option("--from", "sources", multiple=True, required=True, help="A source; give several by repeating the flag.")
@click.option("--strategy", type=PlugName("strategies"), multiple=True, required=True, help="A strategy; repeatable.")
@click.option(
    "--sizes",
    type=_Numbers(),
    default=(8, 64),
    show_default="8,64",
    help="Labels a class; all examples where the task has no classes.",
)
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Draws of the training examples.")
@click.option(
    "--baselines/--no-baselines", default=True, help="Run from scratch and tfidf (where it can) beside the sources."
)
@click.option("--max-length", type=click.IntRange(3), help="Tokens of a text that are read.")
@click.option("--cells", type=click.Path(), help="Folder for finished cells; default in the cache folder.")
@click.option("--report", type=click.Path(), help="Write one self-contained HTML page here.")
@everywhere
def command(
    data: str,
    test: str | None,
    task: str,
    sources: tuple[str, ...],
    strategy: tuple[str, ...],
    sizes: tuple[int, ...],
    seeds: int,
    baselines: bool,
    max_length: int | None,
    cells: str | None,
    report: str | None,
    as_json: bool,
    seed: int,
) -> None:
    """Compare sources x strategies x sizes x seeds on the same draws of DATA, for any task.

    A strategy's flags carry its name: --fine_tuning.learning_rate 2e-5. Finished cells are kept: a run that was
    killed goes on where it stopped.
    """
    from transferlm import lifecycle
    from transferlm.experiments.compare import Plan, compare

    kind = built("tasks", "task", task)
    examples = kind.read(data)
    train, held = (examples, examples.task.read(test, labels=examples.labels)) if test else examples.split(0.2, seed)
    found = compare(
        train,
        held,
        lifecycle.sources_of(sources, **({"max_length": max_length} if max_length else {})),
        {name: built("strategies", "strategy", name) for name in strategy},
        Plan(sizes, seeds, baselines),
        cells,
    )
    if report:
        found.report(report, f"{train.name}: did transfer pay?")
    if as_json:
        show_json(found.as_json())
        return
    found.show()
    if report:
        click.echo(report)
