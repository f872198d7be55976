"""What tasks with one answer a text share: tables of texts or pairs, long texts cut or read whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from transferlm.errors import SettingError
from transferlm.tasks._tables import Table
from transferlm.tasks.base import Task
from transferlm.text.framing import Text

__all__ = ["TextTask"]


@dataclass(frozen=True)
class TextTask(Task):
    """A task with one answer a text or pair, read from tables with named columns."""

    text_column: str = "text"
    """Name of the column that holds the text."""
    pair_column: str | None = None
    """Name of the column that holds the second text, where the answer belongs to a pair (are they alike? does one
    follow from the other?)."""
    encoding: str = "utf-8"
    """Character encoding of text files."""
    long_texts: Literal["truncate", "windows"] = "truncate"
    """Whether a text beyond the model's maximum length is cut, or read whole in overlapping windows: each window learns
    what is true of the text, and a prediction follows from the mean of their vectors."""

    def __post_init__(self) -> None:
        if self.long_texts not in ("truncate", "windows"):
            raise SettingError(f"long_texts {self.long_texts!r}: choose truncate or windows")

    @property
    def paired(self) -> bool:
        """Whether there is a column of second texts."""
        return self.pair_column is not None

    @property
    def reads_whole(self) -> bool:
        """As `long_texts` says."""
        return self.long_texts == "windows"

    def inputs(self, source: Any) -> Iterator[Text]:
        """The texts or pairs of a table; no column of answers is needed."""
        return self.table("").inputs(source)

    def table(self, answers: str, several: bool = False) -> Table:
        """How rows are read.

        Args:
            answers: The column of what is true of a text.
            several: Whether that may be a list.
        """
        return Table(self.text_column, answers, self.pair_column, self.encoding, several)
