"""What every command shares: `--json`, `--seed`, `-q`, the choice of a plug-in, and how results are shown."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from transferlm import catalog, launched, progress
from transferlm.errors import ForgettingError, alternatives

__all__ = ["PlugName", "everywhere", "kept_state", "show_json", "show_table", "watched"]

F = TypeVar("F", bound=Callable[..., Any])


def everywhere(function: F) -> F:
    """Add `--json`, `--seed` and `-q`; the command receives `as_json` and `seed`."""

    @click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="One JSON document on standard output, all else on standard error.",
    )
    @click.option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="The same seed gives the same result.",
    )
    @click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks.")
    @functools.wraps(function)
    def wrapped(*arguments: Any, quiet: bool, **options: Any) -> Any:
        with progress.quiet(quiet):
            return function(*arguments, **options)

    return wrapped  # type: ignore[return-value]


def watched(function: F) -> F:
    """Add `--tensorboard`: every training within the command then writes its curves."""

    @click.option("--tensorboard", type=click.Path(), metavar="FOLDER", help="Write curves for TensorBoard there.")
    @functools.wraps(function)
    def wrapped(*arguments: Any, tensorboard: str | None, **options: Any) -> Any:
        if tensorboard is None:
            return function(*arguments, **options)
        from transferlm.neural.tensorboard import tensorboard as curves

        with curves(tensorboard):
            return function(*arguments, **options)

    return wrapped  # type: ignore[return-value]


class PlugName(click.ParamType[Any]):
    """The name of a plug-in of one kind, with a hint when it is misspelt."""

    name = "name"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        known = catalog.entries(self.kind)
        if value not in known:
            self.fail(f"{value!r} is unknown: {alternatives(value, known)}", param, ctx)
        return value


@contextmanager
def kept_state(output: str) -> Iterator[Path]:
    """A folder beside `output` for the state of its training, there while it runs and after an interruption.

    At the end the training's log is laid into the model folder as `training.jsonl` and the state is removed. Of several
    processes the main one does so.
    """
    place = Path(output).absolute()
    state = place.with_name(f".{place.name}.training")
    try:
        yield state
    except ForgettingError:
        if launched.main_process():
            shutil.rmtree(state, ignore_errors=True)
        raise
    except BaseException:
        with suppress(OSError):
            state.rmdir()  # empty, it holds nothing to go on with
        raise
    if not launched.main_process():
        return
    log = state / "log.jsonl"
    if log.is_file():
        shutil.copyfile(log, place / "training.jsonl")
    shutil.rmtree(state, ignore_errors=True)


def show_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output; numbers stand to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        numeric = bool(rows) and all(row[place][:1].isdigit() for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
