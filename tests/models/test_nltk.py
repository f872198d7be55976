"""NLTK as an oracle, where its formula is ours: relative frequencies, and Witten-Bell above the unigrams.

Its Kneser-Ney has one discount for all counts and leaves nothing to unknown words, and it has no Katz back-off: these
two are worked by hand in `test_worked_examples.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from transferlm import catalog
from transferlm.text.lexicon import BEGIN

pytest.importorskip("nltk", minversion="3.9")

from nltk.lm import MLE, WittenBellInterpolated
from nltk.util import everygrams

CORPORA = {
    "sentences": ["the film was good", "the film was long and the room was cold", "a warm room", "the film was good"],
    "repetition": ["a a a b", "b a a", "a", "b b b b a a b"],
    "Chinese": ["房间 很 好", "房间 很 冷", "电影 很 好 看"],
    "drawn": [
        " ".join(f"w{word}" for word in np.minimum(np.random.default_rng(seed).zipf(1.5, seed % 9 + 1), 40))
        for seed in range(60)
    ],
}


def fitted(peer: Any, texts: list[str]) -> Any:
    """NLTK's model of texts with one mark of beginning and one of end, the former being given and never predicted."""
    padded = [["<s>", *text.split(), "</s>"] for text in texts]
    grams = [[gram for gram in everygrams(words, max_len=peer.order) if gram != ("<s>",)] for words in padded]
    peer.fit(grams, [word for words in padded for word in words])
    return peer


def seen(peer: Any, context: tuple[str, ...]) -> tuple[str, ...]:
    """The longest end of a context that something followed."""
    while context and not peer.counts[context].N():
        context = context[1:]
    return context


def contexts(texts: list[str], order: int) -> list[tuple[str, ...]]:
    """Every context that occurs, and each of them after a word that never did."""
    found = {
        gram
        for text in texts
        for gram in everygrams(("<s>", *text.split(), "</s>"), max_len=order)
        if len(gram) < order
    }
    return sorted({(), *found, *(("never", *context)[: order - 1] for context in found)})


def compared(family: str, peer: Any, texts: list[str], scored: Any) -> None:
    """Assert that a family gives each word after each context what `scored(word, context)` says."""
    model = catalog.find("models", family)(order=peer.order).fit(texts)  # type: ignore[attr-defined]
    lexicon, scorer = model._known()
    asked = contexts(texts, peer.order)
    ids = [np.array([BEGIN if word == "<s>" else lexicon.id_of(word) for word in context]) for context in asked]
    rows = np.exp(scorer.next_log_probs(ids))
    words = ["</s>", *lexicon]
    columns = [lexicon.id_of(word) for word in words]
    for context, row in zip(asked, rows, strict=True):
        expected = [scored(word, context) for word in words]
        assert row[columns] == pytest.approx(expected, rel=2e-6, abs=1e-9), context


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", CORPORA)
def test_maximum_likelihood_is_that_of_nltk(name: str, order: int) -> None:
    texts = CORPORA[name]
    peer = fitted(MLE(order), texts)
    # After a context that never occurred NLTK gives every word 0, and we what follows its end.
    compared("maximum_likelihood", peer, texts, lambda word, context: peer.unmasked_score(word, seen(peer, context)))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", CORPORA)
def test_witten_bell_is_that_of_nltk_over_unigrams_that_know_the_unknown_word(name: str, order: int) -> None:
    texts = CORPORA[name]
    peer = fitted(WittenBellInterpolated(order), texts)
    counts = peer.counts.unigrams
    symbols = len(counts) + 1  # the unknown word is one of those that a new word may be

    def unigram(word: str) -> float:
        """NLTK's has no share for new words; this is Witten & Bell's formula once more, over equally likely words."""
        return float((counts[word] + len(counts) / symbols) / (counts.N() + len(counts)))

    peer.estimator.unigram_score = unigram
    compared("witten_bell", peer, texts, peer.unmasked_score)
