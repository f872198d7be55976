"""Each line of the table can be fetched as it stands: whole hashes, matching file names, known conversions."""

from __future__ import annotations

import re

import pytest
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from transferlm.sources import SOURCES, Source
from transferlm.sources.convert import CONVERSIONS


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_a_source_is_pinned_and_described(source: Source):
    for package in source.packages:
        assert re.fullmatch(r"[0-9a-f]{64}", package.sha256)
        parse = parse_wheel_filename if package.filename.endswith(".whl") else parse_sdist_filename
        name, version = parse(package.filename)[:2]
        assert (name, str(version)) == (canonicalize_name(package.distribution), package.version)
    assert source.conversion is None or source.conversion in CONVERSIONS
    assert bool(source.extra) == bool(source.modules)
    assert not source.parts or len(source.parts) == len(source.packages)
    assert (source.kind == "model") == (source.loads_as is not None)
    assert source.licence
    assert source.size > 1_000_000


def test_no_pickle_is_kept_unconverted():
    unsafe = (".bin", ".pt", ".pkl", ".marshal", ".gguf", ".npy", ".npz")
    for source in SOURCES.values():
        if source.conversion is None:
            assert not [name for name in source.members.values() if name.endswith(unsafe)]


def test_what_is_for_research_only_says_so():
    assert [source.name for source in SOURCES.values() if source.research_only] == ["m3e-small"]
