"""`transferlm show`: a saved model's whole story."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from transferlm.cli.shared import everywhere, show_json

if TYPE_CHECKING:
    from transferlm.storage import Folder
    from transferlm.versions import Version

_FOREIGN = ("model_type", "architectures", "hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings")
"""What is worth telling of a configuration that another library wrote."""


@click.command("show")
@click.argument("folder")
@everywhere
def command(folder: str, as_json: bool, seed: int) -> None:  # noqa: ARG001
    """Print what the model in FOLDER is, and which steps and data made it, the last step first."""
    from dataclasses import asdict

    from transferlm import sources, storage
    from transferlm.versions import versions_of

    opened = storage.open_folder(sources.locate(folder))
    lineage, earlier = asdict(opened.lineage()), versions_of(opened.path)
    if as_json:
        show_json({"manifest": opened.manifest, "lineage": lineage, "versions": [each.as_json() for each in earlier]})
        return
    lines = [*_what(folder, opened), *_versions(earlier), "", "Its story, the last step first:", *_story(lineage)]
    click.echo("\n".join(lines))


def _what(shown: str, folder: Folder) -> Iterator[str]:
    """What stands in the folder."""
    if not folder.manifest:
        config = folder.json("config.json")
        known = {name: config[name] for name in _FOREIGN if isinstance(config, dict) and name in config}
        yield f"{shown}: a model of another library"
        yield from (f"  {name}: {_plain(value)}" for name, value in known.items())
        return
    model, task = folder.said("model"), folder.said("task")
    trained = "" if model.get("trained", True) else ", untrained"
    yield f"{shown}: {model.get('family')}{trained}"
    if task:
        yield f"  predicts {_predicted(task)}"
    yield from (f"  {name} predicts {_predicted(each)}" for name, each in folder.said("tasks").items())
    yield from (f"  {name}: {_plain(value)}" for name, value in model.get("hyper_parameters", {}).items())
    for name, facts in (*folder.said("kept").items(), *task.get("kept", {}).items()):
        yield f"  keeps {name}: {', '.join(f'{fact} {_plain(value)}' for fact, value in facts.items())}"


def _predicted(task: dict[str, Any]) -> str:
    labels = ", ".join(str(label) for label in task.get("labels", ()))
    return f"{task.get('name')}{': ' if labels else ''}{labels}"


def _versions(earlier: Sequence[Version]) -> Iterator[str]:
    """What `transferlm rollback` can put back, and what keeping it takes."""
    for each in reversed(earlier):
        size = f"{each.bytes / 1e6:,.1f} MB on disk"
        yield f"  earlier version {each.number}: {each.step}{_when(each.time)}, {size}"


def _story(lineage: dict[str, Any], indent: str = "  ") -> Iterator[str]:
    """One step, then the steps before it; those of several parents stand further in."""
    method = lineage["method"].get("name")
    by = f" by {method}" if method else ""
    seed = f", seed {lineage['seed']}" if lineage["seed"] is not None else ""
    yield f"{indent}- {lineage['step'] or 'not trained'}{by}{_when(lineage['time'])}{seed}"
    inner = indent + "    "
    yield from (f"{inner}data: {_data(entry)}" for entry in lineage["data"])
    settings = lineage["method"].get("hyper_parameters", {})
    if settings:
        yield f"{inner}settings: {', '.join(f'{name} {_plain(value)}' for name, value in settings.items())}"
    if lineage["scores"]:
        yield f"{inner}measured: {', '.join(f'{name} {_figure(value)}' for name, value in lineage['scores'].items())}"
    yield from (f"{inner}note: {note}" for note in lineage["notes"])
    parents = lineage["parents"]
    for number, parent in enumerate(parents, start=1):
        if len(parents) > 1:
            yield f"{inner}made from, {number} of {len(parents)}:"
        yield from _story(parent, indent if len(parents) == 1 else inner + "  ")


def _data(entry: dict[str, Any]) -> str:
    """`reviews.csv, 80 texts, SHA-256 0123456789ab`, and whatever else is known."""
    told = [str(entry.get("name", "without a name"))]
    if "texts" in entry:
        told.append(f"{entry['texts']:,} texts")
    told += [f"{name} {_plain(v)}" for name, v in entry.items() if name not in ("name", "texts", "hash", "sha256")]
    told += [f"SHA-256 {entry[name]}" for name in ("hash", "sha256") if name in entry]
    return ", ".join(told)


def _when(time: str) -> str:
    return f" on {time.replace('T', ' ').removesuffix('+00:00')} UTC" if time else ""


def _figure(value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 10_000 else f"{value:.4g}"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(part) for part in value)
    return "none" if value is None else str(value)
