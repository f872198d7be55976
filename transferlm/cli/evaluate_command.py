"""`transferlm evaluate`: a task model's scores on labelled examples, a language model's on text, words' on pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from transferlm.cli.shared import everywhere, show_json, show_table
from transferlm.models._cache_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transferlm.measure.language import LanguageScores
    from transferlm.measure.language_gain import LanguageGain
    from transferlm.measure.pseudo_likelihood import PseudoScores
    from transferlm.measure.word_vectors import WordScores
    from transferlm.task_model import Scores
    from transferlm.text.corpus import Corpus

_UNKNOWN = 8
"""Words without vectors that are named."""
_WIDEST = 12
"""Labels up to which the confusion matrix is drawn; with more, --json holds it."""


_SUITED = "suited"
"""What a bare `--cache` asks for."""


class _BareCache(click.Command):
    """Lets `--cache` stand alone, where click would take the word behind it for its value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        following = [*args, ""][1:]
        bare = [word == "--cache" and then not in KINDS for word, then in zip(args, following, strict=True)]
        words = [f"{word}={_SUITED}" if alone else word for word, alone in zip(args, bare, strict=True)]
        return super().parse_args(ctx, words)


@dataclass(frozen=True)
class _Reading:
    """How a language model is to read; of this nothing is for other models."""

    context: Literal["text", "stream"] | None
    without_adapters: bool
    posterior: bool
    dynamic: bool
    cache: str | None
    tune: tuple[str, ...]
    whole_words: bool
    column: str | None
    encoding: str | None

    def refuse(self, folder: str, what: str, but: str = "") -> None:
        """Refuse flags that mean nothing for what is scored."""
        for flag, value in vars(self).items():
            if value and flag != but:
                raise click.UsageError(f"--{flag.replace('_', '-')} is for language models; {folder} holds {what}")

    def scores(self, model: Any, data: str) -> tuple[LanguageScores | PseudoScores, dict[str, dict[str, Any]]]:
        """How well the model reads, and the settings of what was added to it."""
        from transferlm import lifecycle

        texts, tuning = self._texts(data)
        context = self.context or ("stream" if self.dynamic else "text")
        added: dict[str, dict[str, Any]] = {}
        if self.without_adapters:
            model = lifecycle.without_adapters(model)
        if self.posterior:
            model = lifecycle.with_posterior(model, tuning, context)
            added["posterior"] = model.hyper_parameters()
        if self.dynamic:
            model = lifecycle.with_dynamic_evaluation(model, tuning, context)
            added["dynamic"] = model.hyper_parameters()
        if self.cache:
            model = lifecycle.with_cache(model, tuning, context, None if self.cache == _SUITED else self.cache)
            added["cache"] = model.hyper_parameters()
        return lifecycle.evaluate(model, texts, context, self.whole_words), added  # type: ignore[return-value]

    def gains(self, model: Any, data: str, against: Sequence[str]) -> dict[str, LanguageGain]:
        """Other model -> by how much this one is better on the texts, each read alone."""
        from transferlm import lifecycle
        from transferlm.measure.language_gain import TextLosses, language_gain
        from transferlm.models.base import Causal, able
        from transferlm.task_model import body_of

        if not against:
            return {}
        texts = list(self._texts(data)[0])
        ours, others = TextLosses.of(model, texts), {}
        for name in against:
            other = able(body_of(lifecycle.load(name)), Causal, "evaluate --against")
            others[name] = language_gain(ours, TextLosses.of(other, texts))
        return others

    def _texts(self, data: str) -> tuple[Corpus, Corpus | None]:
        from transferlm.text.corpus import Corpus

        where: dict[str, Any] = {"column": self.column, "encoding": self.encoding or "utf-8"}
        texts, tuning = Corpus(data, **where), Corpus(*self.tune, **where) if self.tune else None
        if tuning is not None and not (self.dynamic or self.cache or self.posterior):
            raise click.UsageError("--tune is what --dynamic, --cache and --posterior are fitted to: give one of them")
        if tuning is not None and tuning.hash == texts.hash:
            raise click.UsageError("--tune is the text of DATA: what is scored must have had no part in the fit")
        return texts, tuning


