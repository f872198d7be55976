"""A gate that does not compare losses over two vocabularies."""

from __future__ import annotations

from typing import Any

import pytest

import transferlm as tl
from transferlm.errors import UnsupportedError

OLD = [f"the {a} was {b} and {c}" for a in ("film", "room") for b in ("good", "bad", "dull") for c in "abcdefgh"]
NEW = [f"a {noun} rose by {count} points" for count in "3456789" for noun in ("share", "bond", "film", "rate")]


@pytest.mark.parametrize("method", [tl.updates.CountMerging(), tl.updates.Interpolation(), tl.updates.Bayesian()])
def test_a_closed_vocabulary_that_grew_is_not_measured(method: Any) -> None:
    model = tl.models.KneserNey(order=2, open_vocabulary=False).fit(OLD)
    _, report = tl.update(model, NEW, method, old=OLD)
    assert report.new is report.old is None
    assert any("vocabulary has changed, and it is closed" in remark for remark in report.remarks)
    with pytest.raises(UnsupportedError, match="has changed, and it is closed"):
        tl.update(model, NEW, method, old=OLD, max_forgetting=0.5)


def test_one_that_stays_is_measured() -> None:
    model = tl.models.KneserNey(order=2, open_vocabulary=False).fit(OLD + NEW)
    _, report = tl.update(model, NEW, tl.updates.CountMerging(), old=OLD)
    assert report.new is not None
    assert report.old is not None


def test_strings_are_measured_whatever_the_vocabularies() -> None:
    _, report = tl.update(
        tl.models.KneserNey(order=2).fit(OLD), NEW, tl.updates.Bayesian(), old=OLD, max_forgetting=9.0
    )
    assert report.new is not None
    assert report.new.after.nats < report.new.before.nats
