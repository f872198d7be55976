"""The token stream of a corpus in a file: what stands in it, and that a damaged one is written anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers.processors import TemplateProcessing

from transferlm.text import token_store as module
from transferlm.text.corpus import Corpus
from transferlm.text.token_store import token_store
from transferlm.text.tokenizers.base import Tokenizer
from transferlm.text.tokenizers.byte_pair import BytePair

TEXTS = ["the film was good", "a", "房间"]


@pytest.fixture(scope="module")
def tokenizer() -> BytePair:
    return BytePair(vocabulary_size=270).fit(TEXTS * 3)


def wanted(tokenizer: Any) -> list[int]:
    found = [tokenizer.end_id]
    for text in TEXTS:
        found += [*tokenizer.encode([text])[0].ids.tolist(), tokenizer.end_id]
    return found


def test_texts_follow_one_another_with_an_end_token_after_each(tokenizer: BytePair, tmp_path: Path) -> None:
    stream = token_store(Corpus(TEXTS), tokenizer, tmp_path)
    assert stream.dtype == np.uint16
    assert stream.tolist() == wanted(tokenizer)


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 20, -2, -8, -1])
def test_a_file_that_was_cut_off_is_written_anew(kept: int, tokenizer: BytePair, tmp_path: Path) -> None:
    stream = token_store(Corpus(TEXTS), tokenizer, tmp_path)
    told = stream.tolist()
    (path,) = tmp_path.iterdir()
    del stream
    path.write_bytes(path.read_bytes()[:kept])
    assert token_store(Corpus(TEXTS), tokenizer, tmp_path).tolist() == told


def test_a_whole_file_is_read_and_not_written_again(
    tokenizer: BytePair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = token_store(Corpus(TEXTS), tokenizer, tmp_path).tolist()
    monkeypatch.setattr(module, "write_arrays", lambda *_: pytest.fail("tokenised again"))
    assert token_store(Corpus(TEXTS), tokenizer, tmp_path).tolist() == told


def test_a_full_disk_leaves_nothing_behind(
    tokenizer: BytePair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            token_store(Corpus(TEXTS), tokenizer, tmp_path)
    assert not list(tmp_path.iterdir())
    assert token_store(Corpus(TEXTS), tokenizer, tmp_path).tolist() == wanted(tokenizer)


def test_after_a_text_stands_one_end_token_whatever_a_template_adds(tokenizer: BytePair, tmp_path: Path) -> None:
    """A tokenizer that puts begin and end around a text: scoring reads one end token, and so does training."""
    from tokenizers import Tokenizer as Library
    from transformers import PreTrainedTokenizerFast

    tokenizer.save(tmp_path / "words")
    library = Library.from_file(str(tmp_path / "words" / "tokenizer.json"))
    library.add_special_tokens(["<s>", "</s>"])
    begin, end = library.token_to_id("<s>"), library.token_to_id("</s>")
    library.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", begin), ("</s>", end)])
    PreTrainedTokenizerFast(tokenizer_object=library, bos_token="<s>", eos_token="</s>").save_pretrained(
        tmp_path / "own"
    )
    found = Tokenizer.load(tmp_path / "own")
    stream = token_store(Corpus(TEXTS), found, tmp_path / "store").tolist()
    bare = [tokenizer.encode([text])[0].ids.tolist() for text in TEXTS]
    assert stream == [end, *(token for ids in bare for token in (begin, *ids, end))]