@click.command("evaluate", cls=_BareCache)
@click.argument("folder")
@click.argument("data")
@click.option(
    "--context",
    type=click.Choice(["text", "stream"]),
    help="For a language model: each text on its own (the default), or after all texts before it (with --dynamic).",
)
@click.option("--dynamic", is_flag=True, help="For a language model: it learns from the text while it reads it.")
@click.option(
    "--cache",
    type=click.Choice([*KINDS, _SUITED]),
    metavar=f"[{'|'.join(KINDS)}]",
    help="For a language model: with a cache of what it just read, words or hidden states; bare, what suits it best.",
)
@click.option("--posterior", is_flag=True, help="For a model updated by online_bayes: predictions averaged over it.")
@click.option("--without-adapters", is_flag=True, help="For a model updated by low_rank with --keep true: as it was.")
@click.option("--tune", multiple=True, help="Text to fit these to, none of it in DATA; repeatable.")
@click.option("--whole-words", is_flag=True, help="For a masked model: hide with a token the later ones of its word.")
@click.option("--column", help="For a language model: the column that holds the text, for tables.")
@click.option(
    "--against", multiple=True, help="Another language model, to say by how much FOLDER is better; repeatable."
)
@click.option("--task", help="Which task, by its name, where the folder holds several.")
@click.option("--encoding", help="For a language model: character encoding of the text.  [default: utf-8]")
@everywhere
def command(
    folder: str,
    data: str,
    against: tuple[str, ...],
    task: str | None,
    as_json: bool,
    seed: int,  # noqa: ARG001
    **reading: Any,
) -> None:
    """Score the model in FOLDER on DATA.

    A task model is scored on labelled examples; a language model on plain text: a file with one text a line, .gz too, a
    folder of them, a table with --column, or - (standard input): a causal model by its perplexity, a masked one by its
    pseudo-log-likelihood. Word vectors are scored on a file of word pairs whose
    similarity people judged (WS-353), or of analogies (Google's).
    """
    from transferlm import lifecycle
    from transferlm.measure.pseudo_likelihood import PseudoScores
    from transferlm.measure.word_vectors import read_word_file
    from transferlm.models.base import Causal, WordVectors
    from transferlm.task_model import TaskModel

    several = task is not None or lifecycle.tasks_of(folder)
    model = lifecycle.task_model(folder, task) if several else lifecycle.load(folder)
    how, title = _Reading(**reading), f"{folder} on {data}"
    if against and (isinstance(model, TaskModel | WordVectors) or not isinstance(model, Causal)):
        raise click.UsageError("--against is for language models that give texts a probability")
    if against and (how.dynamic or how.cache or how.context == "stream"):
        raise click.UsageError("--against scores each text alone: leave --dynamic, --cache and --context stream out")
    if isinstance(model, WordVectors):
        how.refuse(folder, "word vectors", but="encoding")
        pairs = read_word_file(Path(data), how.encoding or "utf-8")
        _show_words(lifecycle.evaluate(model, pairs), title, as_json)  # type: ignore[arg-type]
    elif isinstance(model, TaskModel):
        how.refuse(folder, "a task model", but="without_adapters")
        model = lifecycle.without_adapters(model) if how.without_adapters else model
        if not isinstance(model, TaskModel):
            raise click.UsageError(f"{folder} was updated by low_rank with text alone: transfer the model before it")
        _show_task(model.score(model.task.read(data, labels=model.labels)), title, as_json)
    else:
        found, added = how.scores(model, data)
        gains = how.gains(model, data, against)
        if isinstance(found, PseudoScores):
            _show_masked(found, title, as_json)
        else:
            _show_language(found, title, as_json, added, gains)


