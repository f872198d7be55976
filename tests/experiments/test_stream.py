"""A stream: each period is scored before it is learnt; killed at any figure it ends in the same ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import transferlm as tl
from transferlm.errors import DataError, SettingError, UnsupportedError
from transferlm.experiments import stream_state
from transferlm.experiments.stream_result import Stream
from transferlm.measure.cost import Cost
from transferlm.measure.held_out import held_out
from transferlm.measure.language import score
from transferlm.measure.text_scores import TextScores
from transferlm.seeding import derive

Work = Callable[[Path | None], Stream]


@pytest.fixture(scope="module")
def months(make_reviews: Callable[..., Any]) -> dict[str, list[str]]:
    """Three months of text: reviews, sailing, and both."""
    sea = [f"{a} sails over {b} at {c}" for a in ("she", "he", "it") for b in ("seas", "lakes") for c in range(20)]
    return {"2003-01": make_reviews(120, seed=1)[0], "2003-02": sea, "2003-03": make_reviews(60, seed=2)[0] + sea[::2]}


@pytest.fixture(scope="module")
def ngram(make_reviews: Callable[..., Any]) -> Any:
    return tl.models.KneserNey(order=3).fit(make_reviews(80)[0])


@pytest.fixture(scope="module")
def counted(ngram: Any, months: dict[str, list[str]], make_reviews: Callable[..., Any]) -> Stream:
    return tl.stream(ngram, months, tl.updates.CountMerging(), old=make_reviews(60, seed=3)[0], share=0.2)


def parts(months: dict[str, list[str]]) -> list[Any]:
    return [held_out(tl.Corpus(texts), derive(0, "stream", name), 0.2) for name, texts in months.items()]


def test_each_period_is_scored_by_the_model_that_learnt_all_earlier_ones(
    counted: Stream, ngram: Any, months: dict[str, list[str]]
) -> None:
    model, held = ngram, parts(months)
    for number, texts in enumerate(months.values()):
        assert counted.served[number].mean == pytest.approx(score(model, texts).bits_per_byte)
        assert counted.frozen[number].mean == pytest.approx(score(ngram, texts).bits_per_byte)
        model = tl.updates.CountMerging().update(model, held[number].train)
    assert counted.model.fingerprint == model.fingerprint


def test_the_matrix_holds_every_held_out_part_after_every_update(
    counted: Stream, ngram: Any, months: dict[str, list[str]]
) -> None:
    held = parts(months)
    learnt = {text for part in held for text in part.train}
    model = ngram
    for updates in range(4):
        for row, part in enumerate(held):
            texts = [text for text in part.texts if text not in learnt]
            assert counted.matrix[row, updates] == pytest.approx(score(model, texts).bits_per_byte)
        if updates < 3:
            model = tl.updates.CountMerging().update(model, held[updates].train)
    assert counted.old is not None
    assert counted.old.shape == (4,)


def made_up(matrix: list[list[float]]) -> Stream:
    scores = tuple(TextScores(np.array([1.0, 2.0]), np.array([1, 1]), "bits per byte") for _ in matrix)
    names = tuple(f"200{number}" for number in range(len(matrix)))
    cost = tuple(Cost(1.0, 1, 0, 0) for _ in matrix)
    return Stream(names, "bits per byte", np.array(matrix), None, scores, scores, (), cost, tl.models.KneserNey())


def test_forgetting_and_transfer_worked_by_hand() -> None:
    """Rows are periods, column 0 is the model given; period 1 is at 2 when learnt, at its best 1.5, and ends at 1.8."""
    stream = made_up([[4.0, 2.0, 1.5, 1.8], [5.0, 4.5, 2.0, 2.6], [6.0, 5.0, 4.0, 3.0]])
    assert stream.average_forgetting == pytest.approx(((1.8 - 1.5) + (2.6 - 2.0)) / 2)
    assert stream.backward_transfer == pytest.approx(((2.0 - 1.8) + (2.0 - 2.6)) / 2)
    assert stream.forward_transfer == pytest.approx(((5.0 - 4.5) + (6.0 - 4.0)) / 2)


def test_the_gap_leaves_out_the_first_period_and_says_what_it_means(counted: Stream) -> None:
    differences = [(f.costs - s.costs).sum() for f, s in zip(counted.frozen, counted.served, strict=True)]
    sizes = [s.sizes.sum() for s in counted.served]
    assert differences[0] == 0
    assert counted.gap.mean == pytest.approx(sum(differences[1:]) / sum(sizes[1:]))
    assert counted.gap.low > 0
    assert counted.verdict.startswith("updating pays: the updated model gains +")
    assert counted.gaps[0] is None
    level = made_up([[1.0, 1.0, 1.0]] * 2)
    assert level.verdict.startswith("no difference is shown")


def test_what_is_learnt_is_measured_nowhere(ngram: Any) -> None:
    """The texts of one month stand in the next again: they are measured on only where nothing learns them."""
    month = [f"text number {n}" for n in range(40)]
    with pytest.raises(DataError, match="no text can be held out that is learnt nowhere"):
        tl.stream(ngram, {"a": month, "b": month * 3}, tl.updates.CountMerging())


@pytest.fixture(params=["ngram", "lstm"])
def work(
    request: pytest.FixtureRequest, ngram: Any, recurrent: Any, months: dict[str, list[str]], review_texts: list[str]
) -> Work:
    method: Any = tl.updates.CountMerging()
    model = ngram
    if request.param == "lstm":
        model, method = recurrent, tl.updates.ElasticWeightConsolidation(steps=4)

    def streamed(folder: Path | None) -> Stream:
        return tl.stream(model, months, method, old=review_texts, checkpoints=folder, seed=1)

    return streamed


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def figures(stream: Stream) -> str:
    told = stream.as_json()
    return json.dumps({name: value for name, value in told.items() if name != "costs"})


def test_killed_before_any_figure_is_kept_it_ends_in_the_same_matrix(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = figures(work(None))
    real, kills = stream_state.replace_file, 0
    for _ in range(20):  # each run lives for one figure more: found, and killed before the next is kept
        left = [1]

        def put(path: Path, content: bytes, left: list[int] = left) -> None:
            if not left[0]:
                raise Killed
            left[0] -= 1
            real(path, content)

        with monkeypatch.context() as patched:
            patched.setattr(stream_state, "replace_file", put)
            try:
                found = work(tmp_path / "state")
                break
            except Killed:
                kills += 1
    assert kills == 6, "seven figures are kept: four of scores, three of costs"
    assert figures(found) == whole
    assert found.model.fingerprint == work(None).model.fingerprint


def test_what_is_finished_is_not_done_again(work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = work(tmp_path / "state")

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("scored again")

    monkeypatch.setattr("transferlm.experiments.stream.score_texts", never)
    again = work(tmp_path / "state")
    assert again.as_json() == first.as_json()
    assert again.model.fingerprint == first.model.fingerprint


def test_another_seed_is_another_stream(ngram: Any, months: dict[str, list[str]], tmp_path: Path) -> None:
    one, other = (tl.stream(ngram, months, tl.updates.Decay(), seed=s, checkpoints=tmp_path) for s in (0, 1))
    assert one.matrix.tolist() != other.matrix.tolist()
    assert len(list(tmp_path.glob("*/scores-0000.json"))) == 2


def test_methods_that_rehearse_need_old_text_to_begin_with(
    recurrent: Any, months: dict[str, list[str]], review_texts: list[str]
) -> None:
    method = tl.updates.WeightInterpolation(steps=2, places=3)
    with pytest.raises(SettingError, match="old text"):
        tl.stream(recurrent, months, method)
    assert len(tl.stream(recurrent, months, method, old=review_texts).costs) == 3


def test_what_was_learnt_of_earlier_periods_is_rehearsed(
    recurrent: Any, months: dict[str, list[str]], review_texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    real = tl.updates.ContinuedPretraining.learn

    def learn(self: Any, model: Any, new: Any, old: Any, *rest: Any) -> Any:
        given.append(set(old))
        return real(self, model, new, old, *rest)

    monkeypatch.setattr(tl.updates.ContinuedPretraining, "learn", learn)
    tl.stream(recurrent, months, tl.updates.ContinuedPretraining(steps=1), old=review_texts, share=0.2)
    past, held = set(held_out(tl.Corpus(review_texts)).train), [set(part.train) for part in parts(months)]
    assert given == [past, past | held[0], past | held[0] | held[1]]


def test_a_closed_vocabulary_is_measured_in_tokens_and_may_not_change(
    recurrent: Any, months: dict[str, list[str]], review_texts: list[str]
) -> None:
    assert tl.stream(recurrent, months, tl.updates.ContinuedPretraining(steps=1)).unit == "nats a token"
    closed = tl.models.KneserNey(order=2, open_vocabulary=False).fit(review_texts)
    with pytest.raises(UnsupportedError, match="the vocabulary is closed and an update has changed it"):
        tl.stream(closed, months, tl.updates.CountMerging())


def test_what_can_not_stream_is_refused(bert_folder: Path, ngram: Any, months: dict[str, list[str]]) -> None:
    with pytest.raises(UnsupportedError, match="works with"):
        tl.stream(tl.load(bert_folder), months, tl.updates.Denoising())
    with pytest.raises(SettingError, match="take text away"):
        tl.stream(ngram, months, tl.updates.CountMerging(removed=True))
    with pytest.raises(DataError, match="two periods or more"):
        tl.stream(ngram, {"a": ["one", "two"]}, tl.updates.CountMerging())
    with pytest.raises(SettingError, match="held-out fraction"):
        tl.stream(ngram, months, tl.updates.CountMerging(), share=1.5)


class _Page(HTMLParser):
    """What a page asks for from elsewhere, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [value or "" for name, value in attrs if name in ("src", "href") and value != "data:,"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_matrix_scores_and_costs_and_asks_for_nothing(counted: Stream, tmp_path: Path) -> None:
    counted.report(tmp_path / "deep" / "page.html", "Reviews <b>over</b> time")
    page = _Page()
    page.feed((tmp_path / "deep" / "page.html").read_text(encoding="utf-8"))
    assert page.outside == []
    assert "script" not in page.tags
    assert "b" not in page.tags, "text is escaped"
    assert page.tags.count("rect") == 16, (
        "a cell for each of three months and the old text, before and after each update"
    )
    for figure in [*counted.matrix.ravel(), *(counted.old if counted.old is not None else [])]:
        assert f"{figure:.3f}" in page.text
    for told in (counted.verdict[1:], "Average forgetting", f"{counted.backward_transfer:+.4f}", "MB", "2003-02"):
        assert told in page.text
