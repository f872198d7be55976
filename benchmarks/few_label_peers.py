"""The peers of `few_labels.py`: what people use today when they have few labels, each from training to predictions.

Each is a function from a trial to the predicted class of each test text; a library that isn't installed raises
ImportError, and the table says that it was not run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

from transferlm.tasks.base import Examples

__all__ = ["PEERS", "TOKENS", "Trial"]

TOKENS = 128
"""Tokens of a text that every arm with a body reads."""
SHORT = 16
"""Labels a class above which SetFit's pairs are capped: all of them would take hours."""


@dataclass
class Trial:
    """One draw of labelled texts, what they are tested on, and what the training took.

    Attributes:
        train: Labelled texts.
        test: Test texts.
        body: Folder of the pretrained body.
        labels: Labels a class that were asked for.
        seed: Of the draw and of the training.
        chinese: Whether words are not parted by spaces.
        spent: Wall and processor seconds of the training, as `training` measured them.
    """

    train: Examples
    test: Examples
    body: Path
    labels: int
    seed: int
    chinese: bool
    spent: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Within the block the training's time is taken: tokenising and encoding included, predictions not."""
        wall, processor = perf_counter(), process_time()
        yield
        self.spent = {"train_seconds": perf_counter() - wall, "train_processor_seconds": process_time() - processor}


def setfit(trial: Trial) -> np.ndarray:
    """SetFit at its defaults (one epoch over all pairs); with many labels its pairs capped at 20 a text and kind."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments  # type: ignore[import-not-found]

    capped = {"num_iterations": 20} if trial.labels > SHORT else {}
    rows = Dataset.from_dict({"text": list(trial.train.texts), "label": trial.train.targets.tolist()})
    with tempfile.TemporaryDirectory() as scratch, _silence():
        model = SetFitModel.from_pretrained(str(trial.body))
        model.model_body.max_seq_length = TOKENS
        settings = TrainingArguments(
            output_dir=scratch, seed=trial.seed, save_strategy="no", report_to="none", **capped
        )
        worker = Trainer(model=model, args=settings, train_dataset=rows)
        with trial.training():
            worker.train()
        return np.asarray(model.predict(list(trial.test.texts)))


def trainer(trial: Trial, **options: Any) -> np.ndarray:
    """Hugging Face Trainer on the body with a linear head."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(trial.body)
    with tempfile.TemporaryDirectory() as scratch, _silence():
        model = AutoModelForSequenceClassification.from_pretrained(trial.body, num_labels=len(trial.train.labels))

        def rows(part: Examples) -> Any:
            tokens = tokenizer(list(part.texts), truncation=True, max_length=TOKENS)
            return Dataset.from_dict({**tokens, "label": part.targets.tolist()})

        settings = TrainingArguments(
            output_dir=scratch, seed=trial.seed, save_strategy="no", report_to=[], disable_tqdm=True, **options
        )
        with trial.training():
            worker = Trainer(model=model, args=settings, train_dataset=rows(trial.train), processing_class=tokenizer)
            worker.train()
        scores = np.asarray(worker.predict(rows(trial.test)).predictions)
        return np.asarray(scores.argmax(axis=1))


def trainer_best(trial: Trial) -> np.ndarray:
    """The Trainer with the steps that few labels need (Mosbach et al. 2021), a rate that suits MiniLM, and bfloat16."""
    steps = -(-len(trial.train) // 16)
    epochs = max(3, -(-200 // steps))
    settings = {"learning_rate": 1e-4, "warmup_steps": epochs * steps // 10, "bf16": True}
    settings["use_cpu"] = not torch.cuda.is_available()
    return trainer(trial, num_train_epochs=epochs, per_device_train_batch_size=16, **settings)


def nb_svm(trial: Trial) -> np.ndarray:
    """NB-SVM (Wang & Manning 2012): a linear SVM over binary n-grams weighed by their log-count ratio, one against all.

    Smoothing 1, C = 1 and the interpolation 0.25 with the mean weight are the paper's; n-grams are words and pairs of
    words, of characters in Chinese.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.svm import LinearSVC

    unit: dict[str, Any] = {"analyzer": "char"} if trial.chinese else {"token_pattern": r"\w+|[^\w\s]"}
    scores = []
    with trial.training():
        counter = CountVectorizer(ngram_range=(1, 2), binary=True, **unit)
        seen = counter.fit_transform(trial.train.texts).astype(np.float64)
        unseen = counter.transform(trial.test.texts).astype(np.float64)
        for label in range(len(trial.train.labels)):
            own = trial.train.targets == label
            inside, outside = (np.asarray(seen[rows].sum(axis=0)).ravel() + 1 for rows in (own, ~own))
            ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
            machine = LinearSVC(C=1.0, random_state=trial.seed).fit(seen.multiply(ratio).tocsr(), own)
            weights = machine.coef_[0]
            weights = 0.75 * np.abs(weights).mean() + 0.25 * weights
            scores.append(unseen.multiply(ratio) @ weights + machine.intercept_[0])
    return np.asarray(np.stack(scores, axis=1).argmax(axis=1))


def fasttext(trial: Trial) -> np.ndarray:
    """The classifier of fastText with the settings of its own tutorial: pairs of words, 25 epochs, rate 1."""
    import fasttext as library  # type: ignore[import-not-found]

    def line(text: Any) -> str:
        return " ".join(text if trial.chinese else str(text).split()).replace("__label__", "label")

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "train.txt"
        pairs = zip(trial.train.texts, trial.train.targets, strict=True)
        file.write_text("".join(f"__label__{target} {line(text)}\n" for text, target in pairs), encoding="utf-8")
        with trial.training():
            model = library.train_supervised(str(file), lr=1.0, epoch=25, wordNgrams=2, thread=1, verbose=0)
        # `predict` of the Python face fails with numpy 2; what it wraps does not.
        found = [model.f.predict(line(text) + "\n", 1, 0.0, "strict") for text in trial.test.texts]
    return np.array([int(best[0][1].removeprefix("__label__")) if best else 0 for best in found])


PEERS: dict[str, Callable[[Trial], np.ndarray]] = {
    "SetFit": setfit,
    "Trainer (defaults)": trainer,
    "Trainer (best)": trainer_best,
    "NB-SVM": nb_svm,
    "fastText": fasttext,
}


@contextmanager
def _silence() -> Iterator[None]:
    """Their bars and tables would tear ours apart."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        yield
