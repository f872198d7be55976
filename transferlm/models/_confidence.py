"""How much a count-based model has seen around each word of a text: what its evidence weighs against a prior."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from transferlm.counts.counted_text import CountedText
from transferlm.counts.lookup import Lookup
from transferlm.counts.trie import Trie
from transferlm.models._mixing import prior_share

__all__ = ["Confidence"]


class Confidence:
    """The evidence of counts, for whole texts.

    Args:
        counts: What was counted.
    """

    def __init__(self, counts: CountedText) -> None:
        self._lexicon = counts.lexicon
        self._lookup = Lookup(Trie.of(counts.table))

    def evidence(self, texts: Sequence[str]) -> list[np.ndarray]:
        """For each text float64 (tokens, orders): distinct words over all words that followed each context, the empty
        one first; infinite where it was never seen. The end of a text is its last token.
        """
        encoded = self._lexicon.encode(texts)
        found = self._lookup.evidence(encoded.ids, encoded.starts)
        share = np.divide(found.types, found.totals, out=np.full(found.types.shape, np.inf), where=found.totals > 0)
        return [share[begin + 1 : end] for begin, end in pairwise(encoded.starts.tolist())]

    def prior_shares(self, texts: Sequence[str], strength: float) -> list[np.ndarray]:
        """For each text the log of the share that the prior keeps at each token."""
        return [prior_share(evidence, strength) for evidence in self.evidence(texts)]
