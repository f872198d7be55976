"""The errors a person meets: one line each, saying what was wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

__all__ = [
    "DataError",
    "ForgettingError",
    "ModelFolderError",
    "SettingError",
    "SourceError",
    "TransferLMError",
    "UnsupportedError",
    "alternatives",
]


class TransferLMError(Exception):
    """Any problem that has a one-line answer. The command line prints it and exits with 1."""


class DataError(TransferLMError):
    """Text or labelled examples that can't be used as they are.

    Args:
        message: What is wrong and what to do about it.
        path: The file it was found in.
        line: 1-based line in that file (or 1-based row, for Parquet).
        column: Name of the column.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        self.path, self.line, self.column = path, line, column
        place = ", ".join(
            part
            for part in (
                str(path) if path is not None else "",
                f"line {line}" if line is not None else "",
                f"column {column!r}" if column is not None else "",
            )
            if part
        )
        super().__init__(f"{place}: {message}" if place else message)


class ModelFolderError(TransferLMError):
    """A folder that is no model, or one that must not be opened (pickle, a path that climbs out, a wrong shape)."""


class SourceError(TransferLMError):
    """Pretrained weights or sample text that could not be found, fetched or verified."""


class SettingError(TransferLMError):
    """A hyper-parameter or option outside what it may be."""


class UnsupportedError(TransferLMError):
    """A pair (model and strategy, say) that can't work. The message names what would."""


class ForgettingError(TransferLMError):
    """An update that forgot more than was allowed: nothing is written, the old model stays as it is.

    Args:
        message: What was measured and what was allowed.
        report: The whole measurement (`measure.forgetting.Report`).
    """

    def __init__(self, message: str, report: object = None) -> None:
        self.report = report
        super().__init__(message)


def alternatives(given: str, choices: Iterable[str]) -> str:
    """The end of an error about a wrong name, after a colon: a near match if there is one, and all the choices.

    >>> alternatives("fine_tunning", ["feature_extraction", "fine_tuning"])
    "did you mean 'fine_tuning'? There are: feature_extraction, fine_tuning"
    >>> alternatives("magic", ["feature_extraction", "fine_tuning"])
    'there are feature_extraction, fine_tuning'
    """
    names = sorted(choices)
    near = get_close_matches(given, names, n=1)
    listing = ", ".join(names)
    return f"did you mean {near[0]!r}? There are: {listing}" if near else f"there are {listing or 'none'}"
