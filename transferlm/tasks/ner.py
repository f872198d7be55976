"""Named entities: the stretches of a text that name something, each with what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from transferlm.errors import DataError, SettingError
from transferlm.outputs import Output, Stretch
from transferlm.tasks._contributions import f1_without, pseudo_values
from transferlm.tasks._counting import counts_by_label, rates
from transferlm.tasks._entity_rows import EntityRow, EntityRows
from transferlm.tasks._tables import listed, place_of
from transferlm.tasks._tagging import decoded, tags_of_tokens
from transferlm.tasks.base import Entities, Entity, Examples, Prediction, TokenTask, unknown_label
from transferlm.text.checks import Labelled
from transferlm.text.framing import Text, parts
from transferlm.text.units import unit_offsets, word_offsets

__all__ = ["NER"]

PARTED = 0.01
"""Share of entities within words up to which texts are tagged by words: annotators slip."""


@dataclass(frozen=True)
class NER(TokenTask):
    """Named entity recognition: labelled stretches of a text that do not overlap, given by their characters.

    Files are CoNLL columns (BIO, IOB1, BIOES, BMES or BILOU, found out and noted), or JSON lines with `text` and
    `entities`, a list of `{"start", "end", "label"}` or `[start, end, label]`. Tokens of columns are joined by spaces,
    Chinese characters without.

    A text is a row of words, or of units where entities begin within words (`tag_by`). A word's first token learns its
    BIO tag and those up to its first sign tell it (in models that read from left to right all of its tokens do both),
    so that what is predicted does not depend on how a tokenizer cuts words. Long texts are read whole in overlapping
    windows. Metrics are entity-level precision, recall and F1 as seqeval counts them: an entity is right where its
    characters and its label are.
    """

    text_column: str = "text"
    """Key of the text in JSON lines."""
    entities_column: str = "entities"
    """Key of the entities in JSON lines."""
    token_column: int = 0
    """Column of the tokens in CoNLL columns, counted from 0."""
    tag_column: int = -1
    """Column of the tags in CoNLL columns; -1 is the last one."""
    encoding: str = "utf-8"
    """Character encoding of files."""
    tag_by: Literal["auto", "words", "units"] = "auto"
    """What is tagged as one: `words`, what stands between spaces less the signs at its ends (`word_offsets`), or
    `units`, which parts these at every sign (`unit_offsets`). Scripts without spaces are tagged by character either
    way. `auto` is decided when labelled examples are read, and noted: words, unless these cut more than 1% of the
    entities that units would not. An address or a hyphenated name is then one decision, as in CoNLL columns."""

    headline: ClassVar[str] = "f1"
    predicts: ClassVar[type[Prediction]] = Entities

    def __post_init__(self) -> None:
        if self.tag_by not in ("auto", "words", "units"):
            raise SettingError(f"tag_by {self.tag_by!r}: choose auto, words or units")

    @property
    def _rows(self) -> EntityRows:
        return EntityRows(self.text_column, self.entities_column, self.token_column, self.tag_column, self.encoding)

    def read(self, source: Any, labels: Sequence[str] | None = None) -> Examples:
        """Read examples from a file, a frame, a dataset, or a list of mappings with a text and its entities.

        Labels are sorted. Tags that break their scheme are read leniently, as seqeval reads them, and noted with their
        lines.

        Raises:
            DataError: Columns or JSON that can't be read, entities that overlap or lie outside their text, a label not
                in `labels`, or no entity at all.
        """
        where = place_of(source)

        def refuse(message: str, line: int) -> None:
            raise DataError(message, path=where, line=line)

        rows, understood, repaired = self._rows.read(source, refuse)
        found = sorted({entity.label for row in rows for entity in row.entities})
        order = tuple(labels) if labels is not None else tuple(found)
        if not order:
            raise DataError("no text has an entity: there is nothing to learn", path=where)
        for row in rows:
            for entity in row.entities:
                if entity.label not in order:
                    raise unknown_label(entity.label, order, where, row.line)
        targets = np.fromiter((row.entities for row in rows), dtype=object, count=len(rows))
        texts = [row.text for row in rows]
        decided, cut = self._decided(rows)
        return Examples(decided, texts, targets, order, Path(where).name, (*understood, *repaired, *cut))

    def labelled(self, source: Any) -> Labelled:
        """Texts, how often each label stands there, and every fault of the file."""
        faults: list[str] = []
        rows, _, repaired = self._rows.read(source, lambda message, line: faults.append(f"Line {line:,}: {message}."))
        counts = Counter(entity.label for row in rows for entity in row.entities)
        faults += [*repaired, *self._decided(rows)[1]]
        faults[:0] = [] if counts or not rows else ["No text has an entity."]
        return Labelled([row.text for row in rows], counted=dict(counts), faults=faults, classes=False)

    def inputs(self, source: Any) -> Iterator[Text]:
        """The texts of columns or JSON lines; no tags or entities are needed."""
        return self._rows.texts(source)

    def output(self, labels: Sequence[str]) -> Output:
        """One softmax over BIO tags a token."""
        return Output("token", 1 + 2 * len(labels), "softmax")

    def token_targets(
        self, text: Text, target: Sequence[Entity], offsets: np.ndarray, labels: Sequence[str], ahead: bool = True
    ) -> np.ndarray:
        """The tag of each token's word: 0 outside, 1 + 2 k and 2 + 2 k for the first and further words of label k.

        Where tokens have seen what follows them, the first of a word alone teaches (Devlin et al. 2019, section 5.3).
        """
        return tags_of_tokens(self._places(parts(text)[1]), target, offsets, labels, first_only=ahead)

    def decode(
        self, scores: Sequence[Sequence[Stretch]], texts: Sequence[Text], labels: Sequence[str]
    ) -> list[Entities]:
        """The entities of each text under the most probable tags of which none is impossible."""
        plain = [parts(text)[1] for text in texts]
        return [
            Entities(tuple(decoded(text, self._places(text), _offsets(text, False), stretches, labels)))
            for text, stretches in zip(plain, scores, strict=True)
        ]

    def _places(self, text: str) -> np.ndarray:
        """Where what is tagged as one stands in a text: int32 of shape (places, 2)."""
        return _offsets(text, self.tag_by == "words")

    def _decided(self, rows: Sequence[EntityRow]) -> tuple[NER, list[str]]:
        """The task with `auto` replaced by what suits these entities, and notes on that and on those that are cut."""
        notes, task = [], self
        ways = ("units",) if self.tag_by == "units" else ("words", "units")
        cut = {by: [_parted(row, by == "words") for row in rows] for by in ways}
        if self.tag_by == "auto":
            task, further = replace(self, tag_by="words"), sum(cut["words"]) - sum(cut["units"])
            if further > PARTED * sum(len(row.entities) for row in rows):
                task = replace(self, tag_by="units")
                notes = [f"{sum(cut['words']):,} entities begin or end within words: texts are tagged by units."]
        lines = [row.line for row, times in zip(rows, cut[task.tag_by], strict=True) for _ in range(times)]
        if lines:
            advice = " (fewer do with --tag-by units)" if sum(cut["units"]) < len(lines) else ""
            what = "Entities that begin or end within a word, which can't be predicted exactly"
            notes.append(f"{what}{advice}, by line: {listed(lines)}.")
        return task, notes

    def metrics(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, float]:
        """Precision, recall and F1 over all entities, and F1 averaged over the labels that occur or are predicted."""
        hits, true, said = _counted(targets, predictions, labels).sum(axis=1)
        precision, recall, f1 = rates(hits.sum(), true.sum(), said.sum())
        occurs = true + said > 0
        macro = rates(hits, true, said)[2][occurs]
        return {
            "f1": float(f1),
            "precision": float(precision),
            "recall": float(recall),
            "macro_f1": float(macro.mean()) if occurs.any() else 0.0,
        }

    def contributions(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """F1 over all entities, and F1 averaged over the labels that occur or are predicted."""
        hits, true, said = _counted(targets, predictions, labels)
        return {
            "f1": pseudo_values(f1_without(hits, true, said, "micro")),
            "macro_f1": pseudo_values(f1_without(hits, true, said, "occurring")),
        }

    def by_label(
        self, targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """Label -> its precision, recall, F1 and number of entities; a share of nothing is 0."""
        hits, true, said = _counted(targets, predictions, labels).sum(axis=1)
        return counts_by_label(hits, true, said, labels, "entities")

    def labels_within(self, targets: np.ndarray, labels: Sequence[str]) -> list[list[str]]:  # noqa: ARG002
        """The labels of each text's entities."""
        return [sorted({entity.label for entity in row}) for row in targets]

    def plain(self, targets: np.ndarray, labels: Sequence[str]) -> list[list[list[Any]]]:  # noqa: ARG002
        """Start, end and label of each entity."""
        return [[[entity.start, entity.end, entity.label] for entity in row] for row in targets]

    def targets_of(self, plain: Sequence[Sequence[Sequence[Any]]], labels: Sequence[str]) -> np.ndarray:
        """The entities of each text, objects of shape (texts,)."""
        known = {label: label for label in labels}
        rows = (tuple(Entity(start, end, known[label]) for start, end, label in row) for row in plain)
        return np.fromiter(rows, dtype=object, count=len(plain))


