"""What is predicted: how labelled examples are read, how scores become predictions, and how those are judged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from transferlm import catalog
from transferlm.errors import DataError
from transferlm.outputs import Output
from transferlm.tasks._examples import Examples
from transferlm.tasks._links import gives_probabilities, probabilities
from transferlm.tasks._predictions import Answer, Entities, Entity, Gold, LabelPrediction, LabelSet, Number, Prediction
from transferlm.text.checks import Labelled
from transferlm.text.framing import Text

__all__ = [
    "Answer",
    "Entities",
    "Entity",
    "Examples",
    "Gold",
    "LabelPrediction",
    "LabelSet",
    "Number",
    "Prediction",
    "Task",
    "TokenTask",
    "gives_probabilities",
    "probabilities",
    "unknown_label",
]


class Task(ABC):
    """One kind of prediction: a dataclass of settings.

    A task knows no model and holds no torch. What it says of its output decides head and loss; scores come back to it
    as arrays: (texts, size) where there is one vector a text, else the stretches of each text (`outputs.Stretch`).
    """

    headline: ClassVar[str] = "accuracy"
    """The metric that tables lead with."""
    forgetting_metric: ClassVar[str] = ""
    """The metric by which updates are judged, larger being better; empty is the headline."""
    predicts: ClassVar[type[Prediction]] = LabelPrediction
    """What it says of an input."""

    def settings(self) -> dict[str, Any]:
        """Field name -> value, as given to the constructor."""
        return catalog.values_of(self)

    @property
    def paired(self) -> bool:
        """Whether its inputs are pairs of texts."""
        return False

    @property
    def reads_whole(self) -> bool:
        """Whether what is longer than a model reads at once is read in overlapping windows instead of cut."""
        return False

    @abstractmethod
    def read(self, source: Any, labels: Sequence[str] | None = None) -> Examples:
        """Read labelled examples from a file, frame or dataset.

        Args:
            source: A path, a `pandas.DataFrame` or a `datasets.Dataset`.
            labels: Labels fixed by the training part; any other label found is an error.
        """

    @abstractmethod
    def labelled(self, source: Any) -> Labelled:
        """What stands in the file, bad rows too, and what is wrong with them: for `transferlm check`."""

    @abstractmethod
    def inputs(self, source: Any) -> Iterator[Text]:
        """The inputs alone of a file that may be without labels: what is predicted for."""

    @abstractmethod
    def output(self, labels: Sequence[str]) -> Output:
        """The scores this task needs for these labels."""

    @abstractmethod
    def decode(self, scores: Any, texts: Sequence[Text], labels: Sequence[str]) -> Sequence[Prediction]:
        """Scores as predictions, one an input."""

    @abstractmethod
    def metrics(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, float]:
        """Every metric of the task by name."""

    @abstractmethod
    def contributions(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """What each input contributes to the metrics that comparisons judge by, the headline first.

        Returns:
            Metric name -> float64 of shape (inputs,) whose mean is the metric: scores where the metric is their mean,
            else jackknife pseudo-values (`_contributions.py`).
        """

    def by_label(
        self,
        targets: np.ndarray,  # noqa: ARG002
        predictions: Sequence[Prediction],  # noqa: ARG002
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, dict[str, float]]:
        """Label -> its precision, recall, F1 and count; nothing where the task has no labels."""
        return {}

    @abstractmethod
    def plain(self, targets: np.ndarray, labels: Sequence[str]) -> list[Any]:
        """Targets as plain data that does not depend on the order of labels: what hashes are made of."""

    @abstractmethod
    def targets_of(self, plain: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
        """The targets that plain data speak of, their indices in the order of `labels`: what `plain` gave, taken back.

        Raises:
            KeyError: A label is not among these.
        """

    def strata(self, targets: np.ndarray, labels: Sequence[str]) -> Sequence[Hashable] | None:  # noqa: ARG002
        """The class of each example, where each has one; None otherwise."""
        return None

    def labels_within(self, targets: np.ndarray, labels: Sequence[str]) -> Sequence[Sequence[str]] | None:  # noqa: ARG002
        """The labels that stand in each input, where it may hold several or none; None otherwise."""
        return None

    def groups(self, texts: Sequence[Text]) -> Sequence[str] | None:  # noqa: ARG002
        """The text that each input belongs to, where inputs about one text must not be parted; None otherwise."""
        return None

    def reordered(
        self,
        targets: np.ndarray,
        labels: Sequence[str],  # noqa: ARG002
        order: Sequence[str],  # noqa: ARG002
    ) -> np.ndarray:
        """Targets whose indices follow `labels` as targets whose indices follow `order`."""
        return targets

    def weights(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray | None:  # noqa: ARG002
        """One loss weight a label, float64 of shape (labels,), or None where all weigh the same."""
        return None

    @property
    def judged_by(self) -> str:
        """The metric by which updates are judged."""
        return self.forgetting_metric or self.headline

    def is_open(self, targets: np.ndarray) -> bool:  # noqa: ARG002
        """Whether a setting (a threshold) is left open, to be fitted to such examples once a model is trained."""
        return False

    def fitted(self, targets: np.ndarray, scores: Any, texts: Sequence[Text], labels: Sequence[str]) -> Self:  # noqa: ARG002
        """The task with what it leaves open fitted to held-out examples and their scores."""
        return self

    def doubts(self, targets: np.ndarray, predictions: Sequence[Prediction]) -> list[str]:  # noqa: ARG002
        """What speaks against using a fitted task, told by its predictions of the very examples it was fitted to."""
        return []


class TokenTask(Task):
    """A task whose scores belong to tokens: it says what is true of each, and puts predictions together from them.

    Long texts are read whole, in windows.
    """

    @property
    def reads_whole(self) -> bool:
        """Always."""
        return True

    @abstractmethod
    def token_targets(
        self, text: Text, target: Any, offsets: np.ndarray, labels: Sequence[str], ahead: bool = True
    ) -> np.ndarray:
        """What is true of the tokens of one stretch.

        Args:
            text: The input.
            target: What is true of it.
            offsets: int32 of shape (tokens, 2): the tokens' characters in the text (of a pair: in the second).
            labels: Label names.
            ahead: Whether each token has seen those that follow it, so that the first of a word can speak for it.

        Returns:
            int64. For `softmax` of shape (tokens,): an index each, -1 for a token that teaches nothing. For `span` of
            shape (2,): the first and the last token, -1 both where the stretch holds no answer.
        """


def unknown_label(label: str, labels: Sequence[str], path: str | Path, line: int) -> DataError:
    """The error for a label in a test part that training never saw."""
    shown = ", ".join(repr(known) for known in labels[:12]) + (" ..." if len(labels) > 12 else "")
    return DataError(f"label {label!r} is not among the training labels ({shown})", path=path, line=line)
