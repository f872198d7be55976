"""`transferlm pretrain`: a model trained on text from scratch."""

from __future__ import annotations

import click

from transferlm.cli.plugs import Plug, PluggedCommand, built, settings_of
from transferlm.cli.shared import PlugName, everywhere, kept_state, show_json, watched


class _Command(PluggedCommand):
    plugs = (Plug("model", "models"), Plug("tokenizer", "tokenizers", prefix="tokenizer."))


@click.command("pretrain", cls=_Command)
@click.argument("model", type=PlugName("models"))
@click.argument("corpus", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder to write the model to.")
@click.option("--preset", help="Settings of a paper's model by name (recurrent: awd_lstm); flags replace its values.")
@click.option("--tokenizer", type=PlugName("tokenizers"), help="How text is cut into tokens.")
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--encoding", default="utf-8", show_default=True, help="Character encoding of the text.")
@watched
@everywhere
def command(
    model: str,
    corpus: tuple[str, ...],
    output: str,
    preset: str | None,
    tokenizer: str | None,
    column: str | None,
    encoding: str,
    as_json: bool,
    seed: int,
) -> None:
    """Train MODEL on the texts of CORPUS: files (one text a line; .gz too), tables, folders, or - (standard input).

    Interrupted, the same command goes on where it stopped, to the same bits.
    """
    from transferlm import lifecycle
    from transferlm.storage import refuse_occupied
    from transferlm.text.corpus import Corpus

    refuse_occupied(output)
    reader = built("tokenizers", "tokenizer", tokenizer) if tokenizer else None
    empty = lifecycle.empty(model, reader, preset, **settings_of("model", model))
    with kept_state(output) as state:
        trained = lifecycle.pretrain(empty, Corpus(*corpus, column=column, encoding=encoding), seed, state)
        trained.save(output)
    if as_json:
        show_json({"folder": output, "family": model, "fingerprint": trained.fingerprint})
    else:
        click.echo(output)
