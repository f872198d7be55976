"""`transferlm generate`: texts drawn from a causal language model."""

from __future__ import annotations

from typing import Any

import click

from transferlm.cli.shared import everywhere, show_json


@click.command("generate")
@click.argument("folder")
@click.argument("prompt", default="")
@click.option("--count", default=1, show_default=True, help="Texts to draw.")
@click.option("--length", default=100, show_default=True, help="Most tokens a text, the prompt's not counted.")
@click.option("--temperature", default=1.0, show_default=True, help="Less prefers what is probable; 0 takes the best.")
@click.option("--top-k", type=int, help="Draw among that many most probable tokens.  [default: all]")
@click.option("--top-p", type=float, help="Draw among the fewest tokens that have this probability.  [default: 1]")
@click.option("--repetition-penalty", default=1.0, show_default=True, help="Above 1, what was drawn is drawn less.")
@click.option("--beams", type=int, help="Search the most probable texts with that many hypotheses; draw nothing.")
@click.option("--stream", is_flag=True, help="Write one text as it is drawn.")
@everywhere
def command(
    folder: str,
    prompt: str,
    count: int,
    beams: int | None,
    stream: bool,
    as_json: bool,
    seed: int,
    **drawing: Any,
) -> None:
    """Draw texts that begin with PROMPT from the language model in FOLDER, which may be an ARPA file.

    Prints one text a line, its prompt first; with --json {"prompt", "texts"}.
    """
    from transferlm import lifecycle

    if stream and (count > 1 or beams is not None or as_json):
        raise click.UsageError("--stream writes one text as it is drawn: leave --count, --beams and --json out")
    model = lifecycle.load(folder)
    if stream:
        for piece in lifecycle.generate_pieces(model, prompt, seed=seed, **drawing):
            click.echo(piece, nl=False)
        click.echo()
        return
    texts = lifecycle.generate(model, prompt, count, beams=beams, seed=seed, **drawing)
    if as_json:
        show_json({"prompt": prompt, "texts": texts})
    else:
        click.echo("\n".join(texts))
