"""Packages made on the spot, and what a package index on the loopback interface says of them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import dataclass, field

from transferlm.sources import Package, Source


def wheel(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def sdist(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def pinned(filename: str, content: bytes, distribution: str = "tiny-pack") -> Package:
    return Package(distribution, "1.0", filename, len(content), hashlib.sha256(content).hexdigest())


def source(name: str, package: Package, members: dict[str, str], **more: object) -> Source:
    settings = {"kind": "text", "what": f"the {name} test source", "licence": "CC0", "languages": ("en",)}
    return Source(name=name, packages=(package,), members=members, **{**settings, **more})  # type: ignore[arg-type]


@dataclass
class Server:
    """What the loopback server serves, how it misbehaves, and what it was asked."""

    address: str
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    delay: float = 0.0
    breaks_after: list[int] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def offer(self, filename: str, content: bytes, *, form: str = "json", stated: str | None = "right") -> None:
        """List a file on the index page of `tiny-pack`; `stated` is the hash that the page gives it."""
        digest = hashlib.sha256(content).hexdigest() if stated == "right" else stated
        self.files[f"/files/{filename}"] = content
        relative = f"../../files/{filename}"
        if form == "json":
            entry = {"filename": filename, "url": relative, "hashes": {"sha256": digest} if digest else {}}
            body = json.dumps({"meta": {"api-version": "1.0"}, "name": "tiny-pack", "files": [entry]})
            self.pages["/simple/tiny-pack/"] = ("application/vnd.pypi.simple.v1+json", body.encode())
        else:
            fragment = f"#sha256={digest}" if digest else ""
            body = f'<html><body><a href="{relative}{fragment}">{filename}</a></body></html>'
            self.pages["/simple/tiny-pack/"] = ("text/html", body.encode())

    @property
    def index(self) -> str:
        return f"{self.address}/simple"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]
