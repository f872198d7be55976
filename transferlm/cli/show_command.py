"""`transferlm show`: a saved model's whole story."""

from __future__ import annotations

from typing import Any

import click

from transferlm.cli.shared import everywhere, show_json


@click.command("show")
@click.argument("folder")
@everywhere
def command(folder: str, as_json: bool, seed: int) -> None:  # noqa: ARG001
    """Print what the model in FOLDER is, and which steps and data made it."""
    from dataclasses import asdict

    from transferlm import sources, storage

    opened = storage.open_folder(sources.locate(folder))
    lineage = asdict(opened.lineage())
    if as_json:
        show_json({"manifest": opened.manifest, "lineage": lineage})
        return
    model = opened.manifest.get(
        "model", {"family": opened.json("config.json").get("model_type")} if not opened.manifest else {}
    )
    click.echo(f"{folder}: {model.get('family')}")
    for name, value in model.get("hyper_parameters", {}).items():
        click.echo(f"  {name}: {value}")
    if "task" in opened.manifest:
        click.echo(f"  predicts {opened.manifest['task']['name']}: {', '.join(opened.manifest['task']['labels'])}")
    _tell(lineage, "")


def _tell(lineage: dict[str, Any], indent: str) -> None:
    """One step of the story, then the steps before it, further in."""
    method = lineage["method"].get("name", "")
    click.echo(f"{indent}{lineage['step'] or 'not trained'} {method} {lineage['time']}".rstrip())
    for data in lineage["data"]:
        told = ", ".join(f"{name} {value}" for name, value in data.items() if name != "name")
        click.echo(f"{indent}  data: {data.get('name')}" + (f" ({told})" if told else ""))
    for name, value in lineage["method"].get("hyper_parameters", {}).items():
        click.echo(f"{indent}  {name}: {value}")
    for name, value in lineage["scores"].items():
        click.echo(f"{indent}  {name}: {value:.4g}")
    for note in lineage["notes"]:
        click.echo(f"{indent}  note: {note}")
    if lineage["seed"] is not None:
        click.echo(f"{indent}  seed: {lineage['seed']}")
    for parent in lineage["parents"]:
        click.echo(f"{indent}made from")
        _tell(parent, indent + "  ")
