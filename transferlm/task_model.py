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
from transferlm.measure.task_scores import ClassScores, Scores, score_of
from transferlm.models._inputs import encoded, features_apart, scored_tokens
from transferlm.models.base import Encoder, GradientTrained, Model, card
from transferlm.tasks.base import Examples, Prediction, Task, gives_probabilities, probabilities
from transferlm.text.framing import Text, flat
from transferlm.text.windows import windows

__all__ = ["ClassScores", "Scores", "TaskModel", "body_of"]

HEAD = "head.safetensors"


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
    """

    model: Model
    task: Task
    labels: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    lineage: storage.Lineage = field(default_factory=storage.Lineage)
    apart: bool = False
    window: int | None = None

    def __post_init__(self) -> None:
        output = self.task.output(self.labels)
        if output.per == "token":
            if not isinstance(self.model, GradientTrained):
                raise ModelFolderError(f"scores of tokens need a model with token states, {self.model.family} has none")
            width = self.model.token_width
        else:
            if not isinstance(self.model, Encoder):
                raise ModelFolderError(f"a task model needs an encoder, {self.model.family} is none")
            width = self.model.encoding_width * (4 if self.apart else 1)
        expected = (width, output.size)
        if self.weights.shape != expected or self.bias.shape != expected[1:]:
            raise ModelFolderError(f"the head has shape {self.weights.shape}, model and labels ask for {expected}")

    def predict(self, texts: Sequence[Text]) -> list[Prediction]:
        """What the task predicts of each input.

        Args:
            texts: Texts; pairs (tuples) where the task is about pairs: two sentences, a question and its context.
        """
        return list(self.task.decode(self.scores(texts)[0], texts, self.labels))

    def predict_proba(self, texts: Sequence[Text]) -> np.ndarray:
        """Probabilities of the labels: float64 of shape (texts, labels), columns in the order of `labels`.

        Raises:
            UnsupportedError: The task has no probability a label and text.
        """
        output = self.task.output(self.labels)
        if not gives_probabilities(output):
            raise UnsupportedError(f"{catalog.name_of(self.task)} has no probabilities of labels a text: use predict")
        return probabilities(output, self.scores(texts)[0])

    def predict_stream(self, texts: Iterable[Text], chunk: int = 1024) -> Iterator[tuple[Text, Prediction | None]]:
        """Each input with its prediction, in order, in memory that does not grow with the stream; None for a blank one.

        Args:
            texts: Any iterable of texts or pairs, however long.
            chunk: Texts that are predicted together, so that texts of like length can share a batch; fewer where they
                are long.
        """
        for part in windows(texts, chunk, characters=1 << 20):
            answers = iter(self.predict([text for text in part if flat(text).strip()]))
            for text in part:
                yield text, next(answers) if flat(text).strip() else None

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
            storage.write_json(scratch / storage.MANIFEST, {**self.model.manifest(), "task": self.facts()})
            storage.write_json(scratch / storage.LINEAGE, dataclasses.asdict(self.lineage))
            told = card(self.model.family, self.lineage, f"It predicts {self.described()}.")
            (scratch / storage.CARD).write_text(told, encoding="utf-8")

    @classmethod
    def read(cls, folder: storage.Folder, model: Model) -> Self:
        """The task model written there, around its already opened body.

        Raises:
            ModelFolderError: The head does not fit body and labels, or the task is unknown.
        """
        return cls.of(folder, folder.said("task"), folder.tensors(HEAD), model)

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
        return cls(model, task, labels, head["weights"], head["bias"], folder.lineage(), apart, window)

    def facts(self) -> dict[str, Any]:
        """What a manifest says of the task: its name, settings and labels."""
        return {
            "name": catalog.name_of(self.task),
            "settings": self.task.settings(),
            "labels": list(self.labels),
            **({"apart": True} if self.apart else {}),
            **({"window": self.window} if self.window else {}),
        }

    def described(self) -> str:
        """What it predicts, on one line."""
        return catalog.name_of(self.task) + (f": {', '.join(self.labels)}" if self.labels else "")


def body_of(source: Model | TaskModel) -> Model:
    """The language model in a source: of a task model its body, so that a task can be a step towards another."""
    return source.model if isinstance(source, TaskModel) else source
