import json
import math
from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngram_tables import grams_of, table_of

from transferlm.counts.symbols import BEGIN, END, UNKNOWN
from transferlm.counts.table import CountTable
from transferlm.counts.trie import Trie
from transferlm.errors import DataError, SettingError
from transferlm.models import (
    _good_turing,
    _hierarchical_dirichlet,
    _kneser_ney,
    _maximum_likelihood,
    _witten_bell,
)

TEXTS = st.lists(st.lists(st.integers(3, 7), max_size=7), min_size=1, max_size=6)
ORDERS = st.integers(1, 5)
METHODS = {
    "kneser_ney": _kneser_ney.estimate,
    "kneser_ney_pruned": lambda trie: _kneser_ney.estimate(trie, [1, 1, 2, 2, 3][: trie.order]),
    "good_turing": _good_turing.estimate,
    "good_turing_of_two": partial(_good_turing.estimate, maximum=2),
    "good_turing_all_kept": lambda trie: _good_turing.estimate(trie, minimum=[1] * trie.order),
    "witten_bell": _witten_bell.estimate,
    "maximum_likelihood": _maximum_likelihood.estimate,
    "dirichlet_fitted": _hierarchical_dirichlet.estimate,
    "dirichlet_given": lambda trie: _hierarchical_dirichlet.estimate(trie, [0.5, 2, 3, 4, 5][: trie.order]),
}


def trie_of(texts, order, scale=1):
    return Trie.of(table_of(texts, order, scale=scale))


def entries(estimate):
    """Gram -> (log probability, log back-off weight or 0)."""
    trie, found = estimate.trie, {}
    for size in range(1, trie.order + 1):
        for node in range(trie.nodes(size)):
            weight = float(estimate.back_offs[size - 1][node]) if size < trie.order else 0.0
            found[trie.gram(size, node)] = float(estimate.log_probs[size - 1][node]), weight
    return found


def log_prob(found, unknown, context, symbol):
    gram = (*context, symbol)
    if gram in found:
        return found[gram][0]
    if not context:
        return unknown
    return found.get(context, (0.0, 0.0))[1] + log_prob(found, unknown, context[1:], symbol)


def vocabulary(texts):
    return sorted({word for words in texts for word in words} | {END, UNKNOWN})


def contexts(texts, order):
    words = {context for size in range(order) for context in grams_of(texts, size)}
    unseen = {(9, *context)[-(order - 1) :] for context in words} if order > 1 else set()
    return {()} | words | unseen


@pytest.mark.parametrize("method", METHODS)
@given(texts=TEXTS, order=ORDERS, scale=st.sampled_from([1, 1, 0.3]))
@settings(max_examples=100, deadline=None)
def test_every_context_sums_to_one(method, texts, order, scale):
    estimate = METHODS[method](trie_of(texts, order, scale))
    assert_sums(estimate, texts, order)
    json.dumps(estimate.facts, allow_nan=False)
    assert len(estimate.back_offs) == order - 1
    assert {a.dtype for a in [*estimate.log_probs, *estimate.back_offs]} == {np.dtype(np.float32)}
    assert estimate.log_probs[0][estimate.trie.symbols[0] == BEGIN].tolist() == [-math.inf]


def assert_sums(estimate, texts, order):
    found = entries(estimate)
    for context in contexts(texts, order):
        total = sum(math.exp(log_prob(found, estimate.unknown, context, word)) for word in vocabulary(texts))
        assert total == pytest.approx(1, abs=2e-6), context


@pytest.mark.parametrize("method", METHODS)
def test_one_text_of_one_word_is_enough(method):
    assert_sums(METHODS[method](trie_of([[4]], 3)), [[4]], 3)


@pytest.mark.parametrize("method", METHODS)
def test_one_empty_text_is_enough(method):
    assert_sums(METHODS[method](trie_of([[]], 3)), [[]], 3)


@pytest.mark.parametrize("method", METHODS)
def test_a_trie_of_nothing_is_refused(method):
    empty = Trie.of(CountTable(np.empty((0, 3), np.uint32), np.empty(0, np.int64)))
    with pytest.raises(DataError, match="nothing was counted"):
        METHODS[method](empty)


def children(counts, context):
    return {gram[-1]: count for gram, count in counts[len(context) + 1].items() if gram[:-1] == context}


