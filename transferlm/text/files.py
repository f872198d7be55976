"""Text files read line by line, with one clear error for each way that a file can be broken."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any

from transferlm.errors import DataError, SettingError

__all__ = ["Meter", "existing", "numbered_lines", "refuse_half_characters"]

Meter = Callable[[int], object]
"""Called with the number of bytes just read from disk, compressed where the file is: what progress counts."""

_SAMPLE = 1 << 20
"""Bytes read to guess an encoding."""

_ARCHIVES = {b"\x1f\x8b": "a gzip archive: name it .gz", b"PK\x03\x04": "a zip archive: unpack it first"}


def existing(path: str | Path) -> Path:
    """The path of a file or folder that is there.

    Raises:
        DataError: Nothing is there; a file of a similar name beside it is named.
    """
    place = Path(path).expanduser()
    if place.exists():
        return place
    siblings = [p.name for p in place.parent.iterdir()] if place.parent.is_dir() else []
    near = get_close_matches(place.name, siblings, n=1)
    raise DataError("there is no such file" + (f": did you mean {near[0]!r}?" if near else ""), path=path)


def numbered_lines(
    path: Path,
    encoding: str = "utf-8",
    *,
    keep_ends: bool = False,
    shown: str | None = None,
    meter: Meter | None = None,
) -> Iterator[tuple[int, str]]:
    r"""Yield (1-based line number, line) of a text file or `.gz`, holding one line in memory.

    Only a line feed ends a line, so that numbers agree with `wc` and `sed`. A UTF-8 byte order mark is
    dropped.

    Args:
        path: An existing file.
        encoding: Its character encoding.
        keep_ends: Keep the line's end (what `csv` needs); otherwise `\n` and `\r\n` are taken off.
        shown: The name that errors give instead of the path.
        meter: Told how many bytes are read, as they are.

    Raises:
        DataError: Unreadable, cut off, wrongly encoded (line, byte and an encoding to try are named), or
            binary.
        SettingError: No such encoding.
    """
    name, line = shown or str(path), 0
    try:
        with _opened(path, meter) as raw, io.TextIOWrapper(raw, _codec(encoding), newline="\n") as text:
            for line, content in enumerate(text, start=1):
                if "\0" in content:
                    message = "a NUL byte: this is no text file, or it is UTF-16 (then try --encoding utf-16)"
                    raise DataError(message, path=name, line=line)
                yield line, content if keep_ends else content.removesuffix("\n").removesuffix("\r")
    except UnicodeError:
        raise _undecodable(path, encoding, name) from None
    except EOFError:
        raise DataError(f"the archive is cut off after line {line:,}: copy it again", path=name) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"no readable gzip archive ({error}): copy it again", path=name) from None
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror or error}", path=name) from None


def refuse_half_characters(text: str, path: str | None = None, line: int | None = None) -> None:
    """Raise a `DataError` for half a surrogate pair, which is no character and can't be written as UTF-8."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"half a surrogate pair (U+{ord(text[error.start]):04X}) at character {error.start + 1:,}"
        raise DataError(f"{half}: repair the text", path=path, line=line) from None


def _opened(path: Path, meter: Meter | None = None) -> IO[bytes]:
    raw: Any = io.BufferedReader(_Metered(path, meter)) if meter is not None else path.open("rb")
    if path.suffix.lower() != ".gz":
        return raw  # type: ignore[no-any-return]
    return _Unpacked(raw)  # type: ignore[return-value]


class _Metered(io.FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, meter: Meter) -> None:
        super().__init__(path, "rb")
        self._meter = meter

    def readinto(self, buffer: Any) -> int | None:
        """Read into `buffer`, and tell."""
        count: int | None = super().readinto(buffer)
        self._meter(count or 0)
        return count


class _Unpacked(gzip.GzipFile):
    """A gzip archive that closes the file it reads from."""

    def __init__(self, packed: IO[bytes]) -> None:
        super().__init__(fileobj=packed, mode="rb")
        self._packed = packed

    def close(self) -> None:
        """Close both."""
        super().close()
        self._packed.close()


def _codec(encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise SettingError(
            f"no encoding is called {encoding!r}: utf-8, gb18030, big5, latin-1 are common ones"
        ) from None
    return "utf-8-sig" if name == "utf-8" else name


def _undecodable(path: Path, encoding: str, name: str) -> DataError:
    """Read again, in bytes, to say where: a decoding error alone knows its place in a buffer, not in the
    file.
    """
    try:
        return _located(path, encoding, name)
    except (EOFError, OSError, zlib.error):
        return DataError(f"is no {encoding}, and can't be read to its end: copy it again", path=name)


def _located(path: Path, encoding: str, name: str) -> DataError:
    decoder = codecs.getincrementaldecoder(_codec(encoding))()
    line, before = 1, 0
    with _opened(path) as raw:
        start = raw.read(_SAMPLE)
        block = start
        while True:
            pending = len(decoder.getstate()[0])
            try:
                line += decoder.decode(block, final=not block).count("\n")
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                offset = before - pending + error.start
                if not block and "unexpected end" in error.reason:
                    return DataError("the file ends in the middle of a character: it was cut off", path=name, line=line)
                found = f"byte 0x{error.object[error.start]:02X} at offset {offset:,} is no {encoding}"
                around = error.object[max(0, error.start - _SAMPLE) :]
                return DataError(f"{found}: {_advice(start, around, encoding)}", path=name, line=line)
            except UnicodeError as error:  # UTF-16 without a byte order mark
                return DataError(f"no {encoding} ({error}): {_advice(start, start, encoding)}", path=name)
            if not block:
                return DataError(f"is no {encoding}", path=name)  # the file was changed between the two readings
            before += len(block)
            block = raw.read(_SAMPLE)


def _advice(start: bytes, around: bytes, tried: str) -> str:
    for magic, advice in _ARCHIVES.items():
        if start.startswith(magic):
            return f"it is {advice}"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "try --encoding utf-16"
    if _decodes(around, "utf-8") and codecs.lookup(tried).name != "utf-8":
        return "try --encoding utf-8"
    if _looks_chinese(around):
        return "try --encoding gb18030"
    return "try --encoding latin-1 if it is Western European, or name its own"


def _decodes(sample: bytes, encoding: str) -> bool:
    """Whether a sample decodes; its last character may be cut by the sample's end."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _looks_chinese(sample: bytes) -> bool:
    """GB18030 accepts most byte pairs, so ask also that they are common ones.

    Level 1 of GB 2312 (0xB0-0xD7) holds the 3,755 commonest characters and 0xA1-0xA3 punctuation; Cyrillic or
    Latin text read as GB18030 falls elsewhere.
    """
    if not _decodes(sample, "gb18030"):
        return False
    pairs = re.findall(rb"[\x81-\xfe][\x40-\xfe]", sample)
    common = sum(1 for lead, trail in pairs if trail >= 0xA1 and (0xB0 <= lead <= 0xD7 or 0xA1 <= lead <= 0xA3))
    return bool(pairs) and common >= 0.7 * len(pairs)
