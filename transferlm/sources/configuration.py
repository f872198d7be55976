"""The package indexes that the user has configured for pip or uv, read as those tools read them."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from transferlm.errors import SourceError

__all__ = ["Configuration", "configured"]

_SECTIONS = ("global", "install", "download")
"""Sections of pip's files that may name an index; a later one wins, as a command's own does for pip."""

_MACHINE = Path("/etc/pip.conf")
"""Read by pip on every system but Windows, before all else."""


@dataclass(frozen=True)
class Configuration:
    """How to reach package indexes.

    Attributes:
        indexes: Simple-index addresses in the order they are tried; folders are written as file: addresses.
        find_links: Folders or pages with links to files, tried before the indexes.
        certificates: A file of certificate authorities to trust instead of the system's.
        trusted_hosts: `host` or `host:port` whose certificate is not checked (the pinned hash still is).
        proxy: One proxy for everything, or None for those the environment names.
        timeout: Seconds of silence after which a connection counts as broken.
    """

    indexes: tuple[str, ...]
    find_links: tuple[str, ...]
    certificates: Path | None = None
    trusted_hosts: frozenset[str] = frozenset()
    proxy: str | None = None
    timeout: float = 30.0


def configured(environment: Mapping[str, str] = os.environ) -> Configuration:
    """What the user configured: `PIP_*` variables, then `UV_*` ones, then pip's files, then pip's default.

    The main index is the first that any of them names; extra indexes and links of all of them are added.

    Raises:
        SourceError: A configuration file can't be read, or a time-out is no number.
    """
    pip = _from_files(environment)
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            pip[name[4:].lower().replace("_", "-")] = value

    links = [
        *pip.get("find-links", "").split(),
        *environment.get("UV_FIND_LINKS", "").replace(",", " ").split(),
    ]
    indexes: list[str] = []
    if not (_is_true(pip.get("no-index")) or _is_true(environment.get("UV_NO_INDEX"))):
        main = (
            environment.get("PIP_INDEX_URL")
            or environment.get("UV_DEFAULT_INDEX")
            or environment.get("UV_INDEX_URL")
            or pip.get("index-url")
            or _default_index()
        )
        more = (
            pip.get("extra-index-url"),
            environment.get("UV_INDEX"),
            environment.get("UV_EXTRA_INDEX_URL"),
        )
        indexes = [main, *(address for value in more if value for address in value.split())]
    bundle = pip.get("cert") or next(
        (environment[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE") if environment.get(name)), None
    )
    return Configuration(
        indexes=tuple(dict.fromkeys(_address(index) for index in indexes)),
        find_links=tuple(dict.fromkeys(_address(link) for link in links)),
        certificates=Path(bundle) if bundle else None,
        trusted_hosts=frozenset(pip.get("trusted-host", "").split()),
        proxy=pip.get("proxy"),
        timeout=_seconds(pip.get("timeout") or pip.get("default-timeout") or "30"),
    )


def _from_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of pip's configuration files, a nearer file over a farther one."""
    settings: dict[str, str] = {}
    for file in _files(environment):
        if not file.is_file():
            continue
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError) as error:
            reason = str(error).replace("\n", " ")
            raise SourceError(f"{file}: pip's configuration can't be read ({reason}): correct it") from None
        for section in _SECTIONS:
            if parser.has_section(section):
                settings.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    return settings


def _files(environment: Mapping[str, str]) -> list[Path]:
    """Where pip looks, from the machine's file to the one that `PIP_CONFIG_FILE` names."""
    chosen = environment.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or Path.home())
    if sys.platform == "win32":
        machine = [Path(environment.get("PROGRAMDATA", "C:/ProgramData")) / "pip/pip.ini"]
        user = [
            home / "pip/pip.ini",
            Path(environment.get("APPDATA", home / "AppData/Roaming")) / "pip/pip.ini",
        ]
        virtual = [Path(sys.prefix) / "pip.ini"]
    else:
        shared = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        machine = [*(Path(folder) / "pip/pip.conf" for folder in shared.split(":")), _MACHINE]
        own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
        user = [home / ".pip/pip.conf", own]
        if sys.platform == "darwin":
            machine.insert(0, Path("/Library/Application Support/pip/pip.conf"))
            user.append(home / "Library/Application Support/pip/pip.conf")
        virtual = [Path(sys.prefix) / "pip.conf"]
    return [*machine, *user, *virtual, *([Path(chosen)] if chosen else [])]


def _default_index() -> str:
    """The index that pip uses when nothing is configured, as pip itself knows it.

    Raises:
        SourceError: There is no pip here to ask (environments that uv makes have none).
    """
    try:
        from pip._internal.models.index import PyPI
    except ImportError:
        raise SourceError("no package index is configured and pip is not installed: set PIP_INDEX_URL") from None
    return str(PyPI.simple_url)


def _address(place: str) -> str:
    """`place` as a URL: a folder as a file: address, a `name=` that uv allows before an index taken off."""
    name, equals, rest = place.partition("=")
    if equals and name.replace("-", "").replace("_", "").isalnum() and "://" in rest:
        place = rest
    return place if "://" in place or place.startswith("file:") else Path(place).expanduser().absolute().as_uri()


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in ("1", "true", "yes", "on", "y", "t")


def _seconds(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise SourceError(f"pip's time-out is {value!r}: set it to a number of seconds") from None
