"""`transferlm find-learning-rate`: rising learning rates, tried on a model before it is pretrained."""

from __future__ import annotations

import math

import click

from transferlm.cli.plugs import Plug, PluggedCommand, built, settings_of
from transferlm.cli.shared import PlugName, everywhere, show_json, show_table


class _Command(PluggedCommand):
    plugs = (Plug("model", "models"), Plug("tokenizer", "tokenizers", prefix="tokenizer."))


_ROWS = 20
"""Rows of the table, spread over the rates that were tried."""


@click.command("find-learning-rate", cls=_Command)
@click.argument("model", type=PlugName("models"))
@click.argument("corpus", nargs=-1, required=True)
@click.option("--preset", help="Settings of a paper's model by name (recurrent: awd_lstm); flags replace its values.")
@click.option("--tokenizer", type=PlugName("tokenizers"), help="How text is cut into tokens.")
@click.option("--tried", type=int, default=100, show_default=True, help="Most mini-batches, one a rate.")
@click.option("--lowest", type=float, help="The first rate; by default 1e-6, for stochastic gradient descent 1e-3.")
@click.option("--highest", type=float, help="The last rate; by default 1, for stochastic gradient descent 1,000.")
@click.option("--plot", type=click.Path(), metavar="FILE", help="Draw the curve, as .svg or .html.")
@click.option("--column", help="The column that holds the text, for tables.")
@click.option("--encoding", default="utf-8", show_default=True, help="Character encoding of the text.")
@everywhere
def command(
    model: str,
    corpus: tuple[str, ...],
    preset: str | None,
    tokenizer: str | None,
    tried: int,
    lowest: float | None,
    highest: float | None,
    plot: str | None,
    column: str | None,
    encoding: str,
    as_json: bool,
    seed: int,
) -> None:
    """Suggest a learning rate for MODEL on the texts of CORPUS, with the flags that `pretrain` would be given.

    The rate rises over mini-batches until the loss explodes (Smith 2017). Nothing is saved.
    """
    from transferlm import lifecycle
    from transferlm.experiments.rate_curve import check_place, write_curve
    from transferlm.text.corpus import Corpus

    if plot is not None:
        check_place(plot)
    reader = built("tokenizers", "tokenizer", tokenizer) if tokenizer else None
    empty = lifecycle.empty(model, reader, preset, **settings_of("model", model))
    texts = Corpus(*corpus, column=column, encoding=encoding)
    found = lifecycle.find_learning_rate(empty, texts, seed, tried, lowest, highest)
    if plot is not None:
        write_curve(found, f"{model} on {texts.name}", plot)
    bits = [loss / math.log(2) for loss in found.smoothed]
    if as_json:
        show_json(
            {
                "suggestion": found.suggestion,
                "minimum": found.minimum,
                "steepest": found.steepest,
                "exploded": found.exploded,
                "rates": found.rates,
                "bits": bits,
            }
        )
        return
    places = sorted({round(row * (len(bits) - 1) / (_ROWS - 1)) for row in range(_ROWS)})
    rows = [[f"{found.rates[place]:.2e}", f"{bits[place]:.3f}"] for place in places]
    show_table(f"{model} on {texts.name}", ["learning rate", "loss (bits, smoothed)"], rows)
    click.echo(f"suggestion: --learning-rate {found.suggestion:.2g}")
