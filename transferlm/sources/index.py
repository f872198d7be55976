"""Finding a pinned file: on simple indexes in JSON (PEP 691) and HTML (PEP 503), in folders and on pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from packaging.utils import canonicalize_name

from transferlm.sources.table import Package
from transferlm.sources.web import BROKEN, Web, patiently, reason, without_credentials

__all__ = ["Link", "find"]

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_LARGEST_PAGE = 64 * 1024 * 1024
"""Bytes; the longest pages of the largest public index stay under a quarter of this."""


@dataclass(frozen=True)
class Link:
    """A file that an index offers.

    Attributes:
        address: Where it can be downloaded.
        filename: Its name.
        sha256: The hash that the index states for it, or None.
    """

    address: str
    filename: str
    sha256: str | None


def find(package: Package, web: Web, reasons: list[str]) -> Iterator[Link]:
    """Links worth a download: first those whose stated hash is the pinned one, then those without a hash.

    Each place is asked only when the one before it had nothing good. A file of the right name with another
    hash is never offered. What went wrong at a place is added to `reasons`.
    """
    unstated: list[Link] = []
    for place, address in _places(package, web):
        try:
            offered = _offers(address, web)
        except BROKEN as error:
            missing = isinstance(error, HTTPError) and error.code in (404, 410)
            reasons.append(f"{place} {'has no such package' if missing else reason(error)}")
            continue
        except ValueError as error:
            reasons.append(f"{place} is no package index ({error})")
            continue
        same = [link for link in offered if link.filename == package.filename]
        yield from (link for link in offered if link.sha256 == package.sha256)
        unstated += [link for link in same if link.sha256 is None]
        others = {link.sha256 for link in same if link.sha256} - {package.sha256}
        if others:
            reasons.append(f"{place} offers SHA-256 {', '.join(sorted(others))} for {package.filename}")
        elif not same:
            reasons.append(f"{place} lacks {package.filename}")
    yield from unstated


def _places(package: Package, web: Web) -> Iterator[tuple[str, str]]:
    """Name for messages and address of every page that may list the package's files."""
    for link in web.configuration.find_links:
        yield without_credentials(link), link
    for index in web.configuration.indexes:
        address = f"{index.rstrip('/')}/{canonicalize_name(package.distribution)}/"
        yield without_credentials(index), address


def _offers(address: str, web: Web) -> list[Link]:
    """The links on one page or in one folder."""
    folder = Path(url2pathname(urlsplit(address).path)) if urlsplit(address).scheme == "file" else None
    if folder is not None and folder.is_dir():
        page = folder / "index.html"
        if not page.is_file():
            return [Link(file.as_uri(), file.name, None) for file in sorted(folder.iterdir()) if file.is_file()]
        address = page.as_uri()

    def read() -> tuple[str, str, bytes]:
        with web.open(address, {"Accept": _ACCEPT}) as answer:
            kind = answer.headers.get_content_type()
            return kind, answer.geturl(), answer.read(_LARGEST_PAGE + 1)

    kind, base, body = patiently(read)
    if len(body) > _LARGEST_PAGE:
        raise ValueError("its page is too long")
    return _from_json(base, body) if kind.endswith("json") else _from_html(base, body)


def _from_json(base: str, body: bytes) -> list[Link]:
    try:
        files = json.loads(body)["files"]
        return [Link(urljoin(base, file["url"]), file["filename"], file["hashes"].get("sha256")) for file in files]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        raise ValueError("its JSON does not list files") from None


def _from_html(base: str, body: bytes) -> list[Link]:
    page = _Anchors()
    page.feed(body.decode("utf-8", errors="replace"))
    links = []
    for target in page.targets:
        address, fragment = urldefrag(urljoin(urljoin(base, page.base), target))
        stated = re.search(r"(?:^|&)sha256=([0-9a-fA-F]{64})(?:&|$)", fragment)
        filename = unquote(urlsplit(address).path.rpartition("/")[2])
        links.append(Link(address, filename, stated[1].lower() if stated else None))
    return links


class _Anchors(HTMLParser):
    """Collects where a page's links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        target = dict(attributes).get("href")
        if target and tag == "a":
            self.targets.append(target)
        elif target and tag == "base" and not self.base:
            self.base = target
