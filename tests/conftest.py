"""Tiny models and real-looking texts, made in the session: the tests need no network and no data set."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Before numpy and torch are loaded: threads of tiny work only get in each other's way, and results then repeat.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import pytest

PRAISE = ["good", "great", "fine", "lovely", "warm", "bright"]
BLAME = ["bad", "awful", "poor", "dull", "cold", "broken"]
NOUNS = ["film", "room", "phone", "meal", "book", "staff", "screen", "story"]


def reviews(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Short reviews whose label a bag of words can tell, no two alike."""
    draw = np.random.default_rng(seed)
    texts: list[str] = []
    labels: list[str] = []
    while len(texts) < count:
        label = ("negative", "positive")[len(texts) % 2]
        words = PRAISE if label == "positive" else BLAME
        first, second = draw.choice(NOUNS, 2, replace=False)
        one, two, three = draw.choice(words, 3)
        text = f"the {first} was {one} and {two} , the {second} {three} {len(texts)}"
        texts.append(text)
        labels.append(label)
    return texts, labels


@pytest.fixture(scope="session")
def review_texts() -> list[str]:
    return reviews(80)[0]


@pytest.fixture
def review_file(tmp_path: Path) -> Path:
    return write_reviews(tmp_path / "reviews.csv", 80)


def write_reviews(path: Path, count: int, seed: int = 0) -> Path:
    texts, labels = reviews(count, seed)
    rows = "".join(f'"{text}",{label}\n' for text, label in zip(texts, labels, strict=True))
    path.write_text("text,label\n" + rows, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder with a BERT of two layers and width 32, weights drawn, as any library would write it."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("bert")
    words = sorted({word for text in reviews(200)[0] for word in text.split()})
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *words,
        *"abcdefghijklmnopqrstuvwxyz",
        *[f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"],
    ]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(pieces)) + "\n", encoding="utf-8")
    count = len(dict.fromkeys(pieces))
    configuration = BertConfig(
        vocab_size=count,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    BertModel(configuration).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a cache folder of its own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TRANSFERLM_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def make_reviews() -> Callable[..., tuple[list[str], list[str]]]:
    """`make_reviews(count, seed=0)`: texts and labels."""
    return reviews


@pytest.fixture(scope="session")
def write_review_file() -> Callable[..., Path]:
    """`write_review_file(path, count, seed=0)`: a CSV file with the columns `text` and `label`."""
    return write_reviews


@pytest.fixture(scope="session")
def make_examples() -> Callable[..., Any]:
    """`make_examples(count, seed=0, **task_settings)`: reviews as `Examples` of a classification."""

    def made(count: int, seed: int = 0, **settings: Any) -> Any:
        from transferlm.tasks.base import Examples
        from transferlm.tasks.classification import Classification

        texts, names = reviews(count, seed)
        labels = tuple(sorted(set(names)))
        targets = np.array([labels.index(name) for name in names], dtype=np.int64)
        return Examples(Classification(**settings), texts, targets, labels, name="reviews")

    return made


@pytest.fixture(scope="session")
def _pretrained_recurrent() -> Any:
    from transferlm.models.recurrent import Recurrent

    settings = {"width": 16, "embedding_width": 16, "epochs": 2, "batch_size": 4, "sequence_length": 16}
    return Recurrent(**settings).fit(reviews(80)[0])


@pytest.fixture
def recurrent(_pretrained_recurrent: Any) -> Any:
    """A tiny LSTM pretrained on 80 reviews; a copy, so that a test may do with it what it likes."""
    return _pretrained_recurrent.copy()


@pytest.fixture
def in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` precision means fp32, whatever this processor has."""
    from transferlm.neural import precision

    monkeypatch.setattr(precision, "has_bfloat16", lambda device_type: False)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run of the command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """`run("list", "models", stdin=b"")`: the command line in this process, as a shell would see it."""
    from transferlm.cli import main

    def ran(*words: str | Path, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        arguments: Sequence[str] = [str(word) for word in words]
        try:
            main(list(arguments))
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        written = capsys.readouterr()
        return Outcome(code, written.out, written.err)

    return ran
