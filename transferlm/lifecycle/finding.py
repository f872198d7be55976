"""What to find out before long training: a learning rate that suits a model and its text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from transferlm.launched import alone
from transferlm.models.base import Model, able
from transferlm.text.corpus import Corpus

if TYPE_CHECKING:
    from transferlm.neural.learning_rate_finder import LearningRates

__all__ = ["find_learning_rate"]


def find_learning_rate(
    model: Model,
    corpus: Corpus | Iterable[str],
    seed: int = 0,
    steps: int = 100,
    lowest: float | None = None,
    highest: float | None = None,
) -> LearningRates:
    """Try rising learning rates on a model that would be pretrained on text (Smith 2017).

    The model is drawn as `pretrain` draws it and trained for a few steps, each at a higher rate, until its loss
    explodes; the model given is left as it was.

    Args:
        model: Its family, hyper-parameters and tokenizer are kept, all but the rate.
        corpus: Texts.
        seed: Decides every random choice.
        steps: Most mini-batches, one a rate; more make the curve smoother.
        lowest: The first rate; None is 1e-6 for AdamW, 1e-3 for stochastic gradient descent.
        highest: The last one; None is 1 for AdamW, 1,000 for stochastic gradient descent.

    Raises:
        UnsupportedError: The family is not trained on text by gradients.
        SettingError: The steps are too few, or the rates make no range.
        DataError: The corpus is empty, or the loss explodes at once.
    """
    alone("the search for a learning rate")
    from transferlm.models._pretrainable import Pretrainable

    whole, drawn = Corpus.of(corpus), able(model, Pretrainable, "find_learning_rate").untrained(seed)
    drawn.begin(whole, seed)
    return drawn.training(whole, seed).tried(seed, steps, lowest, highest)
