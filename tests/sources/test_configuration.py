"""The user's package indexes are read as pip and uv read them."""

from __future__ import annotations

import os
import sys

import pytest

from transferlm.errors import SourceError
from transferlm.sources import configuration
from transferlm.sources.configuration import configured

NOTHING = {"PIP_CONFIG_FILE": os.devnull}


@pytest.fixture
def machine(tmp_path, monkeypatch) -> dict[str, str]:
    """A machine whose folders of configuration all lie in `tmp_path`, as an environment for `configured`."""
    monkeypatch.setattr(configuration, "_MACHINE", tmp_path / "machine.conf")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "shared")}


@pytest.fixture
def pip_file(tmp_path, machine):
    def write(text: str) -> dict[str, str]:
        (tmp_path / "mine.conf").write_text(text)
        return machine | {"PIP_CONFIG_FILE": str(tmp_path / "mine.conf")}

    return write


@pytest.mark.skipif(os.name == "nt", reason="Windows has other places")
def test_a_nearer_file_wins(tmp_path, machine):
    places = ["machine.conf", "home/.pip/pip.conf", "home/.config/pip/pip.conf", "venv/pip.conf", "mine.conf"]
    environment = machine | {"PIP_CONFIG_FILE": str(tmp_path / "mine.conf")}
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f"[global]\nindex-url = https://x/{place}\n")
        assert configured(environment).indexes == (f"https://x/{place}",)


def test_pip_variables_win_over_uv_and_files(pip_file):
    environment = pip_file("[global]\nindex-url = https://from.file/simple\n")
    assert configured(environment).indexes[0] == "https://from.file/simple"
    environment |= {"UV_DEFAULT_INDEX": "https://from.uv/simple"}
    assert configured(environment).indexes[0] == "https://from.uv/simple"
    environment |= {"PIP_INDEX_URL": "https://from.pip/simple"}
    assert configured(environment).indexes[0] == "https://from.pip/simple"


def test_extra_indexes_of_all_tools_follow_once_each():
    environment = NOTHING | {
        "PIP_INDEX_URL": "https://a/simple",
        "PIP_EXTRA_INDEX_URL": "https://b/simple\n https://c/simple",
        "UV_INDEX": "inner=https://d/simple https://b/simple",
    }
    found = configured(environment).indexes
    assert found == ("https://a/simple", "https://b/simple", "https://c/simple", "https://d/simple")


def test_the_default_index_is_pips_own():
    from pip._internal.models.index import PyPI

    assert configured(NOTHING).indexes == (PyPI.simple_url,)


@pytest.mark.parametrize("setting", [{"PIP_NO_INDEX": "1"}, {"UV_NO_INDEX": "true"}])
def test_no_index_leaves_only_links(setting, tmp_path):
    found = configured(
        NOTHING | setting | {"PIP_FIND_LINKS": str(tmp_path), "UV_FIND_LINKS": "https://x/a,https://x/b"}
    )
    assert found.indexes == ()
    assert found.find_links == (tmp_path.as_uri(), "https://x/a", "https://x/b")


def test_a_commands_own_section_wins_in_a_file(pip_file):
    text = "[global]\nindex-url = https://a/simple\ntrusted-host =\n  a\n  b:8080\n"
    environment = pip_file(text + "[install]\nindex_url = https://b/simple\n")
    found = configured(environment)
    assert found.indexes[0] == "https://b/simple"
    assert found.trusted_hosts == {"a", "b:8080"}


def test_certificates_proxy_and_patience(pip_file, tmp_path):
    environment = pip_file("[global]\nproxy = http://proxy:3128\ntimeout = 60\n")
    environment |= {"SSL_CERT_FILE": "/system.pem", "REQUESTS_CA_BUNDLE": "/requests.pem"}
    found = configured(environment)
    assert (found.proxy, found.timeout, str(found.certificates)) == ("http://proxy:3128", 60.0, "/system.pem")
    assert str(configured(environment | {"PIP_CERT": "/mine.pem"}).certificates) == "/mine.pem"


def test_a_folder_is_an_index(tmp_path):
    assert configured(NOTHING | {"PIP_INDEX_URL": str(tmp_path)}).indexes == (tmp_path.as_uri(),)


@pytest.mark.parametrize(
    ("text", "message"),
    [("index-url = x\n", "mine.conf: pip's configuration can't be read"), ("[global]\ntimeout = soon\n", "'soon'")],
)
def test_a_configuration_that_cannot_be_read_is_one_clear_line(pip_file, text, message):
    with pytest.raises(SourceError, match=message) as error:
        configured(pip_file(text))
    assert "\n" not in str(error.value)
