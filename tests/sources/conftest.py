"""A package index on the loopback interface, and sources that are configured here alone."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from tiny_packages import Server

from transferlm.sources import Source, cache, locating, table, web


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, dict(self.headers)))
            path = unquote(self.path)
            time.sleep(state.delay)
            if state.failures:
                self._answer(state.failures.pop(0), "text/plain", b"")
            elif path in state.redirects:
                self.send_response(302)
                self.send_header("Location", state.redirects[path])
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif path in state.pages:
                self._answer(200, *state.pages[path])
            elif path in state.files:
                self._file(state.files[path])
            else:
                self._answer(404, "text/plain", b"")

        def _file(self, content: bytes) -> None:
            asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked and state.ranges else 0
            if start >= len(content) > 0:
                self._answer(416, "text/plain", b"")
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            sent = state.breaks_after.pop(0) if state.breaks_after else len(content)
            with contextlib.suppress(ConnectionError):  # the client may stop reading what it did not want
                self.wfile.write(content[start : start + sent])

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        state = Server(f"http://127.0.0.1:{serving.server_port}")
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        serving.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def only_configured_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's own indexes, proxies and passwords play no part, and nothing waits between attempts."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(web, "WAITS", (0.0, 0.0, 0.0))


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch):
    """Point the configured package index somewhere."""

    def to(*indexes: str) -> None:
        monkeypatch.delenv("PIP_NO_INDEX", raising=False)
        monkeypatch.setenv("PIP_INDEX_URL", indexes[0])
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", " ".join(indexes[1:]))

    return to


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch):
    """Put test sources in the place of the table's."""

    def put(*sources: Source) -> None:
        by_name = {source.name: source for source in sources}
        for module in (table, locating):
            monkeypatch.setattr(module, "SOURCES", by_name)
        assert cache.named is table.named

    return put
