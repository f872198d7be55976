"""Hostile archives are refused, each with one clear line, and write nothing outside their folder."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from tiny_packages import sdist, wheel

from transferlm.errors import SourceError
from transferlm.sources import archive


@pytest.fixture
def unpack(tmp_path: Path):
    """Extract one member from bytes that came as a file called `name`."""

    def run(content: bytes, member: str, name: str = "packed") -> bytes:
        (tmp_path / name).write_bytes(content)
        folder = tmp_path / "folder"
        folder.mkdir()
        archive.extract(tmp_path / name, {member: "kept/out.txt"}, folder)
        assert [file for file in tmp_path.rglob("*") if file.is_file()] == [tmp_path / name, folder / "kept/out.txt"]
        return (folder / "kept/out.txt").read_bytes()

    return run


@pytest.mark.parametrize("make", [wheel, sdist])
def test_only_the_named_member_is_written(unpack, make):
    assert unpack(make({"a/b.txt": b"text", "a/c.py": b"code"}), "a/b.txt") == b"text"


@pytest.mark.parametrize("make", [wheel, sdist])
@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "C:/out.txt", "..\\out.txt"])
def test_a_name_that_climbs_out_is_refused_even_when_not_wanted(unpack, make, name):
    with pytest.raises(SourceError, match="leads out of it: refused"):
        unpack(make({name: b"x", "a.txt": b"y"}), "a.txt")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_tar_member_that_is_no_plain_file_is_refused(unpack, kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        entry = tarfile.TarInfo("a.txt")
        entry.type, entry.linkname = kind, "/etc/hostname"
        packed.addfile(entry)
    with pytest.raises(SourceError, match=r"a\.txt is no plain file: refused"):
        unpack(buffer.getvalue(), "a.txt")


def test_a_zip_member_that_is_a_link_is_refused(unpack):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        entry = zipfile.ZipInfo("a.txt")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(entry, "/etc/hostname")
    with pytest.raises(SourceError, match=r"a\.txt is no plain file: refused"):
        unpack(buffer.getvalue(), "a.txt")


@pytest.mark.parametrize("make", [wheel, sdist])
def test_a_bomb_is_refused_by_its_declared_size(unpack, make, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 10_000)
    with pytest.raises(SourceError, match="unpacks to over 10,000 bytes: refused"):
        unpack(make({"a.txt": bytes(20_000)}), "a.txt")


@pytest.mark.parametrize("make", [wheel, sdist])
def test_a_bomb_is_refused_by_what_really_comes_out(unpack, make, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 10_000)
    monkeypatch.setattr(archive, "_refuse_large", lambda *_: None)  # as if the header had lied
    with pytest.raises(SourceError, match="unpacks to over 10,000 bytes: refused"):
        unpack(make({"a.txt": bytes(20_000)}), "a.txt")


def test_a_tar_bomb_beside_the_wanted_member_is_refused(unpack, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 30_000)
    with pytest.raises(SourceError, match="unpacks to over"):
        unpack(sdist({"bomb": bytes(40_000), "a.txt": b"x"}), "a.txt")


def test_a_bomb_that_understates_its_size_is_refused(unpack):
    content = bytearray(wheel({"a.txt": bytes(20_000)}))
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (100).to_bytes(4, "little")
    with pytest.raises(SourceError, match=r"can't be unpacked|unpacks to over"):
        unpack(bytes(content), "a.txt")


@pytest.mark.parametrize("make", [wheel, sdist])
@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_truncated_archive_is_one_clear_line(unpack, make, keep):
    content = make({"a.txt": bytes(range(256)) * 100, "b.txt": b"y"})
    with pytest.raises(SourceError, match=r"can't be unpacked|has no member") as error:
        unpack(content[: int(len(content) * keep)], "b.txt")
    assert "\n" not in str(error.value)


def test_what_is_no_archive_is_one_clear_line(unpack):
    with pytest.raises(SourceError, match="damaged or no archive"):
        unpack(b"<html>not found</html>" * 100, "a.txt")
