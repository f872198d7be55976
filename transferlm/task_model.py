"""A model, a head and a task: what a strategy makes, and what a person takes away."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from transferlm import catalog, storage
from transferlm.errors import DataError, ModelFolderError, SettingError, UnsupportedError
from transferlm.measure.precision_gate import Trial, doubtful, quickest
from transferlm.measure.task_scores import ClassScores, Scores, score_of
from transferlm.models._inputs import encoded, features_apart, scored_tokens
from transferlm.models.base import (
    KEPT,
    Encoder,
    Kept,
    Model,
    QuickEncoder,
    TokenEncoder,
    card,
    read_kept,
    write_kept,
)
from transferlm.tasks.base import Examples, Prediction, Task, gives_probabilities, probabilities
from transferlm.text.framing import Text, flat
from transferlm.text.windows import windows

__all__ = ["ClassScores", "Scores", "TaskModel", "body_of"]

HEAD = "head.safetensors"

_KEPT = "task_"
"""What the files of things kept with the task begin with: the body has its own beside them."""
PRECISIONS = ("int8", "bf16", "fp32")
SAMPLE, LEAST = 256, 64
"""Texts that a choice of precision is measured on, and the fewest that say something: all of them must agree then."""


@dataclass(eq=False)
class TaskModel:
    """Predicts what a task asks for: scores are a linear function of the model's encoding of a text, or of each token.

    Attributes:
        model: The encoder, fine-tuned or frozen.
        task: What is predicted.
        labels: Label names; their order is the order of the scores and lives in the saved folder. None for tasks
            without labels.
        weights: float32 of shape (width, scores): of the encoding, or of a token's state where scores are a token's.
        bias: float32 of shape (scores,).
        lineage: How it was made.
        apart: Whether the two texts of a pair are encoded each by itself (`features_apart`) instead of read together.
        window: Tokens of a long text that are read at once where each has scores of its own; none reads as many as the
            model can.
        precision: What `quicken` chose for predictions; None lets the machine decide. It lives in the saved folder.
        rounding: Precision -> by how much it changed a probability when it was chosen, at the most: what is closer
            between two labels is read again in the next finer one that stands here, or in fp32.
        kept: What updates left for later ones, by name; saved with it, and no part of how it scores.
    """

    model: Model
    task: Task
    labels: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    lineage: storage.Lineage = field(default_factory=storage.Lineage)
    apart: bool = False
    window: int | None = None
    precision: str | None = None
    rounding: Mapping[str, float] = field(default_factory=dict)
    kept: Mapping[str, Kept] = field(default_factory=dict)

    def __post_init__(self) -> None:
        output = self.task.output(self.labels)
        if output.per == "token":
            if not isinstance(self.model, TokenEncoder):
                raise ModelFolderError(f"scores of tokens need a model with token states, {self.model.family} has none")
            width = self.model.token_width
        else:
            if not isinstance(self.model, Encoder):
                raise ModelFolderError(f"a task model needs an encoder, {self.model.family} is none")
            width = self.model.encoding_width * (4 if self.apart else 1)
        expected = (width, output.size)
        if self.weights.shape != expected or self.bias.shape != expected[1:]:
            raise ModelFolderError(f"the head has shape {self.weights.shape}, model and labels ask for {expected}")

    def predict(self, texts: Sequence[Text], precision: str = "auto") -> list[Prediction]:
        """What the task predicts of each input; what stands there twice is computed once.

        Args:
            texts: Texts; pairs (tuples) where the task is about pairs: two sentences, a question and its context.
            precision: `fp32`, `bf16` or `int8` where the machine and the model can do it. `auto` is what `quicken`
                chose, else bf16 where the machine multiplies it natively, else fp32.

        Raises:
            SettingError: The precision can't be had for this model on this machine.
        """
        distinct, places = _distinct(texts)
        found = self.task.decode(self._predicted(distinct, precision), distinct, self.labels)
        return [found[place] for place in places]

    def predict_proba(self, texts: Sequence[Text], precision: str = "auto") -> np.ndarray:
        """Probabilities of the labels: float64 of shape (texts, labels), columns in the order of `labels`.

        Args:
            texts: As for `predict`.
            precision: As for `predict`.

        Raises:
            UnsupportedError: The task has no probability a label and text.
        """
        output = self.task.output(self.labels)
        if not gives_probabilities(output):
            raise UnsupportedError(f"{catalog.name_of(self.task)} has no probabilities of labels a text: use predict")
        distinct, places = _distinct(texts)
        return np.asarray(probabilities(output, self._predicted(distinct, precision)[places]))

    def predict_stream(
        self, texts: Iterable[Text], chunk: int = 1024, precision: str = "auto"
    ) -> Iterator[tuple[Text, Prediction | None]]:
        """Each input with its prediction, in order, in memory that does not grow with the stream; None for a blank one.

        Args:
            texts: Any iterable of texts or pairs, however long.
            chunk: Texts that are predicted together, so that texts of like length can share a batch; fewer where they
                are long.
            precision: As for `predict`.
        """
        for part in windows(texts, chunk, characters=1 << 20):
            answers = iter(self.predict([text for text in part if flat(text).strip()], precision))
            for text in part:
                yield text, next(answers) if flat(text).strip() else None

    def quicken(self, texts: Sequence[Text]) -> tuple[Trial, ...]:
        """Choose the precision of predictions by trial: the quickest one that says what fp32 says of a sample.

        A precision passes with the same labels for 99.5% of the sample and no probability changed by 0.05 or more
        (`measure/precision_gate.py`); the choice is kept in `precision` and saved with the model. Texts so close
        between two labels that such a change could turn them are read again in a finer precision (`rounding`).

        Args:
            texts: Texts of the kind that will be predicted; 256 of them, evenly spread, are the sample.

        Returns:
            What each precision but fp32 did; nothing for a model that is predicted in one way only.

        Raises:
            DataError: There are fewer than 64 distinct texts: they would say little.
        """
        distinct, _ = _distinct(texts)
        if len(distinct) < LEAST:
            raise DataError(f"{len(distinct)} distinct texts say little about a precision: give {LEAST} or more")
        self._check(distinct)
        able = self._precisions()
        if not able:
            return ()
        sample = [
            distinct[place] for place in np.linspace(0, len(distinct) - 1, min(SAMPLE, len(distinct))).astype(int)
        ]
        self.precision, trials = quickest(able, lambda name: self._quick(sample, name), self.task.output(self.labels))
        self.rounding = {trial.precision: trial.change for trial in trials if trial.accepted}
        return trials

    def _precisions(self) -> tuple[str, ...]:
        """What the quick way can compute in here; none where there is no quick way."""
        if self.apart or not isinstance(self.model, QuickEncoder):
            return ()
        return self.model.precisions

    def _predicted(self, texts: Sequence[Text], precision: str) -> Any:
        """Scores as `scores` gives them, by the quick way where there is one."""
        self._check(texts)
        able = self._precisions()
        if precision == "auto" and self.precision in able:
            return self._surely(texts, self.precision, able)
        if precision == "auto" and able:
            precision = "bf16" if "bf16" in able and self.precision is None else "fp32"
        if precision == "auto":  # no quick way
            return self.scores(texts)[0]
        if precision not in able:
            raise SettingError(
                f"precision {precision!r}: this model on this machine can do {', '.join(('auto', *able))}"
            )
        return self._quick(texts, precision)

    def _surely(self, texts: Sequence[Text], precision: str, able: Sequence[str]) -> Any:
        """Scores in a precision, those of doubtful texts in a finer one."""
        scores = self._quick(texts, precision)
        if precision == "fp32" or precision not in self.rounding:
            return scores
        rows = doubtful(scores, self.task.output(self.labels), self.rounding[precision])
        if len(rows):
            finer = [name for name in able[able.index(precision) + 1 :] if name in self.rounding]
            scores[rows] = self._surely([texts[row] for row in rows], (finer or ["fp32"])[0], able)
        return scores

    def _quick(self, texts: Sequence[Text], precision: str) -> Any:
        assert isinstance(self.model, QuickEncoder)
        if self.task.output(self.labels).per == "token":
            return scored_tokens(self.model, texts, self.weights, self.bias, self.window, precision)[0]
        features = self.model.encode_quickly(texts, precision, self.task.reads_whole)
        return np.asarray(features @ self.weights) + self.bias

    def score(self, examples: Examples) -> Scores:
        """Every metric of the task on labelled examples.

        Raises:
            DataError: There are no examples, or their labels are not this model's.
        """
        if not len(examples):
            raise DataError(f"{examples.name}: no examples to score")
        strangers = [label for label in examples.labels if label not in self.labels]
        if strangers:
            raise DataError(
                f"{examples.name}: label {strangers[0]!r} is not among this model's ({', '.join(self.labels)})"
            )
        scores, read = self.scores(examples.texts)
        return score_of(self.task, examples, scores, read, self.labels)

    def scores(self, texts: Sequence[Text]) -> tuple[Any, np.ndarray]:
        """What the task decodes, and the share of each input that was read, float64 of shape (texts,).

        Scores are an array (texts, scores), or for tasks about tokens each text's stretches (`outputs.Stretch`).

        Raises:
            DataError: A single text where the task is about pairs, or a pair where it is not.
        """
        self._check(texts)
        if self.task.output(self.labels).per == "token":
            return scored_tokens(self.model, texts, self.weights, self.bias, self.window)
        encoding = (features_apart if self.apart else encoded)(self.model, texts, self.task.reads_whole)
        return np.asarray(encoding.features @ self.weights) + self.bias, encoding.read

    def _check(self, texts: Sequence[Text]) -> None:
        if isinstance(texts, str):
            raise TypeError("several texts are needed: give [text]")
        if any(isinstance(text, str) == self.task.paired for text in texts):
            needed, given = ("pairs of texts", "single ones") if self.task.paired else ("single texts", "pairs")
            raise DataError(f"this {catalog.name_of(self.task)} model reads {needed}, not {given}")

    def save(self, folder: str | Path) -> None:
        """Write the model folder with head, task, labels, card and lineage: whole or not at all."""
        with storage.written_whole(folder) as scratch:
            self.model.write_whole(scratch)
            storage.save_tensors({"weights": self.weights, "bias": self.bias}, scratch / HEAD)
            kept = write_kept(self.kept, scratch, _KEPT)
            task = {**self.facts(), **({KEPT: kept} if kept else {})}
            storage.write_json(scratch / storage.MANIFEST, {**self.model.manifest(), "task": task})
            storage.write_json(scratch / storage.LINEAGE, dataclasses.asdict(self.lineage))
            told = card(self.model.family, self.lineage, f"It predicts {self.described()}.")
            (scratch / storage.CARD).write_text(told, encoding="utf-8")

    @classmethod
    def read(cls, folder: storage.Folder, model: Model) -> Self:
        """The task model written there, around its already opened body.

        Raises:
            ModelFolderError: The head does not fit body and labels, or the task is unknown.
        """
        told = folder.said("task")
        made = cls.of(folder, told, folder.tensors(HEAD), model)
        made.kept = read_kept(folder, told.get(KEPT, {}), _KEPT)
        return made

    @classmethod
    def of(cls, folder: storage.Folder, told: Mapping[str, Any], head: Mapping[str, np.ndarray], model: Model) -> Self:
        """The task model that a folder tells of.

        Args:
            folder: Where it lies: for errors and its lineage.
            told: What the manifest says of the task (`facts`).
            head: Its `weights` and `bias`.
            model: Its body.

        Raises:
            ModelFolderError: As `read` does.
        """
        try:
            task: Task = catalog.find("tasks", told["name"])(**told["settings"])
            labels = tuple(str(label) for label in told["labels"])
        except (KeyError, TypeError, SettingError) as error:
            raise ModelFolderError(f"{folder.path / storage.MANIFEST}: the task is not whole ({error})") from None
        if set(head) != {"weights", "bias"}:
            raise ModelFolderError(f"{folder.path / HEAD} holds {sorted(head)}, not weights and bias")
        window = told.get("window")
        if not (window is None or (isinstance(window, int) and window > 0)):
            raise ModelFolderError(f"{folder.path / storage.MANIFEST}: window {window!r} is no number of tokens")
        apart = told.get("apart", False) is True
        precision = told.get("precision")
        if precision not in (None, *PRECISIONS):
            raise ModelFolderError(f"{folder.path / storage.MANIFEST}: precision {precision!r} is unknown")
        rounding = told.get("rounding", {})
        if not (isinstance(rounding, dict) and all(isinstance(c, float) and 0 <= c <= 1 for c in rounding.values())):
            raise ModelFolderError(f"{folder.path / storage.MANIFEST}: rounding {rounding!r} is no number a precision")
        story, weights, bias = folder.lineage(), head["weights"], head["bias"]
        return cls(model, task, labels, weights, bias, story, apart, window, precision, rounding)

    def facts(self) -> dict[str, Any]:
        """What a manifest says of the task: its name, settings and labels."""
        return {
            "name": catalog.name_of(self.task),
            "settings": self.task.settings(),
            "labels": list(self.labels),
            **({"apart": True} if self.apart else {}),
            **({"window": self.window} if self.window else {}),
            **({} if self.precision is None else {"precision": self.precision, "rounding": dict(self.rounding)}),
        }

    def described(self) -> str:
        """What it predicts, on one line."""
        return catalog.name_of(self.task) + (f": {', '.join(self.labels)}" if self.labels else "")


def _distinct(texts: Sequence[Text]) -> tuple[list[Text], np.ndarray]:
    """Every input once, in order, and for each input its place among them: int64 of shape (texts,)."""
    if isinstance(texts, str):
        raise TypeError("several texts are needed: give [text]")
    numbers: dict[Text, int] = {}
    places = [numbers.setdefault(text, len(numbers)) for text in texts]
    return list(numbers), np.array(places, dtype=np.int64)


def body_of(source: Model | TaskModel) -> Model:
    """The language model in a source: of a task model its body, so that a task can be a step towards another."""
    return source.model if isinstance(source, TaskModel) else source
