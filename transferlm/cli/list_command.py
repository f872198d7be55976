"""`transferlm list`: what there is of each kind."""

from __future__ import annotations

from typing import Any

import click

from transferlm import catalog
from transferlm.cli.shared import everywhere, show_json, show_table


@click.command("list")
@click.argument("kind", type=click.Choice([*catalog.KINDS, "sources"]))
@everywhere
def command(kind: str, as_json: bool, seed: int) -> None:  # noqa: ARG001
    """List all plug-ins of a KIND with their hyper-parameters, or all sources that `fetch` knows."""
    rows = _sources() if kind == "sources" else [_entry(entry) for entry in catalog.entries(kind).values()]
    if as_json:
        show_json(rows)
        return
    columns = list(rows[0])
    show_table(kind, columns, [[_cell(row[column]) for column in columns] for row in rows])


def _entry(entry: catalog.Entry) -> dict[str, Any]:
    defaults = {field.name: field.default for field in entry.hyper_parameters}
    return {"name": entry.name, "what": entry.summary, "hyper_parameters": defaults}


def _sources() -> list[dict[str, Any]]:
    from transferlm import sources

    return [
        {
            "name": source.name,
            "kind": source.kind,
            "what": source.what,
            "licence": source.licence,
            "fetched": sources.is_fetched(source.name),
        }
        for source in sources.SOURCES.values()
    ]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, dict):
        return ", ".join(f"{name} {default}" for name, default in value.items())
    return str(value)
