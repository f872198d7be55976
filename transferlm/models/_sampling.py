"""Text drawn from a causal model, one token after the other: how a token is chosen, and where a text stands."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from transferlm.errors import DataError, SettingError, alternatives
from transferlm.text.white_space import WHITE_SPACE

if TYPE_CHECKING:
    from transferlm.models.base import Causal

__all__ = ["Continuation", "Drawing", "HiddenContinuation", "Reread", "most_probable", "nucleus", "put_together"]


@dataclass(frozen=True)
class Drawing:
    """How tokens are drawn.

    Attributes:
        length: Most tokens a text, the prompt's not counted.
        temperature: What log-probabilities are divided by: 1 draws from the model itself, less prefers what is
            probable, and 0 takes the most probable token (greedy).
        top_k: Draw among that many most probable tokens only (Fan, Lewis & Dauphin 2018, section 5.4); none draws among
            all.
        top_p: Draw among the fewest most probable tokens whose probabilities, at this temperature and among `top_k`,
            sum to that share (nucleus sampling, Holtzman et al. 2020, section 3.1); none draws among all.
        repetition_penalty: What log-probabilities of tokens that were drawn before are multiplied by (after Keskar et
            al. 2019, section 4.1, where it divides logits): 1 leaves them, 1.2 makes repeating rarer. The prompt's
            tokens are not punished.

    Raises:
        SettingError: One is out of its range.
    """

    length: int = 100
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """These settings by name; others stay as they are.

        Raises:
            SettingError: One is unknown, or out of its range.
        """
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in known:
                raise SettingError(f"no setting of drawing is called {name!r}: {alternatives(name, known)}")
        return cls(**settings)

    def __post_init__(self) -> None:
        if self.length < 1:
            raise SettingError(f"length {self.length}: give 1 token or more")
        if not 0 <= self.temperature < math.inf:
            raise SettingError(f"temperature {self.temperature}: give 0 (the most probable token) or more, 1 as usual")
        if self.top_k is not None and self.top_k < 1:
            raise SettingError(f"top_k {self.top_k}: give 1 token or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise SettingError(f"top_p {self.top_p}: give a share above 0, up to 1")
        if not 1 <= self.repetition_penalty < math.inf:
            raise SettingError(f"repetition_penalty {self.repetition_penalty}: give 1 (none) or more")

    def weighed(self, log_probs: np.ndarray, barred: np.ndarray, drawn: Sequence[int]) -> np.ndarray:
        """Log-probabilities of what may come next, changed in place: nothing barred, and `drawn` punished.

        Args:
            log_probs: float64 of shape (vocabulary,).
            barred: Ids of tokens that are never drawn.
            drawn: Ids of tokens that were drawn before.
        """
        log_probs[barred] = -np.inf
        log_probs[np.unique(np.array(drawn, np.int64))] *= self.repetition_penalty
        return log_probs

    def token(self, log_probs: np.ndarray, generator: np.random.Generator) -> int:
        """One token.

        Args:
            log_probs: float64 of shape (vocabulary,); they need not sum to 1.
            generator: Gives one number a token, none where the temperature is 0.

        Raises:
            DataError: No token has a probability.
        """
        best = int(np.argmax(log_probs))
        if not np.isfinite(log_probs[best]):
            raise DataError("no token has a probability above 0 here, so that none can be drawn")
        if self.temperature == 0:
            return best
        ids = np.arange(len(log_probs)) if self.top_k is None else most_probable(log_probs, self.top_k)
        with np.errstate(over="ignore"):  # what is improbable at a low temperature falls to -inf
            scaled = (log_probs[ids] - log_probs[best]) / self.temperature
        weights = np.exp(scaled)
        if self.top_p is not None:
            kept = nucleus(weights, self.top_p)
            ids, weights = ids[kept], weights[kept]
        heaps = np.cumsum(weights)
        return int(ids[np.searchsorted(heaps, generator.random() * heaps[-1], side="right")])


def most_probable(log_probs: np.ndarray, count: int) -> np.ndarray:
    """Ids of the `count` most probable tokens, ascending; of equal ones the first.

    >>> most_probable(np.array([-1.0, -2.0, -3.0, -2.0]), 2).tolist()
    [0, 1]
    """
    if count >= len(log_probs):
        return np.arange(len(log_probs))
    least = np.partition(log_probs, -count)[-count]
    above = np.flatnonzero(log_probs > least)
    return np.sort(np.append(above, np.flatnonzero(log_probs == least)[: count - len(above)]))


def nucleus(weights: np.ndarray, share: float) -> np.ndarray:
    """Places of the fewest largest weights that sum to a share of all, ascending; of equal ones the first.

    >>> nucleus(np.array([1.0, 5.0, 3.0, 1.0]), 0.7).tolist()
    [1, 2]
    """
    order = np.argsort(-weights, kind="stable")
    heaps = np.cumsum(weights[order])
    return np.sort(order[: 1 + np.searchsorted(heaps, share * heaps[-1])])


class Continuation(ABC):
    """Where a text stands that begins with a prompt: what may come next, and what has come.

    Attributes:
        end_id: The token that ends a text.
        barred: int64, tokens that are never drawn because they stand for no text: padding, the mark of the beginning,
            and the unknown token, unless it is a word of the corpus itself or can be spelled out.
    """

    end_id: int
    barred: np.ndarray

    @abstractmethod
    def log_probs(self) -> np.ndarray:
        """Log-probabilities of the next token: float64 of shape (vocabulary,), the caller's to change."""

    @abstractmethod
    def take(self, token: int) -> None:
        """Go on by one token."""

    @abstractmethod
    def text(self) -> str:
        """The prompt as it was given, and what was taken."""

    def fork(self) -> Self:
        """A twin that stands at the same place and goes on alone."""
        twin = copy.copy(self)
        twin.__dict__.update({name: list(value) for name, value in vars(self).items() if isinstance(value, list)})
        return twin


class HiddenContinuation(Continuation):
    """Where a text stands, by a model that tells its hidden states.

    Attributes:
        hidden: Those after the tokens that were read last, the prompt's or the one taken: float32 of shape (tokens,
            width). The last of them is what the next token is predicted from.
    """

    hidden: np.ndarray


class Reread(Continuation):
    """A text of any causal model, read anew for every token. A family that can carry its state has one of its own.

    Tokens that are parts of characters (byte-level ones) are read as text decodes them.
    """

    def __init__(self, model: Causal, prompt: str) -> None:
        self._model, self._prompt, self._ids = model, prompt, list[int]()
        self.end_id = model.tokenizer.end_id
        self.barred = np.array(sorted(model.tokenizer.special_ids - {self.end_id}), np.int64)

    def log_probs(self) -> np.ndarray:
        """The distribution after the text so far."""
        row: np.ndarray = self._model.next_log_probs([self.text()])[0]
        return row

    def take(self, token: int) -> None:
        """Go on by one token."""
        self._ids.append(token)

    def text(self) -> str:
        """The prompt and what the tokenizer writes for the tokens."""
        tokenizer = self._model.tokenizer
        return put_together(self._prompt, tokenizer.decode(self._ids), tokenizer.separator)


def put_together(prompt: str, drawn: str, separator: str) -> str:
    """A prompt and what follows it, parted as the tokenizer parts tokens.

    >>> put_together("the film", "was good", " "), put_together("the film ", "was", " "), put_together("电", "影", "")
    ('the film was good', 'the film was', '电影')
    """
    parted = not (prompt and drawn) or WHITE_SPACE.match(prompt[-1])
    return prompt + ("" if parted else separator) + drawn
