"""Texts kept aside from training, and a model's own loss on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from transferlm.measure.language import finite, score
from transferlm.models.base import Causal, Model, SelfSupervised
from transferlm.text.corpus import Corpus

__all__ = ["Change", "HeldOut", "Loss", "held_out"]

SHARE, MOST = 0.05, 1000
"""A twentieth of the texts is held out, and no more than some thousand: more would cost minutes and tell no more."""


@dataclass(frozen=True)
class Loss:
    """A model's loss on held-out texts.

    Attributes:
        nats: Mean nats a token: of each next one for causal models; of each hidden one, under fixed masks, for masked
            ones (a pseudo-loss, no perplexity).
        bits_per_byte: Of the texts with their ends, in UTF-8; None where the model gives no distribution over strings
            (a closed vocabulary, or a masked model).
        vocabulary: Hash of a closed vocabulary, or of a masked model's: losses over two of them are no answers to one
            question. None where the loss is of strings.
    """

    nats: float
    bits_per_byte: float | None = None
    vocabulary: str | None = None

    @property
    def known(self) -> bool:
        """Whether it can be compared with: it is finite."""
        return finite(self.nats) is not None

    def figures(self) -> dict[str, float | None]:
        """What a lineage keeps, None where infinite or not there."""
        return {"loss": finite(self.nats), "bits_per_byte": finite(self.bits_per_byte)}


@dataclass(frozen=True)
class Change:
    """The loss before and after."""

    before: Loss
    after: Loss

    @property
    def gain(self) -> float | None:
        """By how many nats a token the loss fell; None where it is infinite."""
        return finite(self.before.nats - self.after.nats)

    def worse(self) -> str:
        """How much worse it became, as a refusal says it."""
        before, after = self.before, self.after
        told = f"{before.nats:.4f} to {after.nats:.4f} nats a token"
        if before.bits_per_byte is not None and after.bits_per_byte is not None:
            told = f"{before.bits_per_byte:.4f} to {after.bits_per_byte:.4f} bits per byte"
        return f"the loss on held-out old text rose by {self.rise:.2%} ({told})"

    @property
    def rise(self) -> float:
        """How much the loss rose, relative to what it was: 0.02 is 2%; negative where it fell.

        Of strings where it is known so, as the text may be cut into other tokens than before.
        """
        before, after = self.before.bits_per_byte, self.after.bits_per_byte
        if before is not None and after is not None:
            return after / before - 1
        return self.after.nats / self.before.nats - 1

    def told(self) -> str:
        """The relative change of the loss."""
        return f"{self.rise:+.2%}"

    def as_json(self) -> dict[str, Any]:
        """`before` and `after` in nats a token, None where infinite."""
        return {"before": finite(self.before.nats), "after": finite(self.after.nats)}

    def __str__(self) -> str:
        before, after = self.before, self.after
        told = f"{before.nats:.4f} before, {after.nats:.4f} after, in nats a token ({self.rise:+.2%})"
        if before.bits_per_byte is None or after.bits_per_byte is None:
            return told
        return f"{told}; {before.bits_per_byte:.4f} and {after.bits_per_byte:.4f} bits per byte"


@dataclass(frozen=True)
class HeldOut:
    """Texts kept aside to be scored.

    Attributes:
        name: The corpus they come from.
        train: The rest, for training.
        texts: The texts, none of which stands in a training part; empty where none could be kept aside.
    """

    name: str
    train: Corpus
    texts: tuple[str, ...]
    kind: ClassVar[str] = "text"

    def without(self, trained_on: Iterable[str]) -> HeldOut:
        """The same without texts that stand, word for word, in another training part."""
        return HeldOut(self.name, self.train, _unseen(self.texts, trained_on))

    @property
    def held(self) -> bool:
        """Whether any text could be kept aside."""
        return bool(self.texts)

    def measured(self, model: Model) -> Loss | None:
        """The model's loss on the texts; None where it has none of its own, or no text could be kept aside."""
        if not self.texts or not measurable(model):
            return None
        return _causal(model, self.texts) if isinstance(model, Causal) else _masked(model, self.texts)

    def change(self, before: Any, after: Any) -> Change | str:
        """What changed from one loss to another; where they are not of the same tokens, why that can't be told."""
        return Change(before, after) if before.vocabulary == after.vocabulary else _OTHER_WORDS

    def unmeasured(self) -> str:
        """Why there is no loss."""
        if self.texts:
            return "the model has no loss of its own to measure with (no head that predicts tokens)"
        return f"{self.name} holds no text that could be kept aside: give several, not all of them in the new text too"

    def unknown(self) -> str:
        """Why a loss that was measured can't be compared with."""
        return "the old text has probability 0 before the update already"

    def described(self) -> dict[str, Any]:
        """For a lineage."""
        return {"name": f"{self.name} (held out)", "hash": Corpus(self.texts).hash, "texts": len(self.texts)}


_OTHER_WORDS = (
    "the vocabulary has changed, and it is closed or a masked model's, so that losses before and after are not of the"
    " same tokens: a causal model with an open one (open_vocabulary) has them compared; token_growth checks old text"
    " itself (tolerance)"
)


def held_out(corpus: Corpus, seed: int = 0, share: float = SHARE) -> HeldOut:
    """Keep a share of the texts aside, a thousand at the most, and leave out those that also stand in the rest.

    A corpus of one text is all training: nothing can be kept aside.
    """
    count = corpus.survey().texts
    if count < 2:
        return HeldOut(corpus.name, corpus, ())
    train, held = corpus.held_out(min(share, MOST / count), seed)
    return HeldOut(corpus.name, train, _unseen(list(held), train))


def measurable(model: Model) -> bool:
    """Whether the model has a loss of its own that means something already."""
    return isinstance(model, Causal) or (isinstance(model, SelfSupervised) and not model.lacks_head)


def _unseen(texts: Sequence[str], others: Iterable[str]) -> tuple[str, ...]:
    kept = set(texts)
    kept -= {text for text in others if text in kept}
    return tuple(text for text in texts if text in kept)


def _causal(model: Causal, texts: Sequence[str]) -> Loss:
    scores = score(model, texts)
    vocabulary = scores.vocabulary.hash if scores.vocabulary.closed else None
    return Loss(scores.nats / scores.tokens, scores.bits_per_byte, vocabulary)


def _masked(model: Model, texts: Sequence[str]) -> Loss:
    import torch

    assert isinstance(model, SelfSupervised)
    objective = model.objective(Corpus(texts))
    objective.module.eval()
    with torch.inference_mode():
        return Loss(objective.mean_loss(), vocabulary=model.tokenizer.hash)
