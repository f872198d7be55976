"""Two smoothings worked by hand, with all their discounts: texts of one word each, so that every count can be seen.

The bigrams are `<s> w` and `w </s>`, each as frequent as the word `w`; the words of a group are alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from transferlm import catalog


def probabilities(model: Any) -> Any:
    """`p(word, context)` of a model of order 2."""
    return lambda word, context: float(np.exp(model.next_log_probs([context])[0][model.tokenizer.id_of(word)]))


def test_modified_kneser_ney_with_its_three_discounts() -> None:
    # once: a b c d; twice: e f; three times: g; four times: h. 15 texts.
    texts = [*"abcd", *"ee", *"ff", *"ggg", *"hhhh"]
    model = catalog.find("models", "kneser_ney")(order=2).fit(texts)  # type: ignore[attr-defined]
    p = probabilities(model)

    # Bigrams: n1 = 2 x 4 = 8, n2 = 2 x 2 = 4, n3 = 2, n4 = 2 (Chen & Goodman 1999, eq. 26).
    y = 8 / (8 + 2 * 4)
    one, two, three = 1 - 2 * y * 4 / 8, 2 - 3 * y * 2 / 4, 3 - 4 * y * 2 / 2
    assert (y, one, two, three) == (0.5, 0.5, 1.25, 1)
    assert model.facts()["discounts"][1] == pytest.approx([one, two, three])

    # Unigrams: each word follows <s> alone, </s> follows 8 words: 16 in all. n1 = 8 and no 2: the discounts are 0.5, 1
    # and 1.5. The mass set free is shared by 10 symbols: 8 words, </s> and <unk>.
    shared = (8 * 0.5 + 1 * 1.5) / 16 / 10
    word, end, unknown = (1 - 0.5) / 16 + shared, (8 - 1.5) / 16 + shared, shared
    assert (word, end, unknown) == (0.065625, 0.440625, 0.034375)
    assert 8 * word + end + unknown == 1

    # After <s>: 15 in all; 4 followers once, 2 twice, 2 more often.
    gamma = (4 * one + 2 * two + 2 * three) / 15
    assert p("a", "") == pytest.approx((1 - one) / 15 + gamma * word)
    assert p("e", "") == pytest.approx((2 - two) / 15 + gamma * word)
    assert p("g", "") == pytest.approx((3 - three) / 15 + gamma * word)
    assert p("h", "") == pytest.approx((4 - three) / 15 + gamma * word)
    assert p("</s>", "") == pytest.approx(gamma * end)
    assert p("<unk>", "") == pytest.approx(gamma * unknown)

    # After a word: </s> alone, as often as the word.
    assert p("</s>", "a") == pytest.approx((1 - one) / 1 + one / 1 * end)
    assert p("</s>", "e") == pytest.approx((2 - two) / 2 + two / 2 * end)
    assert p("</s>", "g") == pytest.approx((3 - three) / 3 + three / 3 * end)
    assert p("</s>", "h") == pytest.approx((4 - three) / 4 + three / 4 * end)
    assert p("g", "a") == pytest.approx(one / 1 * word)

    # After a word never seen: the unigrams.
    assert p("h", "zebra") == pytest.approx(word)


def test_katz_back_off_with_good_turing_discounts() -> None:
    # once: a b c d e f g h; twice: i j; three times: k. 15 texts.
    texts = [*"abcdefgh", *"ii", *"jj", *"kkk"]
    model = catalog.find("models", "good_turing")(order=2, maximum=2).fit(texts)  # type: ignore[attr-defined]
    p = probabilities(model)

    # Bigrams: n1 = 16, n2 = 4, n3 = 2; counts of 1 and 2 are discounted (Katz 1987, eq. 15).
    t = 3 * 2 / 16
    one, two = (2 * 4 / 16 - t) / (1 - t), (3 * 2 / (2 * 4) - t) / (1 - t)
    assert (t, one, two) == pytest.approx((0.375, 0.2, 0.6))
    assert model.facts()["coefficients"][1] == pytest.approx([one, two])

    # Unigrams are relative frequencies of 15 words and 15 ends, and the total is one more, which the unknown word has.
    assert p("a", "zebra") == pytest.approx(1 / 31)
    assert p("k", "zebra") == pytest.approx(3 / 31)
    assert p("</s>", "zebra") == pytest.approx(15 / 31)
    assert p("<unk>", "zebra") == pytest.approx(1 / 31)

    # After <s>: 8 words once, 2 twice, 1 three times, of 15. What is left goes to </s> and <unk>, as 15 to 1.
    left = 1 - (8 * one * 1 + 2 * two * 2 + 3) / 15
    assert left == pytest.approx(8 / 15)
    assert p("a", "") == pytest.approx(one * 1 / 15)
    assert p("i", "") == pytest.approx(two * 2 / 15)
    assert p("k", "") == pytest.approx(3 / 15)
    assert p("</s>", "") == pytest.approx(left * 15 / 16)
    assert p("<unk>", "") == pytest.approx(left * 1 / 16)

    # After a word: </s> alone. What is left goes to the other 15 words and <unk>, by their frequency among these 16.
    assert p("</s>", "a") == pytest.approx(one)
    assert p("k", "a") == pytest.approx((1 - one) * 3 / 16)
    assert p("</s>", "i") == pytest.approx(two)
    assert p("<unk>", "i") == pytest.approx((1 - two) * 1 / 16)

    # After k: 3 of 3 is no count that is discounted, so the total becomes 4 to leave something.
    assert p("</s>", "k") == pytest.approx(3 / 4)
    assert p("i", "k") == pytest.approx(1 / 4 * 2 / 16)
