"""One scorer for every causal model: what it counts, what it refuses to compare, and that memory stays flat."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transferlm.errors import DataError, UnsupportedError
from transferlm.measure.language import LanguageScores, compare_bits_per_byte, compare_perplexity, score
from transferlm.models.base import Causal, TokenScores, Vocabulary
from transferlm.models.recurrent import Recurrent
from transferlm.progress import Progress
from transferlm.text.corpus import Corpus
from transferlm.text.tokenizers.byte_pair import BytePair
from transferlm.text.tokenizers.character import Character
from transferlm.text.tokenizers.word import Word


class Uniform(Causal):
    """Every character and the end have one chance in 32: what is counted can be done by hand."""

    class tokenizer:  # noqa: N801
        unknown_id = 7

    vocabulary = Vocabulary("characters, 32 types, open", 32, False, "one")  # type: ignore[assignment]

    def token_scores(self, texts: Iterable[str], context: str = "text") -> Iterator[TokenScores]:
        for text in texts:
            count = len(text) + 1
            places = np.arange(count, dtype=np.int32)
            ids = np.array([7 if c == "?" else 1 for c in text] + [0], dtype=np.int32)
            yield TokenScores(np.full(count, -math.log(32)), np.stack([places, places + 1], axis=1), ids)

    def next_log_probs(self, contexts: Any) -> np.ndarray:
        return np.full((len(contexts), 32), -math.log(32))


def made(**changes: Any) -> LanguageScores:
    facts = {
        "nats": 200.0,
        "tokens": 100,
        "unknown": 1,
        "texts": 5,
        "bytes": 400,
        "vocabulary": Vocabulary("byte_pair, 300 types, open", 300, False, "a"),
        "context": "text",
        "hash": "h",
    }
    return LanguageScores(**{**facts, **changes})


def small(tokenizer: Any) -> Recurrent:
    return Recurrent(width=8, embedding_width=8, epochs=1, batch_size=4, sequence_length=8, tokenizer=tokenizer)


def test_ends_of_texts_are_tokens_and_bytes() -> None:
    found = score(Uniform(), ["ab?", "", "房间"])
    assert (found.tokens, found.texts, found.unknown) == (3 + 0 + 2 + 3, 3, 1)
    assert found.bytes == 3 + 0 + 6 + 3
    assert found.perplexity == pytest.approx(32)
    assert found.bits_per_token == pytest.approx(5)
    assert found.bits_per_byte == pytest.approx(5 * 8 / 12)
    assert found.unknown_share == 1 / 8


def test_a_file_has_as_many_bytes_as_it_has(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("one\ntwo 房间\nthree\n", encoding="utf-8")
    corpus = Corpus(path)
    found = score(Uniform(), corpus)
    assert found.bytes == path.stat().st_size
    assert found.hash == corpus.hash


@pytest.mark.parametrize("context", ["text", "stream"])
def test_it_is_the_sum_of_the_models_token_scores(recurrent: Recurrent, context: Any, review_texts: list[str]) -> None:
    texts = review_texts[:20]
    logs = np.concatenate([s.log_probs for s in recurrent.token_scores(texts, context)])
    found = score(recurrent, texts, context)
    assert found.perplexity == pytest.approx(math.exp(-logs.mean()))
    assert found.tokens == len(logs) == sum(len(text.split()) + 1 for text in texts)
    assert found.vocabulary == recurrent.vocabulary
    assert found.context == context


def test_unknown_words_are_counted(recurrent: Recurrent) -> None:
    found = score(recurrent, ["the film zyzzyva"])
    assert found.unknown_share == 1 / 4
    assert found.bits_per_byte is None
    assert "the vocabulary is closed" in str(found.why_no_bits_per_byte)


def test_an_open_vocabulary_gives_bits_per_byte(review_texts: list[str]) -> None:
    model = small(BytePair(vocabulary_size=280)).fit(review_texts)
    found = score(model, ["the film was 很好"])
    assert found.why_no_bits_per_byte is None
    assert found.bits_per_byte == pytest.approx(found.nats / math.log(2) / len("the film was 很好\n".encode()))
    assert found.unknown == 0


def test_nothing_to_score_is_refused(recurrent: Recurrent) -> None:
    with pytest.raises(DataError, match="no text to score"):
        score(recurrent, [])
    with pytest.raises(DataError, match="the corpus is empty"):
        score(recurrent, Corpus(["", " "]))


# ------------------------------------------------------------------ comparing


def test_perplexities_over_one_vocabulary_are_compared_as_a_ratio() -> None:
    better = made(nats=100.0)
    assert compare_perplexity(better, made()) == pytest.approx(better.perplexity / made().perplexity)
    assert compare_perplexity(better, made()) < 1 < compare_perplexity(made(), better)


def test_perplexities_over_different_vocabularies_are_refused(review_texts: list[str]) -> None:
    word, character = (score(small(t()).fit(review_texts), review_texts[:3]) for t in (Word, Character))
    with pytest.raises(
        UnsupportedError, match=r"different vocabularies \(word, .*; character, .*bits per byte"
    ) as error:
        compare_perplexity(word, character)
    assert "\n" not in str(error.value)


def test_bits_per_byte_are_compared_across_open_vocabularies() -> None:
    other = made(nats=100.0, tokens=50, vocabulary=Vocabulary("byte_pair, 500 types, open", 500, False, "b"))
    assert compare_bits_per_byte(other, made()) == pytest.approx(-100 / math.log(2) / 400)
    closed = made(vocabulary=Vocabulary("word, 10 types, closed", 10, True, "c"))
    with pytest.raises(UnsupportedError, match="word, 10 types, closed: there are no bits per byte"):
        compare_bits_per_byte(made(), closed)


@pytest.mark.parametrize("compare", [compare_perplexity, compare_bits_per_byte])
def test_other_texts_or_contexts_are_refused(compare: Any) -> None:
    with pytest.raises(UnsupportedError, match="different texts"):
        compare(made(), made(hash="g"))
    with pytest.raises(UnsupportedError, match="context 'text' can't be compared with one with context 'stream'"):
        compare(made(), made(context="stream"))


# ------------------------------------------------------------------ size and progress


@pytest.mark.parametrize("context", ["text", "stream"])
def test_memory_does_not_grow_with_the_number_of_texts(recurrent: Recurrent, context: Any) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        score(recurrent, itertools.repeat("the film was good and warm", count), context)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(600)
    assert peak(6000) < 1.3 * peak(1200)


def test_progress_adds_up_to_the_files_bytes(recurrent: Recurrent, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "text.txt"
    path.write_text("the film was good\n" * 2000)
    counters: list[Progress] = []
    leave = Progress.__exit__
    monkeypatch.setattr(Progress, "__exit__", lambda self, *e: (counters.append(self), leave(self, *e))[1])
    score(recurrent, Corpus(path))
    scoring = next(c for c in counters if c.description == "scoring")
    assert scoring.done == scoring.total == path.stat().st_size
    assert scoring.unit == "bytes"
    assert scoring.note.startswith("perplexity ")
