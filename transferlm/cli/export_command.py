"""`transferlm export`: a model as files that other tools read."""

from __future__ import annotations

from pathlib import Path

import click

from transferlm.cli.shared import everywhere, show_json


@click.command("export")
@click.argument("folder")
@click.argument("file", type=click.Path())
@click.option("--to", "form", type=click.Choice(["onnx"]), help="Write a folder with ONNX files: see above.")
@click.option("--int8", is_flag=True, help="With --to onnx: write 8-bit integers too, for `quicken` to try.")
@everywhere
def command(folder: str, file: str, form: str | None, int8: bool, as_json: bool, seed: int) -> None:  # noqa: ARG001
    """Write the model in FOLDER to FILE: a count-based or compact one as .arpa, word vectors as .bin, .vec or .txt.

    Each may end in .gz after that. An existing FILE is replaced. A .txt has no header line, as GloVe's files.

    KenLM, SRILM and speech recognisers read ARPA files, gensim and fastText the others, and so do our own commands.

    With --to onnx a Transformer of BERT's kind, or a task model around one, becomes a folder FILE with model.onnx, its
    tokenizer, labels and story: `predict` runs it by ONNX Runtime, without torch, and so do other programs.
    """
    from transferlm import lifecycle

    if form == "onnx":
        _compile(folder, file, int8, as_json)
        return
    if int8:
        raise click.UsageError("--int8 is for --to onnx")
    if Path(file).is_dir():
        raise click.BadParameter(f"File '{file}' is a directory.", param_hint="'FILE'")
    lifecycle.export(lifecycle.load(folder), file)
    size = Path(file).stat().st_size
    if as_json:
        show_json({"file": file, "bytes": size})
    else:
        click.echo(f"{file}, {size:,} bytes")


def _compile(folder: str, output: str, int8: bool, as_json: bool) -> None:
    from transferlm import lifecycle
    from transferlm.errors import SettingError, UnsupportedError
    from transferlm.storage import refuse_occupied

    if refuse_occupied(output).resolve() == Path(folder).resolve():
        raise SettingError(f"{output} would lose the weights that can be trained: give another folder")
    if lifecycle.tasks_of(folder):
        raise UnsupportedError(f"{folder} holds several tasks, and one can be compiled: train it alone")
    lifecycle.compiled(lifecycle.load(folder), int8).save(output)
    sizes = {file.name: file.stat().st_size for file in sorted(Path(output).glob("*.onnx"))}
    if as_json:
        show_json({"folder": output, "bytes": sizes})
        return
    for name, size in sizes.items():
        click.echo(f"{output}/{name}, {size:,} bytes")
