"""How probable a word is that was never seen: it is spelled out by a model of the characters of the words that were."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from transferlm.counts.automaton import Automaton
from transferlm.counts.counted_text import CountedText
from transferlm.counts.trie import Trie
from transferlm.models import _witten_bell
from transferlm.models._sampling import Drawing
from transferlm.models._side_by_side import Alone, drawn_texts
from transferlm.models._symbol_sampling import SymbolContinuation
from transferlm.text.lexicon import UNKNOWN, UNKNOWN_WORD, Lexicon

__all__ = ["Spelling"]

_ORDER = 5
_LONGEST = 1000
"""Letters of a word that is drawn: far more than any has, so that it ends."""
_CODE_POINTS = 0x110000 - 0x800
"""All characters of Unicode: the code points without the halves of surrogate pairs."""


class Spelling:
    """A distribution over strings, learnt from each known word once (what rare words look like, not frequent ones).

    Characters are predicted from the four before by Witten-Bell smoothing, which needs no fit; a character that no
    known word holds is any of Unicode's with the same probability.

    Args:
        lexicon: The known words.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        words = list(lexicon) or [""]
        counted = CountedText.of(words, "character", _ORDER)
        estimate = _witten_bell.estimate(Trie.of(counted.table))
        self._known, self._characters = lexicon, counted.lexicon
        self._automaton = Automaton.of(estimate.back_off(), vocabulary=counted.lexicon.size)

    def log_probs(self, words: Sequence[str]) -> np.ndarray:
        """Nats of each word, its end included: float64 of shape (words,)."""
        if not words:
            return np.zeros(0)
        found = self._characters.encode(words)
        logs = self._automaton.score(found.ids, found.starts)
        logs -= np.where(found.ids == UNKNOWN, math.log(_CODE_POINTS), 0.0)
        summed: np.ndarray = np.add.reduceat(logs, found.starts[:-1])
        return summed

    def draw(self, generator: np.random.Generator) -> str:
        """A word that is not known, of letters that known words have."""
        while True:
            letters = Alone([SymbolContinuation(self._characters, self._automaton)])
            word = drawn_texts(letters, Drawing(_LONGEST), [generator])[0]
            if word not in ("", UNKNOWN_WORD) and self._known.id_of(word) == UNKNOWN:
                return word
