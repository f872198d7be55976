"""Tags of words by the recipe of `transformers`' own example, `run_ner.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from trainer_peer import Budget, Stopwatch, Timed, trained

IGNORED = -100
"""Target of a token that teaches nothing."""


def tag_words(
    folder: Path,
    train: tuple[Sequence[Sequence[str]], Sequence[Sequence[int]]],
    test: Sequence[Sequence[str]],
    tags: Sequence[str],
    budget: Budget,
    seed: int,
) -> tuple[list[list[int]], Timed]:
    """Tags of the words of `test` by `run_ner.py`'s recipe: a word's first token learns and says its tag.

    Args:
        folder: The body, a Hugging Face folder.
        train: Words and tags of the training sentences.
        test: Words of the test sentences.
        tags: Names of the tags; the first stands for words beyond the maximum length, which the recipe cuts off.
        budget: As ours.
        seed: Of the Trainer.
    """
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        set_seed,
    )

    clock = Stopwatch()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    set_seed(seed)
    model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=len(tags))
    rows, _ = _first_tokens(tokenizer, train[0], train[1], budget.max_length)
    tests, places = _first_tokens(tokenizer, test, [[0] * len(words) for words in test], budget.max_length)
    with tempfile.TemporaryDirectory() as scratch:
        collator = DataCollatorForTokenClassification(tokenizer)
        worker = trained(model, rows, collator, tokenizer, budget, seed, Path(scratch))
        clock.lap()
        scores = np.asarray(worker.predict(tests).predictions)
    found = []
    for row, words, firsts in zip(scores.argmax(axis=2), test, places, strict=True):
        said = [0] * len(words)
        for token, word in firsts:
            said[word] = int(row[token])
        found.append(said)
    clock.lap()
    return found, clock.timed()


def _first_tokens(
    tokenizer: Any, sentences: Sequence[Sequence[str]], tags: Sequence[Sequence[int]], max_length: int
) -> tuple[Any, list[list[tuple[int, int]]]]:
    """Rows in which a word's first token bears its tag, and each row's (first token, word)."""
    from datasets import Dataset

    cut = tokenizer(
        [list(words) for words in sentences], is_split_into_words=True, truncation=True, max_length=max_length
    )
    places, labels = [], []
    for number, row in enumerate(tags):
        words = cut.word_ids(number)
        firsts = [(t, w) for t, w in enumerate(words) if w is not None and (t == 0 or words[t - 1] != w)]
        laid = [IGNORED] * len(words)
        for token, word in firsts:
            laid[token] = row[word]
        places.append(firsts)
        labels.append(laid)
    return Dataset.from_dict({**cut, "labels": labels}), places
