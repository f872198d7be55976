"""A back-off model in little memory: n-grams by their last symbol first, numbers of just the width they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np

from transferlm.counts import _compact_trie_kernels as kernels
from transferlm.counts import _compact_trie_parts as parts
from transferlm.counts.back_off import BackOff
from transferlm.counts.quantising import MOST_BITS, Coded
from transferlm.counts.scorer import Scorer, frozen, in_threads, texts_in
from transferlm.counts.sums import MOST_STEPS, STEP
from transferlm.counts.symbols import BEGIN, FIRST_WORD, NOTHING, UNKNOWN
from transferlm.errors import DataError, ModelFolderError

__all__ = ["MOST_NGRAMS", "CompactTrie"]

MOST_NGRAMS = (1 << 32) - 1
"""Of two symbols and more: the places of children are told in 32 bits."""


@dataclass(frozen=True, eq=False)
class CompactTrie(Scorer):
    """KenLM's trie (Heafield 2011, section 3.2): back from a symbol to the longest known n-gram that ends there.

    The n-grams of two symbols and more are numbered order after order, those of an order by their last symbol, then the
    one before it, and so on to their first, so that those with one symbol more before an n-gram, its children, stand
    together. Packed arrays hold numbers of a fixed width in bits one after the other, and one word more. A value is a
    code, that is a column of its order's row in a table of values; or, where the tables have no columns, float32 bits.
    Of values in codes a normaliser is taken after each context, so that probabilities sum to what they did before.

    Attributes:
        unigrams: float32 (vocabulary, 3), indexed by symbol: natural logs of its probability, of its back-off weight
            less its normaliser, and of that. A log-probability that is not a number says that the symbol counts as
            UNKNOWN.
        unigram_first: uint32 (vocabulary + 1,): where the children of each symbol begin, and where the last end.
        levels: int64 (order,): where the n-grams of two, three symbols and so on begin, and where the last end.
        symbols: uint32, packed (n-grams,): the first symbol of each.
        groups: uint32 (groups,): where the children of every 32nd n-gram begin, those of the highest order left out.
        first: uint32, packed (32 * groups,): how much later those of each n-gram begin than those of its group.
        log_probs: uint32, packed (n-grams,): natural logs of their probabilities.
        back_offs: uint32, packed (n-grams below the highest order,): natural logs of their back-off weights.
        normalisers: uint32, packed (n-grams below the highest order,): steps (`sums.STEP`) above the fewest; none
            where values are kept to the bit.
        normaliser_bounds: int64 (2,): the fewest and the most steps of them.
        log_prob_values: float32 (order - 1, codes): a row an order, from the second on.
        back_off_values: float32 (order - 2, codes): the same for back-off weights, without the highest order.
    """

    unigram_first: np.ndarray
    symbols: np.ndarray
    groups: np.ndarray
    first: np.ndarray
    log_probs: np.ndarray
    back_offs: np.ndarray
    normalisers: np.ndarray
    normaliser_bounds: np.ndarray
    log_prob_values: np.ndarray
    back_off_values: np.ndarray

    kind: ClassVar[str] = "compact trie"

    @classmethod
    def of(cls, model: BackOff, values: Coded, vocabulary: int = 0) -> CompactTrie:
        """The trie of a model whose arrays fit together (`BackOff.check`).

        Args:
            model: The model.
            values: Its values, coded or not.
            vocabulary: Symbols there are, if more than the highest with a unigram tells.

        Raises:
            DataError: There are more n-grams than 32 bits number.
        """
        ngrams = sum(map(len, model.symbols[1:]))
        if ngrams > MOST_NGRAMS:
            raise DataError(f"{ngrams:,} n-grams are more than the {MOST_NGRAMS:,} that a compact trie can hold")
        taken = values.normalisers[0] * STEP if len(values.normalisers) else 0.0
        unigrams = parts.unigrams_of(model, taken, vocabulary)
        orders = list(parts.orders_of(model, len(unigrams)))
        counts = [order.children for order in orders] or [np.zeros(len(unigrams), np.int64)]
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[0])])
        groups, later = parts.grouped(counts[1:], int(bounds[-1]))
        steps = np.concatenate([np.zeros(0, np.int64), *_as_numbered(values.normalisers[1:], orders)])
        fewest, most = (int(steps.min()), int(steps.max())) if len(steps) else (0, 0)
        return cls(
            unigrams=unigrams,
            unigram_first=bounds.astype(np.uint32),
            levels=np.cumsum([0] + [len(order.places) for order in orders], dtype=np.int64),
            symbols=parts.packed([order.symbols for order in orders], parts.width_of(len(unigrams) - 1)),
            groups=groups,
            first=parts.packed([later], parts.width_of(later.max())),
            log_probs=parts.packed(_as_numbered(values.log_probs, orders), _code_width(values.log_prob_values)),
            back_offs=parts.packed(_as_numbered(values.back_offs, orders), _code_width(values.back_off_values)),
            normalisers=parts.packed([steps - fewest], parts.width_of(most - fewest)),
            normaliser_bounds=np.array([fewest, most]),
            log_prob_values=values.log_prob_values,
            back_off_values=values.back_off_values,
        )

    @property
    def goes_on_after_unknown(self) -> bool:
        """Whether something was seen before UNKNOWN: at least the beginning of a text, as after it at least the end."""
        return bool(self.unigram_first[UNKNOWN + 1] > self.unigram_first[UNKNOWN])

    @property
    def bits(self) -> int | None:
        """Width of the widest code, None where values are kept to the bit."""
        widths = _code_width(self.log_prob_values), _code_width(self.back_off_values)
        return None if kernels.WHOLE in widths else max(widths)

    @property
    def saved(self) -> int:
        """Bytes that codes save of float32 values; below 0 where tables and normalisers outweigh that."""
        coded = self.log_probs, self.back_offs, self.normalisers, self.log_prob_values, self.back_off_values
        whole = 4 * int(self.levels[-1] + self.levels[max(self.order - 2, 0)])
        return whole - sum(array.nbytes for array in coded)

    def next_log_probs(self, contexts: Sequence[np.ndarray]) -> np.ndarray:
        """The whole distribution of the next symbol after each context (see `Scorer`).

        The probabilities after a context have the sum that they had in the model that the trie was made of, or, of
        values in codes, up to `sums.STEP` less.
        """
        rows = np.empty((len(contexts), self.vocabulary))
        for row, context in zip(rows, contexts, strict=True):
            kernels.distribution(self._tables, np.asarray(context)[-self.order :].astype(np.int64), row)
        rows[:, [NOTHING, BEGIN]] = -np.inf
        return rows

    def _walk(
        self, ids: np.ndarray, starts: np.ndarray, threads: int, *, orders: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        ids, starts = texts_in(ids, starts)
        found = np.zeros(len(ids)), np.zeros(len(ids) if orders else 0, np.uint8)
        tables, walk = self._tables, cast(Any, kernels.walk)

        def work(begin: int, end: int) -> None:
            walk(tables, ids, starts, *found, begin, end)

        in_threads(work, len(ids), threads)
        return found

    @cached_property
    def _tables(self) -> kernels.Tables:
        arrays = {name: frozen(array) for name, array in self.arrays().items()}
        bounds = arrays.pop("normaliser_bounds").tolist()
        for name in ("log_prob_values", "back_off_values"):
            arrays[name] = frozen(_with_every_code(arrays[name]))
        return kernels.Tables(
            **arrays,
            whole_log_probs=arrays["log_probs"].view(np.float32),
            whole_back_offs=arrays["back_offs"].view(np.float32),
            symbol_width=parts.width_of(self.vocabulary - 1),
            first_width=(len(self.first) - 1) // len(self.groups),
            log_prob_width=_code_width(self.log_prob_values),
            back_off_width=_code_width(self.back_off_values),
            normaliser_width=parts.width_of(bounds[1] - bounds[0]),
            fewest_steps=bounds[0],
        )

    def _check(self) -> None:
        self._check_each(unigrams=(max(FIRST_WORD, self.unigrams.size // 3), 3), levels=(max(1, self.levels.size),))
        if self.levels[0] != 0 or np.any(self.levels[1:] < self.levels[:-1]) or self.order > _HIGHEST_ORDER:
            raise ModelFolderError("the compact trie's levels do not climb from 0: make the model again")
        codes = [table.shape[-1] if table.ndim else 0 for table in (self.log_prob_values, self.back_off_values)]
        if max(codes) > 1 << MOST_BITS or (0 in codes and any(codes)):
            raise ModelFolderError(f"the compact trie has {codes} values an order: make the model again")
        self._check_each(
            log_prob_values=(self.order - 1, codes[0]),
            back_off_values=(max(self.order - 2, 0), codes[1]),
            normaliser_bounds=(2,),
        )
        fewest, most = self.normaliser_bounds.tolist()
        if not -MOST_STEPS <= fewest <= most <= MOST_STEPS:
            raise ModelFolderError(f"the compact trie's normalisers are {fewest} to {most}: make the model again")
        ngrams, below = int(self.levels[-1]), int(self.levels[max(self.order - 2, 0)])
        groups = below // kernels.GROUP + 1
        self._check_each(
            unigram_first=(self.vocabulary + 1,),
            symbols=(parts.words_of(ngrams, parts.width_of(self.vocabulary - 1)),),
            groups=(groups,),
            first=(groups * min(max(1, (self.first.size - 1) // groups), 32) + 1,),
            log_probs=(parts.words_of(ngrams, _code_width(self.log_prob_values)),),
            back_offs=(parts.words_of(below, _code_width(self.back_off_values)),),
            normalisers=(parts.words_of(below if any(codes) else 0, parts.width_of(most - fewest)),),
        )

    def _check_each(self, **shapes: tuple[int, ...]) -> None:
        self._check_shapes({name: (_KINDS.get(name, np.uint32), shape) for name, shape in shapes.items()})


_HIGHEST_ORDER = 255
_KINDS: dict[str, type[np.generic]] = {
    "unigrams": np.float32,
    "levels": np.int64,
    "normaliser_bounds": np.int64,
    "log_prob_values": np.float32,
    "back_off_values": np.float32,
}
"""Types of the arrays that are not packed."""


def _code_width(table: np.ndarray) -> int:
    """Bits of a code for a column of a table of values, or of a value where it has no columns."""
    return parts.width_of(table.shape[1] - 1) if table.shape[1] else kernels.WHOLE


def _with_every_code(table: np.ndarray) -> np.ndarray:
    """The table with a column for every code of its width, so that a damaged one leads nowhere else."""
    return np.pad(table, ((0, 0), (0, -table.shape[1] % (1 << parts.width_of(max(table.shape[1] - 1, 0))))))


def _as_numbered(codes: Sequence[np.ndarray], orders: Sequence[parts.Order]) -> list[np.ndarray]:
    return [own[order.places] for own, order in zip(codes, orders, strict=False)]