def raw_counts(texts, order):
    counts = {size: grams_of(texts, size) for size in range(1, order + 1)}
    counts[1][(BEGIN,)] = 0
    return counts


class SlowKneserNey:
    """The formulas of Chen & Goodman over dictionaries."""

    def __init__(self, texts, order, discounts):
        raw = raw_counts(texts, order)
        self.counts, self.words = {order: raw[order]}, vocabulary(texts)
        for size in range(1, order):
            lefts = Counter(gram[1:] for gram in raw[size + 1])
            self.counts[size] = Counter({g: raw[size][g] if g[0] == BEGIN else lefts[g] for g in raw[size]})
        self.discounts = discounts if discounts else [self.fit(size) for size in range(1, order + 1)]

    def fit(self, size):
        n = Counter(self.counts[size].values())
        if not (n[1] and n[2] and n[3]):
            return 0.5, 1, 1.5
        y = n[1] / (n[1] + 2 * n[2])
        found = 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]
        return found if all(0 <= d <= k for k, d in enumerate(found, 1)) else (0.5, 1, 1.5)

    def probability(self, word, context):
        lower = self.probability(word, context[1:]) if context else 1 / len(self.words)
        seen = children(self.counts, context)
        total = sum(seen.values())
        if not total:
            return lower
        amounts = self.discounts[len(context)]
        gamma = sum(amounts[min(c, 3) - 1] for c in seen.values() if c) / total
        count = seen.get(word, 0)
        return (count - amounts[min(count, 3) - 1] if count else 0) / total + gamma * lower


def zipf_texts(seed=3, size=400):
    draws = np.random.default_rng(seed)
    return [(np.minimum(draws.zipf(1.5, draws.integers(1, 9)), 60) + 3).tolist() for _ in range(size)]


def assert_probabilities(estimate, slow, texts, order):
    found = entries(estimate)
    for gram, (log, _) in found.items():
        if gram != (BEGIN,):
            assert log == pytest.approx(math.log(slow(gram[-1], gram[:-1])), abs=1e-6, rel=1e-6), gram
    for context in list(contexts(texts, order))[:20]:
        for word in vocabulary(texts):
            expected = slow(word, context)
            got = log_prob(found, estimate.unknown, context, word)
            assert math.exp(got) == pytest.approx(expected, abs=1e-9, rel=1e-5), (context, word)


