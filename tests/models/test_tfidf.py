"""TF-IDF against scikit-learn's, and on Chinese."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from transferlm.errors import DataError, ModelFolderError, SettingError
from transferlm.models.tfidf import TfIdf
from transferlm.storage import open_folder

TEXTS = ["The film was good, the film was warm!", "a bad film", "Good staff :-)"]


def test_it_is_scikit_learns() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    peer = TfidfVectorizer(
        token_pattern=r"[^\W]+|[^\w\s]+", ngram_range=(1, 2), sublinear_tf=True, norm="l2", smooth_idf=True
    )
    expected = peer.fit_transform(TEXTS).toarray()
    assert np.allclose(TfIdf().fit(TEXTS).encode(TEXTS).features.toarray(), expected, atol=1e-7)


def test_the_docstrings_formula_by_hand() -> None:
    model = TfIdf(ngrams=1).fit(["a a b", "a c"])
    idf = {"a": 1.0, "b": 1 + np.log(3 / 2), "c": 1 + np.log(3 / 2)}
    row = np.array([(1 + np.log(2)) * idf["a"], idf["b"], 0.0])
    assert model.encode(["a a b"]).features.toarray()[0] == pytest.approx(row / np.linalg.norm(row), abs=1e-6)


def test_chinese_is_cut_by_character() -> None:
    model = TfIdf(ngrams=2).fit(["房间很好", "房间abc很差!!"])
    terms = model._terms()
    assert {"房", "间", "房 间", "间 很", "间 abc", "abc 很", "!!"} <= set(terms)
    assert "房间" not in terms


def test_words_across_scripts() -> None:
    assert set(TfIdf(ngrams=1).fit(["Ünïcode naïve 2024 :-) カナ"])._terms()) == {
        "ünïcode",
        "naïve",
        "2024",
        ":-)",
        "カ",
        "ナ",
    }


def test_saved_and_opened_to_the_bit(tmp_path: Path) -> None:
    model = TfIdf(minimum_count=1).fit([*TEXTS, "房间很好"])
    model.save(tmp_path / "m")
    opened = TfIdf.read(open_folder(tmp_path / "m"))
    assert opened.fingerprint == model.fingerprint
    assert (opened.encode(TEXTS).features != model.encode(TEXTS).features).nnz == 0
    assert opened.encoding_width == model.encoding_width
    opened.save(tmp_path / "again")
    for file in ("terms.json", "model.safetensors", "transferlm.json"):
        assert (tmp_path / "m" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_a_text_of_unknown_words_is_a_row_of_zeros() -> None:
    assert TfIdf().fit(TEXTS).encode(["xyzzy"]).features.nnz == 0


def test_hyper_parameters_bound_the_terms() -> None:
    assert TfIdf(ngrams=1, minimum_count=2).fit(TEXTS)._terms() == ["film", "good"]
    assert TfIdf(vocabulary_size=3).fit(TEXTS).encoding_width == 3


def test_untrained_forgets() -> None:
    model = TfIdf(ngrams=3).fit(TEXTS)
    assert not model.untrained().trained
    assert model.untrained().ngrams == 3
    assert model.trained
    with pytest.raises(DataError, match="has seen no text yet"):
        model.untrained().encode(TEXTS)


@pytest.mark.parametrize("texts", [[], ["", "  "]])
def test_nothing_to_learn_is_one_clear_error(texts: list[str]) -> None:
    with pytest.raises(DataError, match="no terms could be learnt"):
        TfIdf().fit(texts)


@pytest.mark.parametrize("name", ["ngrams", "minimum_count", "vocabulary_size"])
def test_settings_that_make_no_sense_are_refused(name: str) -> None:
    with pytest.raises(SettingError, match=f"{name} 0: give 1 or more"):
        TfIdf(**{name: 0})


def test_weights_that_do_not_fit_the_terms_are_refused(tmp_path: Path) -> None:
    TfIdf().fit(TEXTS).save(tmp_path / "m")
    terms = json.loads((tmp_path / "m" / "terms.json").read_text())
    (tmp_path / "m" / "terms.json").write_text(json.dumps(terms[1:]))
    with pytest.raises(ModelFolderError, match=r"idf has shape \(\d+,\), terms\.json says"):
        TfIdf.read(open_folder(tmp_path / "m"))
