"""One scorer for every causal language model: perplexity, and bits per byte where they mean something."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from transferlm.errors import DataError, UnsupportedError
from transferlm.models.base import Causal, Vocabulary
from transferlm.progress import Progress, perplexity_note
from transferlm.text.corpus import Corpus, TextHash

__all__ = ["Context", "LanguageScores", "compare_bits_per_byte", "compare_perplexity", "finite", "score"]

Context = Literal["text", "stream"]


@dataclass(frozen=True)
class LanguageScores:
    """How well a language model predicts texts.

    Attributes:
        nats: Minus the natural logarithm of all texts' probability.
        tokens: Predicted tokens, the end of each text among them: as the published tables of Penn Treebank count.
        unknown: Tokens that stand for anything outside the vocabulary.
        texts: Number of texts.
        bytes: UTF-8 bytes of the texts, and one for the end of each, which is predicted too (its line feed).
        vocabulary: What the probabilities are distributed over.
        context: `text`: each text was scored on its own; `stream`: after all texts before it.
        hash: SHA-256 over the texts, as `Corpus.hash` gives it.
    """

    nats: float
    tokens: int
    unknown: int
    texts: int
    bytes: int
    vocabulary: Vocabulary
    context: Context
    hash: str

    @property
    def perplexity(self) -> float:
        """exp(nats a token), ends of texts counted; it says nothing beside another vocabulary's. Infinite where a token
        has probability 0.
        """
        return math.inf if self.nats == math.inf else math.exp(min(self.nats / self.tokens, 700.0))

    @property
    def bits_per_token(self) -> float:
        """The mean of -log2 of a token's probability."""
        return self.nats / self.tokens / math.log(2)

    @property
    def bits_per_byte(self) -> float | None:
        """Bits in which the model would write a byte of these texts; None where `why_no_bits_per_byte` says why.

        With byte-pair encoding it is an upper bound: of all ways to cut a text into tokens, one is scored.
        """
        return None if self.vocabulary.closed else self.nats / math.log(2) / self.bytes

    @property
    def why_no_bits_per_byte(self) -> str | None:
        """Why there are no bits per byte, or None where there are."""
        if not self.vocabulary.closed:
            return None
        return (
            f"the vocabulary is closed: whatever is outside its {self.vocabulary.size:,} types becomes one unknown"
            " token, so the probabilities are not over strings"
        )

    @property
    def unknown_share(self) -> float:
        """Share of the tokens that are unknown: a closed vocabulary predicts them too easily."""
        return self.unknown / self.tokens

    def to_json(self) -> dict[str, Any]:
        """Every figure as plain data; JSON has no infinity, so what is infinite is None."""
        return {
            "perplexity": finite(self.perplexity),
            "bits_per_byte": finite(self.bits_per_byte),
            "why_no_bits_per_byte": self.why_no_bits_per_byte,
            "bits_per_token": finite(self.bits_per_token),
            "nats": finite(self.nats),
            "tokens": self.tokens,
            "unknown_share": self.unknown_share,
            "texts": self.texts,
            "bytes": self.bytes,
            "vocabulary": self.vocabulary.name,
            "vocabulary_hash": self.vocabulary.hash,
            "context": self.context,
            "hash": self.hash,
        }

    def __str__(self) -> str:
        bits = "" if self.bits_per_byte is None else f", {self.bits_per_byte:.4f} bits per byte"
        return f"perplexity {self.perplexity:.2f} over {self.tokens:,} tokens ({self.vocabulary.name}){bits}"


def finite(figure: float | None) -> float | None:
    """The figure, or None for one that is infinite or not a number, which JSON can't hold."""
    return figure if figure is not None and math.isfinite(figure) else None


def score(model: Causal, texts: Corpus | Iterable[str], context: Context = "text") -> LanguageScores:
    """Score texts in one pass, in memory that neither their number nor what is found grows.

    Args:
        model: Any causal model.
        texts: A corpus, or any texts; read once.
        context: `text` for texts that have nothing to do with each other; `stream` for one long text cut into lines,
            and for figures beside published ones.

    Raises:
        DataError: There is no text.
    """
    corpus = texts if isinstance(texts, Corpus) else None
    unknown_id = model.tokenizer.unknown_id
    counted = _Counted()
    nats, tokens, unknown = 0.0, 0, 0
    with Progress("scoring", corpus.size if corpus else None, "bytes" if corpus else "texts") as progress:
        given = corpus.read(progress.advance) if corpus else texts
        for scores in model.token_scores(counted.through(given), context):
            nats -= float(scores.log_probs.sum())
            tokens += len(scores.log_probs)
            if unknown_id is not None:
                unknown += int(np.count_nonzero(scores.ids == unknown_id))
            progress.advance(0 if corpus else 1, note=perplexity_note(nats / tokens))
    if not tokens:
        raise DataError("there is no text to score")
    return LanguageScores(
        nats, tokens, unknown, counted.texts, counted.bytes, model.vocabulary, context, counted.hash.hexdigest()
    )


def mean_loss(model: Causal, texts: Corpus | Iterable[str]) -> float:
    """Mean nats a token of texts, each on its own.

    Raises:
        DataError: There is no text.
    """
    found = score(model, texts)
    return found.nats / found.tokens


class _Counted:
    """What passes by on its way to the model."""

    def __init__(self) -> None:
        self.texts, self.bytes, self.hash = 0, 0, TextHash()

    def through(self, texts: Iterable[str]) -> Iterable[str]:
        for text in texts:
            self.texts += 1
            self.bytes += self.hash.update(text) + 1
            yield text


def compare_perplexity(ours: LanguageScores, theirs: LanguageScores) -> float:
    """Our perplexity divided by theirs: below 1 ours predicts better.

    Raises:
        UnsupportedError: Different texts, contexts or vocabularies: then the two are no answers to one question.
    """
    _refuse_different(ours, theirs)
    if ours.vocabulary.hash != theirs.vocabulary.hash:
        raise UnsupportedError(
            f"perplexities over different vocabularies ({ours.vocabulary.name}; {theirs.vocabulary.name}) can't be"
            " compared: compare bits per byte where both have an open vocabulary, or train both with one tokenizer"
        )
    return math.exp((ours.nats - theirs.nats) / ours.tokens)


def compare_bits_per_byte(ours: LanguageScores, theirs: LanguageScores) -> float:
    """Our bits per byte less theirs: below 0 ours predicts better; the vocabularies may differ.

    Raises:
        UnsupportedError: Different texts or contexts, or a closed vocabulary.
    """
    _refuse_different(ours, theirs)
    if ours.bits_per_byte is None or theirs.bits_per_byte is None:
        closed = ours if ours.bits_per_byte is None else theirs
        raise UnsupportedError(
            f"{closed.vocabulary.name}: there are no bits per byte over a closed vocabulary; compare perplexities of"
            " models with one tokenizer, or train with byte_pair"
        )
    return ours.bits_per_byte - theirs.bits_per_byte


def _refuse_different(ours: LanguageScores, theirs: LanguageScores) -> None:
    if ours.hash != theirs.hash:
        raise UnsupportedError("scores on different texts can't be compared: score both models on the same ones")
    if ours.context != theirs.context:
        raise UnsupportedError(
            f"a score with context {ours.context!r} can't be compared with one with context {theirs.context!r}:"
            " score both models in the same context"
        )