def _show_words(found: WordScores, title: str, as_json: bool) -> None:
    if as_json:
        show_json({"scores": found.to_json()})
        return
    name = {"spearman": "Spearman's correlation with people", "accuracy": "analogies answered rightly"}[found.measure]
    rows = [[name, f"{found.value:.4f}"], ["of those with vectors", f"{found.known:,} of {found.total:,}"]]
    if found.unknown:
        shown = ", ".join(found.unknown[:_UNKNOWN])
        more = (
            f" and {len(found.unknown) - _UNKNOWN:,} more (--json names all)" if len(found.unknown) > _UNKNOWN else ""
        )
        rows.append(["words without one", f"{shown}{more}"])
    show_table(title, ["figure", "value"], rows)
    if found.sections:
        kinds = [
            [kind, "-" if own.accuracy is None else f"{own.accuracy:.4f}", f"{own.known:,} of {own.total:,}"]
            for kind, own in found.sections.items()
        ]
        show_table("by kind", ["kind", "answered rightly", "with vectors"], kinds)


def _show_task(found: Scores, title: str, as_json: bool) -> None:
    from transferlm.task_model import ClassScores

    if as_json:
        show_json(found.to_json())
        return
    rows = [[name, f"{value:.4f}"] for name, value in found.figures().items()]
    show_table(title, ["metric", "value"], rows)
    columns = list(next(iter(found.by_label.values()), {}))
    if columns:
        shown = [
            [label, *(f"{row[name]:,}" if isinstance(row[name], int) else f"{row[name]:.4f}" for name in columns)]
            for label, row in found.by_label.items()
        ]
        show_table("by label", ["label", *(name.replace("f1", "F1") for name in columns)], shown)
    if isinstance(found, ClassScores) and len(found.labels) <= _WIDEST:
        counts = [[label, *(f"{n:,}" for n in row)] for label, row in zip(found.labels, found.confusion, strict=True)]
        show_table("taken for", ["true label", *found.labels], counts)


def _show_language(
    found: LanguageScores,
    title: str,
    as_json: bool,
    added: dict[str, dict[str, Any]],
    gains: dict[str, LanguageGain],
) -> None:
    if as_json:
        against = {"against": {name: gain.to_json() for name, gain in gains.items()}} if gains else {}
        show_json({"scores": found.to_json(), **added, **against})
        return
    bits = found.why_no_bits_per_byte or f"{found.bits_per_byte:.4f}"
    rows = [
        ["perplexity", f"{found.perplexity:.2f} a token, ends of texts counted"],
        ["bits per token", f"{found.bits_per_token:.4f}"],
        ["bits per byte", bits if found.bits_per_byte is not None else f"none: {bits}"],
        ["tokens", f"{found.tokens:,}, {found.unknown_share:.2%} unknown"],
        ["texts", f"{found.texts:,}, {found.bytes:,} bytes with an end each"],
        ["vocabulary", f"{found.vocabulary.name} ({found.vocabulary.hash[:12]})"],
        ["context", "each text alone" if found.context == "text" else "all texts before"],
        *([f"against {name}", str(gain)] for name, gain in gains.items()),
        *([what, ", ".join(f"{name} {value}" for name, value in settings.items())] for what, settings in added.items()),
    ]
    show_table(title, ["figure", "value"], rows)


def _show_masked(found: PseudoScores, title: str, as_json: bool) -> None:
    if as_json:
        show_json({"scores": found.to_json()})
        return
    rows = [
        ["pseudo-log-likelihood", f"{found.pseudo_log_likelihood:.4f} bits per character"],
        ["hidden", "a token and the later ones of its word" if found.whole_words else "one token"],
        ["tokens", f"{found.tokens:,}, {found.unknown_share:.2%} unknown"],
        ["texts", f"{found.texts:,}, {found.characters:,} characters"],
        ["vocabulary", f"{found.vocabulary.name} ({found.vocabulary.hash[:12]})"],
    ]
    show_table(title, ["figure", "value"], rows)
