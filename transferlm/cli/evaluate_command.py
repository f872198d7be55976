"""`transferlm evaluate`: a task model's scores on labelled examples."""

from __future__ import annotations

import click

from transferlm.cli.shared import everywhere, show_json, show_table


@click.command("evaluate")
@click.argument("folder")
@click.argument("data")
@everywhere
def command(folder: str, data: str, as_json: bool, seed: int) -> None:  # noqa: ARG001
    """Score the task model in FOLDER on the labelled examples in DATA."""
    from transferlm import lifecycle

    model = lifecycle.task_model(folder)
    scores = lifecycle.evaluate(model, model.task.read(data, labels=model.labels))
    if as_json:
        show_json({"scores": scores.metrics, "share_read": scores.share_read})
    else:
        rows = [[name, f"{value:.4f}"] for name, value in {**scores.metrics, "share read": scores.share_read}.items()]
        show_table(f"{folder} on {data}", ["metric", "value"], rows)