@given(texts=TEXTS, order=ORDERS)
@settings(max_examples=100, deadline=None)
def test_kneser_ney_is_that_of_the_formulas(texts, order):
    slow = SlowKneserNey(texts, order, None)
    assert_probabilities(_kneser_ney.estimate(trie_of(texts, order)), slow.probability, texts, order)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_kneser_ney_with_fitted_discounts_is_that_of_the_formulas(order):
    texts = zipf_texts()
    estimate = _kneser_ney.estimate(trie_of(texts, order))
    slow = SlowKneserNey(texts, order, None)
    assert np.array(estimate.facts["discounts"]) == pytest.approx(np.array(slow.discounts))
    assert len(estimate.facts["fallback_orders"]) == len(estimate.notes) < order
    found = entries(estimate)
    for gram in sorted(found)[:: max(1, len(found) // 150)]:
        if gram != (BEGIN,):
            assert found[gram][0] == pytest.approx(math.log(slow.probability(gram[-1], gram[:-1])), abs=1e-6)


def test_kneser_ney_worked_by_hand():
    # "a a": three unigrams events by their left neighbours: a after <s> and a; </s> after a.
    estimate = _kneser_ney.estimate(trie_of([[4, 4]], 2))
    found = entries(estimate)
    unigram_a = (2 - 1) / 3 + (1.5 / 3) / 3  # D2 = 1, gamma = (D1 + D2) / 3, uniform over a, </s> and <unk>
    assert found[(4,)][0] == pytest.approx(math.log(unigram_a), abs=1e-6)
    assert estimate.unknown == pytest.approx(math.log((1.5 / 3) / 3), abs=1e-6)
    assert found[(BEGIN, 4)][0] == pytest.approx(math.log(0.5 + 0.5 * unigram_a), abs=1e-6)
    assert found[(4,)][1] == pytest.approx(math.log(0.5), abs=1e-6)
    assert estimate.facts["fallback_orders"] == [1, 2]
    assert "0.5, 1 and 1.5" in estimate.notes[0]


def test_kneser_ney_pruning_gives_the_mass_to_the_shorter_context():
    texts = [[4, 5], [4, 5], [4, 6]]
    whole, pruned = (_kneser_ney.estimate(trie_of(texts, 2), least) for least in (None, [1, 2]))
    assert (4, 6) in entries(whole)
    assert (4, 6) not in entries(pruned)
    assert math.exp(entries(whole)[(4,)][1]) == pytest.approx((1 / 3 + 1.5) / 3, rel=1e-6)  # D1 and D2 of 2, 2, 1, 0
    assert math.exp(entries(pruned)[(4,)][1]) == pytest.approx((1 + 1.5) / 3, rel=1e-6)
    assert whole.facts["discounts"] == pruned.facts["discounts"]
    assert pruned.facts["ngrams"] == [5, 3]


@given(texts=TEXTS, order=ORDERS)
@settings(max_examples=100, deadline=None)
def test_witten_bell_is_that_of_the_formula(texts, order):
    counts, words = raw_counts(texts, order), vocabulary(texts)

    def slow(word, context):
        lower = slow(word, context[1:]) if context else 1 / len(words)
        seen = {w: c for w, c in children(counts, context).items() if c}
        if not seen:
            return lower
        return (seen.get(word, 0) + len(seen) * lower) / (sum(seen.values()) + len(seen))

    assert_probabilities(_witten_bell.estimate(trie_of(texts, order)), slow, texts, order)


@given(texts=TEXTS, order=ORDERS)
@settings(max_examples=100, deadline=None)
def test_a_dirichlet_with_given_concentrations_is_that_of_the_formula(texts, order):
    counts, words, a = raw_counts(texts, order), vocabulary(texts), [0.5, 2, 3, 4, 5]

    def slow(word, context):
        lower = slow(word, context[1:]) if context else 1 / len(words)
        seen, weight = children(counts, context), a[len(context)]
        return (seen.get(word, 0) + weight * lower) / (sum(seen.values()) + weight)

    assert_probabilities(METHODS["dirichlet_given"](trie_of(texts, order)), slow, texts, order)


@pytest.mark.parametrize("order", [1, 2])
def test_fitted_concentrations_predict_left_out_words_best(order):
    texts = zipf_texts()
    trie = trie_of(texts, order)
    fitted = _hierarchical_dirichlet.estimate(trie)
    counts, a = raw_counts(texts, order), fitted.facts["concentrations"][-1]
    lower = entries(_hierarchical_dirichlet.estimate(trie_of(texts, 1), [fitted.facts["concentrations"][0]]))

    def left_out(weight):
        total = 0.0
        for gram, count in counts[order].items():
            base = math.exp(lower[gram[1:]][0]) if order > 1 else 1 / len(vocabulary(texts))
            whole = sum(children(counts, gram[:-1]).values())
            if count:
                total += count * math.log((count - 1 + weight * base) / (whole - 1 + weight))
        return total

    assert left_out(a) > max(left_out(a * 1.1), left_out(a / 1.1))


def test_maximum_likelihood_is_the_relative_frequency():
    estimate = _maximum_likelihood.estimate(trie_of([[4, 5], [4, 4], [5]], 2))
    found = entries(estimate)
    assert math.exp(found[(4,)][0]) == pytest.approx(3 / 8)
    assert math.exp(found[(4, 5)][0]) == pytest.approx(1 / 3)
    assert math.exp(found[(BEGIN, 4)][0]) == pytest.approx(2 / 3)
    assert estimate.unknown == -math.inf
    assert found[(4,)][1] == -math.inf
    assert found[(END,)][1] == 0
    assert math.exp(log_prob(found, estimate.unknown, (9,), 5)) == pytest.approx(2 / 8)


def slow_katz(texts, order, ratios, maximum, words):
    """SRILM's estimate, with its loop that raises the total one by one."""
    counts, found = raw_counts(texts, order), {}

    def probability(word, context):
        if (*context, word) in found:
            return found[(*context, word)][0]
        if not context:
            return found[()][1] if word == UNKNOWN else 0.0
        return found.get(context, (0, 1))[1] * probability(word, context[1:])

    def prepared(context):
        size = len(context) + 1
        seen = {w: c for w, c in children(counts, context).items() if c}
        least = 2 if size > 2 else 1
        share = {
            w: c * (ratios[size - 1][c] if size > 1 and c <= maximum else 1) for w, c in seen.items() if c >= least
        }
        return seen, share, sum(seen.values())

    for size in range(1, order + 1):
        for context in sorted({gram[:-1] for gram in counts[size] if gram[-1] != BEGIN}):
            seen, share, total = prepared(context)
            explicit = sum(share.values())
            while share and len(seen) < len(words) and explicit / total > 1 - 3e-6:
                total += 1
            left = 1 - explicit / total
            below = 1 - sum(probability(w, context[1:]) for w in share) if context else 1
            if below < 1e-9:
                total, left, below = explicit, 0, 1
            for word, amount in share.items():
                found[(*context, word)] = [amount / total, 1]
            if context in found:
                found[context][1] = left / below
            elif share and context != (BEGIN,):
                found[context] = [0, left / below]
            elif share:
                found[(BEGIN,)] = [0, left / below]
    return probability


@pytest.mark.parametrize("order", [1, 2, 3])
def test_good_turing_is_katz_back_off_as_srilm_does_it(order):
    texts = zipf_texts()
    estimate = _good_turing.estimate(trie_of(texts, order))
    ratios = [[1.0, *found, *[1.0] * 8][:8] for found in estimate.facts["coefficients"]]
    assert order == 1 or any(0 < ratio < 1 for ratio in ratios[1])
    probability = slow_katz(texts, order, ratios, 7, vocabulary(texts))
    found = entries(estimate)
    drawn = sorted(contexts(texts, order))
    for context in drawn[:: max(1, len(drawn) // 12)]:
        for word in vocabulary(texts)[::3]:
            got = math.exp(log_prob(found, estimate.unknown, context, word))
            assert got == pytest.approx(probability(word, context), rel=1e-5, abs=1e-9), (context, word)


def test_good_turing_leaves_out_long_grams_seen_once():
    estimate = _good_turing.estimate(trie_of([[4, 5, 6], [4, 5, 7]], 3))
    assert (4, 5, 6) not in entries(estimate)
    assert (BEGIN, 4, 5) in entries(estimate)
    assert (4, 5) in entries(estimate)
    assert entries(estimate)[(4, 5)][1] == 0
    assert estimate.facts["minimum"] == [1, 1, 2]


def test_good_turing_gives_an_unseen_word_what_one_more_count_would():
    estimate = _good_turing.estimate(trie_of([[4], [5]], 1))
    assert estimate.unknown == pytest.approx(math.log(1 / 5))
    counted = _good_turing.estimate(trie_of([[4], [UNKNOWN]], 1))
    assert counted.unknown == pytest.approx(math.log(1 / 4))


def test_good_turing_coefficients_worked_by_hand():
    found, problems = _good_turing.coefficients([0, 100, 40, 20])
    assert found == pytest.approx([1, 0.5, 0.375])
    assert problems == []


def test_good_turing_says_what_it_could_not_discount():
    found, problems = _good_turing.coefficients([0, 10, 9, 2, 0])
    assert found == [1, 1, 1]
    assert [problem.split()[0] for problem in problems] == ["counts", "the", "the"]
    assert _good_turing.coefficients([0, 0, 3, 1]) == ([1.0], ["no n-gram is counted once, so none is discounted."])
    notes = _good_turing.estimate(trie_of([[4, 4]], 2)).notes
    assert notes
    assert all(note.startswith("Order 2: ") for note in notes)


def test_settings_that_do_not_fit_are_refused():
    trie = trie_of([[4]], 2)
    with pytest.raises(SettingError, match="2 orders"):
        _hierarchical_dirichlet.estimate(trie, [1.0])
    with pytest.raises(SettingError, match="above 0"):
        _hierarchical_dirichlet.estimate(trie, [1.0, 0.0])
    with pytest.raises(SettingError, match="2 orders"):
        _kneser_ney.estimate(trie, [1])
    with pytest.raises(SettingError, match="-1"):
        _good_turing.estimate(trie, maximum=-1)


@pytest.mark.parametrize("method", ["kneser_ney", "good_turing"])
def test_counts_that_are_not_whole_are_noted(method):
    assert any("not whole" in note for note in METHODS[method](trie_of([[4]], 2, 0.3)).notes)
