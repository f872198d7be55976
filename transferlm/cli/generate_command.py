"""`transferlm generate`: texts drawn from a causal language model."""

from __future__ import annotations

import click

from transferlm.cli.shared import everywhere, show_json


@click.command("generate")
@click.argument("folder")
@click.argument("prompt", default="")
@click.option("--count", default=1, show_default=True, help="Texts to draw.")
@click.option("--length", default=100, show_default=True, help="Most tokens a text, the prompt's not counted.")
@click.option("--temperature", default=1.0, show_default=True, help="Less prefers what is probable; 0 takes the best.")
@click.option("--top-k", type=int, help="Draw among that many most probable tokens.  [default: all]")
@everywhere
def command(
    folder: str,
    prompt: str,
    count: int,
    length: int,
    temperature: float,
    top_k: int | None,
    as_json: bool,
    seed: int,
) -> None:
    """Draw texts that begin with PROMPT from the language model in FOLDER, which may be an ARPA file.

    Prints one text a line, its prompt first; with --json {"prompt", "texts"}.
    """
    from transferlm import lifecycle

    settings = {"length": length, "temperature": temperature, "top_k": top_k}
    texts = lifecycle.generate(lifecycle.load(folder), prompt, count, seed=seed, **settings)
    if as_json:
        show_json({"prompt": prompt, "texts": texts})
    else:
        click.echo("\n".join(texts))
