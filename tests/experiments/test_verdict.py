"""The verdict is one honest sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from examples_of_cells import cells

from transferlm.errors import DataError
from transferlm.experiments.gains import gains
from transferlm.experiments.verdict import verdict

FT, FE = "fine_tuning", "feature_extraction"


def judged(accuracies, metric=None, **how):
    made = cells(accuracies, **how)
    return verdict(made, gains(made), metric)


def arms(transfer, twin, baseline, labels=64):
    return {
        ("minilm", FT, labels): transfer,
        ("minilm-untrained", FT, labels): twin,
        ("tfidf", FE, labels): baseline,
    }


def test_use_names_the_arm_its_accuracy_and_both_gains():
    answer = judged(arms(0.89, 0.68, 0.77))
    assert answer.decision == "use"
    assert answer.headline.startswith("Use minilm with fine_tuning: at 64 labels a class it is 88.")
    assert "above the same model untrained and" in answer.headline
    assert answer.headline.endswith("above tfidf.")
    assert str(answer) == answer.headline


def test_figures_in_the_sentence_are_those_of_the_gains():
    made = cells(arms(0.89, 0.68, 0.77))
    found = gains(made)
    answer = verdict(made, found)
    for gain in (gain for gain in found if gain.metric == "accuracy" and gain.source == "minilm"):
        figures = f"{100 * gain.gain:.1f} points [{100 * gain.low:.1f}, {100 * gain.high:.1f}]"
        assert figures in answer.headline


def test_a_gain_that_may_be_zero_is_no_difference_shown_and_the_cheaper_is_named():
    answer = judged(arms(0.775, 0.6, 0.77), seconds={FT: 40.0, FE: 1.0})
    assert answer.decision == "no difference shown"
    assert "holds zero" in answer.headline
    assert "tfidf is the cheaper (" in answer.headline


def test_beating_tfidf_but_not_the_untrained_twin_is_no_difference_shown():
    answer = judged(arms(0.851, 0.85, 0.6))
    assert answer.decision == "no difference shown"
    assert "the same model untrained" in answer.headline


@pytest.mark.parametrize(("twin", "baseline", "winner"), [(0.5, 0.85, "tfidf"), (0.9, 0.6, "minilm-untrained with")])
def test_losing_to_a_from_scratch_arm_is_said_plainly(twin, baseline, winner):
    answer = judged(arms(0.7, twin, baseline))
    assert answer.decision == "transfer hurts here"
    assert answer.headline.startswith(f"Transfer hurts here: train from scratch with {winner}")
    assert "below" in answer.headline
    assert "-" not in answer.headline.split("[")[1]


def test_the_largest_label_count_decides_and_each_count_has_its_line():
    answer = judged({**arms(0.6, 0.3, 0.75, labels=8), **arms(0.89, 0.68, 0.77)})
    assert answer.decision == "use"
    assert [line.split(":")[0] for line in answer.lines] == [
        "Transfer hurts here",
        "Use minilm with fine_tuning",
    ]
    assert "8 labels a class" in answer.lines[0]
    assert answer.lines[-1] == answer.headline


def test_the_best_of_many_arms_needs_a_surer_gain_than_a_single_arm():
    made = cells({("tfidf", FE, 8): 0.7, ("m0", FE, 8): 0.728}, examples=300)
    found = gains(made)
    alone = verdict(made, found)
    assert alone.decision == "use"
    worse = cells({("m", FE, 8): 0.6}, examples=300)
    many = made + [replace(cell, source=f"m{k}") for k in range(1, 400) for cell in worse]
    picked = verdict(many, found)
    assert picked.decision == "no difference shown"
    assert "best of 400 arms" in picked.headline


@pytest.mark.parametrize(("seeds", "says"), [(1, "One seed only"), (3, "Only 3 seeds")])
def test_few_seeds_are_called_weak(seeds, says):
    answer = judged(arms(0.89, 0.68, 0.77), seeds=range(seeds))
    assert says in str(answer)
    assert "weak" in str(answer)


def test_a_cheaper_arm_that_is_not_shown_to_be_worse_is_mentioned():
    close = {**arms(0.895, 0.6, 0.6), ("minilm", FE, 64): 0.882}
    answer = judged(close, seconds={FT: 40.0, FE: 1.0})
    assert answer.headline.startswith("Use minilm with fine_tuning")
    assert "minilm with feature_extraction is not shown to be worse" in str(answer)
    far = judged({**close, ("minilm", FE, 64): 0.7}, seconds={FT: 40.0, FE: 1.0})
    assert "not shown to be worse" not in str(far)


def test_without_a_rival_or_a_transfer_arm_nothing_is_claimed():
    alone = judged({("minilm", FT, 8): 0.9})
    scratch = judged({("tfidf", FE, 8): 0.9})
    assert alone.decision == scratch.decision == "not measured"


def test_it_can_be_judged_by_macro_f1():
    assert "macro-F1 of 8" in judged(arms(0.89, 0.68, 0.77), metric="macro_f1").headline


def test_no_cells_are_refused():
    with pytest.raises(DataError, match="nothing to judge"):
        verdict([], [])
