"""What task models say of one input: each kind of answer prints on one line and goes to JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

__all__ = ["Answer", "Entities", "Entity", "Gold", "LabelPrediction", "LabelSet", "Number", "Prediction"]


class Prediction(ABC):
    """What a task model says of one input."""

    columns: ClassVar[tuple[str, ...]]
    """What its line holds, column by column; keys of its JSON object too."""

    def to_json(self) -> dict[str, Any]:
        """The prediction as plain data."""
        return {name: getattr(self, name) for name in self.columns}

    @abstractmethod
    def __str__(self) -> str:
        """One line, columns separated by tabs."""


@dataclass(frozen=True)
class LabelPrediction(Prediction):
    """One of several labels.

    Attributes:
        label: The predicted label.
        probability: Its probability, between 0 and 1.
    """

    label: str
    probability: float

    columns: ClassVar[tuple[str, ...]] = ("label", "probability")

    def __str__(self) -> str:
        return f"{self.label}\t{self.probability:.4f}"


@dataclass(frozen=True)
class LabelSet(Prediction):
    """Any number of labels.

    Attributes:
        labels: Those predicted, in the order of the task's labels; often none.
        probabilities: Every label -> its probability, between 0 and 1.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]

    columns: ClassVar[tuple[str, ...]] = ("labels", "probabilities")

    def to_json(self) -> dict[str, Any]:
        """Labels as a list, and every label's probability."""
        return {"labels": list(self.labels), "probabilities": self.probabilities}

    def __str__(self) -> str:
        return f"{', '.join(self.labels)}\t" + " ".join(f"{k}={p:.4f}" for k, p in self.probabilities.items())


@dataclass(frozen=True)
class Number(Prediction):
    """A number: a rating, a likeness.

    Attributes:
        value: In the units of the examples; it may lie outside their range.
    """

    value: float

    columns: ClassVar[tuple[str, ...]] = ("value",)

    def __str__(self) -> str:
        return f"{self.value:.4f}"


@dataclass(frozen=True)
class Entity:
    """A stretch of a text with a label.

    Attributes:
        start: Its first character.
        end: The character after its last.
        label: What it is.
        text: Its characters.
        probability: The product of its words' tag probabilities, between 0 and 1.
    """

    start: int
    end: int
    label: str
    text: str = ""
    probability: float = 1.0


@dataclass(frozen=True)
class Entities(Prediction):
    """The entities of one text, in order; they never overlap."""

    entities: tuple[Entity, ...]

    columns: ClassVar[tuple[str, ...]] = ("entities",)

    def to_json(self) -> dict[str, Any]:
        """A list of objects with `start`, `end`, `label`, `text` and `probability`."""
        return {"entities": [asdict(entity) for entity in self.entities]}

    def __str__(self) -> str:
        return "; ".join(
            f"{entity.label} {entity.start}-{entity.end} {' '.join(entity.text.split())}" for entity in self.entities
        )


@dataclass(frozen=True)
class Answer(Prediction):
    """A stretch of a context that answers a question, or the word that there is none.

    Attributes:
        answer: Its characters; empty where the context holds no answer.
        start: Its first character in the context; None where there is no answer.
        end: The character after its last; None where there is no answer.
        probability: That of this answer among all stretches and none, between 0 and 1.
    """

    answer: str
    start: int | None
    end: int | None
    probability: float

    columns: ClassVar[tuple[str, ...]] = ("answer", "start", "end", "probability")

    def __str__(self) -> str:
        place = ("" if value is None else str(value) for value in (self.start, self.end))
        return "\t".join([" ".join(self.answer.split()), *place, f"{self.probability:.4f}"])


class Gold(NamedTuple):
    """A right answer: its first character in the context, the one after its last, and its characters.

    Both places are -1 for one of several answers that does not stand in the context: it counts in scoring, as the
    official scripts have it, and teaches nothing.
    """

    start: int
    end: int
    text: str