def _counted(targets: np.ndarray, predictions: Sequence[Prediction], labels: Sequence[str]) -> np.ndarray:
    """How often each label was said rightly, is true, and was said in each text: int64 of shape (3, texts, labels)."""
    index = {label: place for place, label in enumerate(labels)}
    counts = np.zeros((3, len(targets), len(labels)), dtype=np.int64)
    for text, (row, prediction) in enumerate(zip(targets, predictions, strict=True)):
        assert isinstance(prediction, Entities)
        true = {(entity.start, entity.end, entity.label) for entity in row}
        said = {(entity.start, entity.end, entity.label) for entity in prediction.entities}
        for place, group in enumerate((true & said, true, said)):
            for _, _, label in group:
                counts[place, text, index[label]] += 1
    return counts


@lru_cache(maxsize=2)
def _offsets(text: str, by_words: bool) -> np.ndarray:
    """Words or units; kept, as a long text is asked for once a window."""
    found = word_offsets(text) if by_words else unit_offsets(text)
    found.flags.writeable = False
    return found


def _parted(row: EntityRow, by_words: bool) -> int:
    """How many of a text's entities begin or end within a word, or a unit."""
    if not row.entities:
        return 0
    places = _offsets(row.text, by_words)
    starts, ends = set(places[:, 0].tolist()), set(places[:, 1].tolist())
    return sum(entity.start not in starts or entity.end not in ends for entity in row.entities)
