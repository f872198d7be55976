"""JSON in text files, with one clear error for each way that it can be broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transferlm.errors import DataError
from transferlm.text.files import Meter, numbered_lines

__all__ = ["json_objects", "json_of"]


def json_of(content: str, path: str | Path, line: int | None = None) -> Any:
    """What a piece of JSON holds.

    Raises:
        DataError: It is not valid, or nested too deep.
    """
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        place = f"character {error.pos + 1:,}" if line is not None else f"line {error.lineno:,}"
        raise DataError(f"no valid JSON ({error.msg.removesuffix(' at')} at {place})", path=path, line=line) from None
    except (RecursionError, ValueError):  # nested too deep; an integer of over 4,300 digits
        raise DataError("JSON that is nested too deep or holds too long a number", path=path, line=line) from None


def json_objects(
    path: Path, encoding: str = "utf-8", meter: Meter | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and object of each line of a JSONL file.

    Raises:
        DataError: A line is no JSON object.
    """
    for line, content in numbered_lines(path, encoding, meter=meter):
        if not content.strip():
            continue
        record = json_of(content, path, line)
        if not isinstance(record, dict):
            example = '{"text": ..., "label": ...}'
            message = f"a JSON {type(record).__name__}, where an object such as {example} is expected"
            raise DataError(message, path=path, line=line)
        yield line, record
