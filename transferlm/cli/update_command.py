"""`transferlm update`: a model learns from new text or labelled examples, and what it forgot is measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import click

from transferlm.cli.plugs import Plug, PluggedCommand, built
from transferlm.cli.shared import PlugName, everywhere, kept_state, show_json, watched


class _Command(PluggedCommand):
    plugs = (Plug("method", "updates"), Plug("labelled", "tasks", only="_column"))

    def _named(self, plug: Plug, args: Sequence[str]) -> Iterator[str]:
        """Of tasks the one of the model in FOLDER: its columns are flags once the folder is named."""
        if plug.parameter != "labelled":
            yield from super()._named(plug, args)
        elif "--labelled" in args:
            from transferlm.cli.labelled_files import task_in

            valued = {flag for p in self.params if isinstance(p, click.Option) and not p.is_flag for flag in p.opts}
            words = [word for word, ahead in zip(args, ["", *args], strict=False) if ahead not in valued]
            yield from [name for name in map(task_in, words) if name][:1]


class _Share(click.ParamType[Any]):
    """A number between 0 and 1, or the word that says to look for it."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "fit":
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor fit", param, ctx)


@click.command("update", cls=_Command)
@click.argument("folder")
@click.argument("new", nargs=-1, required=True)
@click.option("--method", type=PlugName("updates"), required=True, help="How the model learns.")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder to write the updated model to.")
@click.option("--old", multiple=True, help="What it knew before, to measure what it forgot; repeatable.")
@click.option(
    "--max-forgetting",
    type=click.FloatRange(0),
    help="Largest rise of the loss on --old, with --labelled fall of its score: 0.02 is 2%.",
)
@click.option("--step-share", type=_Share(), help="Share of the update's step to take: 0.5, or fit for what passes.")
@click.option("--versions", type=click.IntRange(0), help="Versions of the model at -o to keep, 3 unless said.")
@click.option("--max-length", type=click.IntRange(3), help="Tokens of a text that are read.")
@click.option("--labelled", is_flag=True, help="NEW and --old are labelled examples for the task model in FOLDER.")
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--encoding", default="utf-8", show_default=True, help="Character encoding of the text.")
@watched
@everywhere
def command(
    folder: str,
    new: tuple[str, ...],
    method: str,
    output: str,
    old: tuple[str, ...],
    max_forgetting: float | None,
    step_share: float | Literal["fit"] | None,
    versions: int | None,
    max_length: int | None,
    labelled: bool,
    column: str | None,
    encoding: str,
    as_json: bool,
    seed: int,
) -> None:
    """Teach the model in FOLDER (or a fetched or hub name) the texts of NEW: files, tables, folders, or - .

    With --labelled the model is a task model, and NEW are labelled examples as `transfer` reads them, of labels that
    it has; the columns of its task are flags then, for files that name them otherwise than the first ones did.

    A part of NEW is held out and scored before and after. Where the old text's loss rises by more than
    --max-forgetting, or with --labelled the old examples' F1 falls by more, nothing is written, and which --step-share
    would have passed is said. A model that stands at -o (FOLDER itself, say) is kept as a version: `transferlm
    rollback` puts it back. Interrupted, the same command goes on where it stopped, to the same bits.
    """
    from transferlm import lifecycle
    from transferlm.cli.labelled_files import labelled_files
    from transferlm.errors import ForgettingError
    from transferlm.storage import refuse_occupied
    from transferlm.text.corpus import Corpus
    from transferlm.versions import KEEP, replacing

    refuse_occupied(output)
    model: Any
    texts: Any
    known: Any
    if labelled:
        model, texts, known = labelled_files(folder, max_length, new, old)
    else:
        model = lifecycle.load(folder, **({"max_length": max_length} if max_length else {}))
        texts = Corpus(*new, column=column, encoding=encoding)
        known = Corpus(*old, column=column, encoding=encoding) if old else None
    way = built("updates", "method", method)
    try:
        with kept_state(output) as state:
            updated = lifecycle.update(model, texts, way, known, max_forgetting, seed, state, step_share)
            with replacing(output, KEEP if versions is None else versions):
                updated.model.save(output)
    except ForgettingError as error:
        if as_json and isinstance(error.report, lifecycle.Report):
            show_json(error.report.as_json())
        raise
    if as_json:
        show_json(updated.report.as_json())
    else:
        click.echo(f"{output}\n{updated.report}")
