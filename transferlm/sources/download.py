"""Downloading one pinned file: resumed where it stopped, and given away only once its hash is right."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.response import addinfourl

from transferlm.errors import SourceError
from transferlm.progress import Progress
from transferlm.sources.index import Link, find
from transferlm.sources.table import Package
from transferlm.sources.web import BROKEN, Web, patiently, reason, without_credentials

__all__ = ["download"]

_CHUNK = 1 << 18


def download(package: Package, folder: Path, web: Web) -> Path:
    """Bring `package`'s file into `folder` from the first place that has the pinned bytes.

    A download that breaks leaves its beginning behind, and the next one goes on from there.

    Returns:
        The file, its SHA-256 checked.

    Raises:
        SourceError: No configured place has the file, or what they sent has another hash (it is deleted).
    """
    part = folder / f"{package.sha256}.part"
    reasons: list[str] = []
    for link in find(package, web, reasons):
        resumed = part.exists()
        problem = _attempt(package, link, part, web)
        if problem and resumed and not part.exists():
            problem = _attempt(package, link, part, web)  # the earlier beginning may have been another file's
        if not problem:
            return part
        reasons.append(f"{without_credentials(link.address)} {problem}")
    raise SourceError(
        f"{package.filename} could not be fetched: {'; '.join(reasons) or 'no package index is configured'}"
    )


def _attempt(package: Package, link: Link, part: Path, web: Web) -> str | None:
    """Download from one link; what went wrong, or None if the file is the pinned one."""
    try:
        with Progress(f"downloading {package.filename}", package.size, "bytes") as progress:
            patiently(lambda: _stream(package, link, part, web, progress))
    except BROKEN as error:
        return f"broke off: {reason(error)}"
    with part.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    if digest == package.sha256:
        return None
    part.unlink()
    return f"sent a file with SHA-256 {digest}, not the pinned {package.sha256}: it was deleted"


def _stream(package: Package, link: Link, part: Path, web: Web, progress: Progress) -> None:
    """Add what is missing of the file to `part`, asking for the rest only where a part is there."""
    have = part.stat().st_size if part.exists() else 0
    if have >= package.size:
        return
    try:
        answer = web.open(link.address, {"Range": f"bytes={have}-"} if have else {})
    except HTTPError as error:
        if error.code != 416:  # the server's file ends before ours does: what we hold is not its beginning
            raise
        part.unlink()
        have, answer = 0, web.open(link.address)
    with answer:
        have = have if _continues_at(answer, have) else 0
        expected = have + int(answer.headers.get("Content-Length", 0))
        progress.done = have
        with part.open("r+b" if have else "wb") as file:
            file.seek(have)
            # One byte past the pinned size is enough to know that the file is another one.
            while have <= package.size and (chunk := answer.read(min(_CHUNK, package.size + 1 - have))):
                file.write(chunk)
                have += len(chunk)
                progress.advance(len(chunk))
    if have < min(expected, package.size):
        raise ConnectionError(f"the connection ended after {have:,} of {package.size:,} bytes")


def _continues_at(answer: addinfourl, position: int) -> bool:
    """Whether a server answered with the rest from `position` on, not with the whole file again."""
    stated = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return stated is not None and int(stated[1]) == position
