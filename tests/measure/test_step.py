"""A share of an update's step: what lies on it, which one passes the gate, and what is said after a refusal."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import ForgettingError, SettingError, UnsupportedError
from transferlm.measure.forgetting import Report
from transferlm.measure.step import step_between
from transferlm.models.recurrent import Recurrent

OTHER = [f"{a} sails over {b} at {c}" for a in ("she", "he", "it") for b in ("seas", "lakes") for c in range(12)]
HARD = tl.updates.ContinuedPretraining(learning_rate=3e-2, steps=60)


def test_half_a_step_is_the_mean_of_the_weights(recurrent: Recurrent) -> None:
    after = HARD.update(recurrent, OTHER)
    step = step_between(recurrent, after)
    assert step is not None
    half: Any = step.at(0.5)
    for name, was in recurrent.module.named_parameters():
        now, middle = after.module.get_parameter(name), half.module.get_parameter(name)  # type: ignore[attr-defined]
        np.testing.assert_allclose(middle.detach(), (was.detach() + now.detach()) / 2, rtol=1e-6, atol=1e-7)
    assert step.at(1).fingerprint == after.fingerprint
    assert step.after.fingerprint == after.fingerprint, "the ends are left as they are"


def test_half_a_step_of_counting_counts_the_new_text_half(review_texts: list[str]) -> None:
    before = tl.models.KneserNey(order=3).fit(review_texts)
    step = step_between(before, tl.updates.CountMerging().update(before, OTHER))
    assert step is not None
    half: Any = step.at(0.5)
    expected = before.counts.merge(before.counted(OTHER).scale(0.5))
    np.testing.assert_allclose(half.counts.table.counts, expected.table.counts)
    assert half.counts.lexicon.hash == expected.lexicon.hash


@pytest.mark.parametrize("share", [0, -0.5, 1.5, float("nan")])
def test_a_share_that_is_none(recurrent: Recurrent, share: float) -> None:
    step = step_between(recurrent, recurrent.copy())
    assert step is not None
    with pytest.raises(SettingError, match="above 0 and at most 1"):
        step.at(share)
    with pytest.raises(SettingError, match="step_share"):
        tl.update(recurrent, OTHER, HARD, step_share=share)


def test_a_word_for_a_share_that_is_unknown(recurrent: Recurrent) -> None:
    with pytest.raises(SettingError, match="step_share 'half': give a number above 0 and at most 1, or fit"):
        tl.update(recurrent, OTHER, HARD, step_share="half")  # type: ignore[call-overload]


def test_a_mixture_is_no_step_from_the_model_it_holds(review_texts: list[str]) -> None:
    before = tl.models.KneserNey(order=2).fit(review_texts)
    with pytest.raises(UnsupportedError, match="no share of this update can be taken"):
        tl.update(before, OTHER, tl.updates.Interpolation(), step_share=0.5)


def test_a_refusal_says_which_share_passes_and_that_share_does(recurrent: Recurrent, review_texts: list[str]) -> None:
    with pytest.raises(ForgettingError) as error:
        tl.update(recurrent, OTHER, HARD, old=review_texts, max_forgetting=0.05)
    told = re.search(r"passes with --step-share ([\d.]+): old text ([+-][\d.]+)%, (\d+)% of", str(error.value))
    assert told
    report: Any = error.value.report
    passing: Report = report.would_pass
    assert 0 < passing.share < 1
    assert report.as_json()["would_pass"]["share"] == passing.share
    made, again = tl.update(recurrent, OTHER, HARD, old=review_texts, max_forgetting=0.05, step_share=passing.share)
    assert again.accepted
    assert (again.old, again.new) == (passing.old, passing.new)
    assert again.gain is not None
    assert again.gain > 0
    assert made.lineage.scores["share of the step"] == passing.share
    fitted, report = tl.update(recurrent, OTHER, HARD, old=review_texts, max_forgetting=0.05, step_share="fit")
    assert report.share == passing.share
    assert fitted.fingerprint == made.fingerprint
    more = min(1.0, passing.share + 2 / 64)
    with pytest.raises(ForgettingError):
        tl.update(recurrent, OTHER, HARD, old=review_texts, max_forgetting=0.05, step_share=more)


def test_what_a_refusal_of_a_share_advises_is_a_share_of_the_whole_step(
    recurrent: Recurrent, review_texts: list[str]
) -> None:
    given = {"old": review_texts, "max_forgetting": 0.05}
    with pytest.raises(ForgettingError) as error:
        tl.update(recurrent, OTHER, HARD, **given, step_share=0.9)
    share = error.value.report.would_pass.share  # type: ignore[attr-defined]
    assert tl.update(recurrent, OTHER, HARD, **given, step_share=share).report.accepted


def test_a_share_of_counting_is_taken_of_all_the_new_text(review_texts: list[str]) -> None:
    before = tl.models.KneserNey(order=3).fit(review_texts)
    made, report = tl.update(before, OTHER, tl.updates.CountMerging(), step_share=0.25)
    expected = before.counts.merge(before.counted(OTHER).scale(0.25))
    np.testing.assert_allclose(made.counts.table.counts, expected.table.counts)  # type: ignore[attr-defined]
    assert report.share == 0.25


def test_fit_takes_the_whole_step_where_it_passes_and_needs_a_limit(
    recurrent: Recurrent, review_texts: list[str]
) -> None:
    mild = tl.updates.ContinuedPretraining(steps=1, learning_rate=1e-5)
    report = tl.update(recurrent, OTHER, mild, old=review_texts, max_forgetting=0.5, step_share="fit").report
    assert report.share == 1
    with pytest.raises(SettingError, match="give max_forgetting"):
        tl.update(recurrent, OTHER, mild, old=review_texts, step_share="fit")


def test_what_an_update_cost_stands_beside_its_scores(recurrent: Recurrent) -> None:
    plain = tl.update(recurrent, OTHER, tl.updates.ContinuedPretraining(steps=2)).report.cost
    kept = tl.update(recurrent, OTHER, tl.updates.OnlineBayes(steps=2)).report.cost
    assert plain is not None
    assert kept is not None
    assert plain.seconds > 0
    assert plain.peak_bytes > 10_000_000
    weights = sum(parameter.nbytes for parameter in recurrent.module.parameters())
    assert plain.added_bytes == 0
    assert kept.added_bytes == pytest.approx(weights, rel=0.05), "the precision is as large as the weights"
