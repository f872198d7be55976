"""Inputs of a task with what is true of them: hashed, split, held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from transferlm import catalog
from transferlm.errors import DataError, UnsupportedError
from transferlm.seeding import derive
from transferlm.text.framing import Text, flat
from transferlm.text.splits import grouped_split, split, stratified_split

if TYPE_CHECKING:
    from transferlm.tasks.base import Task

__all__ = ["Examples"]


@dataclass(frozen=True)
class Examples:
    """Inputs of one task with what is true of them.

    Attributes:
        task: The task they were read for.
        texts: One input each: a text, or a pair of texts (a tuple).
        targets: One each, of the task's own kind: class indices, rows of booleans, numbers, or an object each.
        labels: Label names in the order of their indices; none where the task has no labels.
        name: Where they come from, for cards and errors.
        notes: Repairs made while reading, one sentence each; empty when nothing was repaired.
    """

    task: Task
    texts: Sequence[Text]
    targets: np.ndarray
    labels: tuple[str, ...]
    name: str = "examples"
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def without_texts(cls, task: Task, labels: Sequence[str]) -> Examples:
        """Labels alone, in this order: what a strategy needs that learns from their names.

        Raises:
            DataError: There are fewer than two, or one stands there twice or is empty.
        """
        names = tuple(label.strip() for label in labels)
        if len(names) < 2 or len(set(names)) < len(names) or not all(names):
            raise DataError(f"labels {', '.join(map(repr, names))}: give two or more that differ")
        return cls(task, [], np.zeros(0, dtype=np.int64), names, name="labels without texts")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def hash(self) -> str:
        """SHA-256 over inputs and targets in order: the same data has the same one, wherever it lies."""
        digest = hashlib.sha256()
        for record in self.records():
            digest.update(record.encode() + b"\n")
        return digest.hexdigest()

    def records(self) -> Iterator[str]:
        """Each example as a line of JSON, input and target: what `of_records` reads."""
        for text, target in zip(self.texts, self.task.plain(self.targets, self.labels), strict=True):
            yield json.dumps([text, target])

    @classmethod
    def of_records(cls, records: Iterable[str], task: Task, labels: Sequence[str], name: str = "examples") -> Examples:
        """Examples as `records` wrote them.

        Raises:
            DataError: A line is no such record, or names a label that is not among these.
        """
        texts: list[Text] = []
        plain = []
        for line, record in enumerate(records, 1):
            try:
                text, target = json.loads(record)
                texts.append(text if isinstance(text, str) else (str(text[0]), str(text[1])))
            except (ValueError, TypeError, LookupError) as error:
                raise DataError(f"{name}: record {line:,} holds no input and target ({error!r})") from None
            plain.append(target)
        return cls(task, texts, _targets(task, plain, labels, name), tuple(labels), name)

    @classmethod
    def joined(cls, parts: Sequence[Examples]) -> Examples:
        """Several sets of one task and the same labels as one, in their order."""
        first, more = parts[0], len(parts) - 1
        if not more:
            return first
        return replace(
            first,
            texts=[text for part in parts for text in part.texts],
            targets=np.concatenate([part.targets for part in parts]),
            name=f"{first.name} and {more} more",
            notes=tuple(f"{part.name}: {note}" for part in parts for note in part.notes),
        )

    def under(self, task: Task, labels: Sequence[str]) -> Examples:
        """The same examples for a task of the same kind with these labels in this order; they may lack some.

        Raises:
            DataError: An example has a label that is not among them.
            UnsupportedError: The task is of another kind, or only one of the two is about pairs.
        """
        if type(task) is not type(self.task) or task.paired != self.task.paired:
            own, other = (catalog.name_of(each) + " of pairs" * each.paired for each in (self.task, task))
            raise UnsupportedError(f"{self.name} holds examples of {own}, and the model's task is {other}")
        targets = _targets(task, self.task.plain(self.targets, self.labels), labels, self.name)
        return replace(self, task=task, labels=tuple(labels), targets=targets)

    @property
    def strata(self) -> Sequence[Hashable] | None:
        """The class of each example, where each has one."""
        return self.task.strata(self.targets, self.labels)

    @property
    def strings(self) -> list[str]:
        """The inputs as plain strings, a pair as two lines: what duplicates are found by."""
        return [flat(text) for text in self.texts]

    def subset(self, rows: np.ndarray, name: str | None = None) -> Examples:
        """The examples at these row numbers, in this order; labels keep their indices."""
        texts = [self.texts[row] for row in rows]
        return replace(self, texts=texts, targets=self.targets[rows], name=name or self.name)

    def split(self, test: float = 0.2, seed: int = 0) -> tuple[Examples, Examples]:
        """A training and a test part: duplicates removed first, then stratified where there are classes.

        Examples that belong together (questions about one context) stay in one part.

        Args:
            test: Share of the rows that become the test part.
            seed: The same seed gives the same parts.
        """
        made = split(self.strings, self.strata, [1 - test, test], seed, groups=self.task.groups(self.texts))
        train_part, test_part = (self.subset(rows) for rows in made.parts)
        notes = (*self.notes, *made.notes)
        return (
            replace(train_part, name=f"{self.name} (train)", notes=notes),
            replace(test_part, name=f"{self.name} (test)", notes=notes),
        )

    def hold_out(self, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers to train on and row numbers held out to choose by; every class in both, groups kept together.

        Nothing is held out where the share is 0, or too few rows or groups would be left.
        """
        rows, groups, seed = np.arange(len(self)), self.task.groups(self.texts), derive(seed, "held out")
        strata = self.targets.tolist() if self.strata is not None else [0] * len(self)
        counts = np.unique(np.asarray(strata), return_counts=True)[1]
        held: int = max(len(counts), round(share * len(self)))
        if share == 0 or counts.min(initial=len(self)) < 2 or 2 * held > len(self):
            return rows, rows[:0]
        if groups is None:
            parts = stratified_split(strata, [len(self) - held, held], seed)
        elif len(set(groups)) > 1:
            parts = grouped_split(groups, [len(self) - held, held], seed)
        else:
            return rows, rows[:0]
        return parts[0], parts[1]

    def described(self) -> dict[str, Any]:
        """What lineage and reports keep of these examples."""
        return {"name": self.name, "hash": self.hash, "texts": len(self)}


def _targets(task: Task, plain: Sequence[Any], labels: Sequence[str], name: str) -> np.ndarray:
    """Targets of plain data; what is none of this task is told with its row."""
    try:
        return task.targets_of(plain, labels)
    except (ValueError, TypeError, KeyError):
        pass
    for row, target in enumerate(plain, 1):
        try:
            task.targets_of([target], labels)
        except KeyError as error:
            raise DataError(
                f"{name}, example {row:,}: label {error} is not among the model's ({', '.join(labels)}); an update"
                " teaches labels that a model has: transfer it anew to give it more"
            ) from None
        except (ValueError, TypeError) as error:
            raise DataError(f"{name}, example {row:,}: {target!r} is no target of {catalog.name_of(task)}") from error
    raise DataError(f"{name}: targets that do not go together")
