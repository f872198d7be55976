"""Opening an address the way the user's package tools do: proxies, certificates, credentials, patience."""

from __future__ import annotations

import base64
import http.client
import netrc
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.response import addinfourl

from transferlm.errors import SourceError
from transferlm.sources.configuration import Configuration

__all__ = ["BROKEN", "Web", "patiently", "reason", "without_credentials"]

T = TypeVar("T")

WAITS = (0.5, 2.0, 5.0)
"""Seconds to wait before each further attempt after a connection broke."""

BROKEN = (OSError, http.client.HTTPException)
"""What urllib raises when a server can't be reached, refuses, or stops in the middle."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers that another attempt may turn into a good one."""


class Web:
    """Opens `http`, `https` and `file` addresses for one configuration."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._credentials = _Credentials((*configuration.indexes, *configuration.find_links))
        handlers: list[urllib.request.BaseHandler] = [self._credentials, _Https(configuration)]
        if configuration.proxy:
            handlers.append(urllib.request.ProxyHandler(dict.fromkeys(("http", "https"), configuration.proxy)))
        self._opener = urllib.request.build_opener(*handlers)

    def open(self, address: str, headers: dict[str, str] | None = None) -> addinfourl:
        """Open `address` once; credentials written into it are sent as a header, to its own host only.

        Raises:
            OSError, http.client.HTTPException: The server can't be reached or refuses (`BROKEN`).
        """
        if urlsplit(address).scheme not in ("http", "https", "file"):
            raise urllib.error.URLError(f"{without_credentials(address)} is neither http, https nor file")
        request = urllib.request.Request(without_credentials(address), headers=headers or {})  # noqa: S310
        request.add_header("User-Agent", "transferlm")
        answer: addinfourl = self._opener.open(request, timeout=self.configuration.timeout)
        return answer


def patiently(action: Callable[[], T]) -> T:
    """Do `action`, again after a wait where a connection broke in a way that may pass."""
    for wait in WAITS:
        try:
            return action()
        except BROKEN as error:
            if not _may_pass(error):
                raise
            time.sleep(wait)
    return action()


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _PASSING
    if isinstance(error, urllib.error.URLError):
        return isinstance(error.reason, ConnectionError | TimeoutError)
    return isinstance(error, ConnectionError | TimeoutError | http.client.HTTPException)


def reason(error: BaseException) -> str:
    """Why an address could not be opened, in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        inner = error.reason
        return reason(inner) if isinstance(inner, BaseException) else str(inner)
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    return " ".join(str(error).split()) or type(error).__name__


def without_credentials(address: str) -> str:
    """`address` without a user and password, fit for a message."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class _Credentials(urllib.request.BaseHandler):
    """Adds a Basic authorisation for each host that an index address or ~/.netrc has one for.

    It runs anew for a redirected request, so that one host's password is never sent to another.
    """

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._known: dict[str, tuple[str, str]] = {}
        for address in addresses:
            user, at, host = urlsplit(address).netloc.rpartition("@")
            if at:
                name, _, password = user.partition(":")
                self._known[host] = (unquote(name), unquote(password))

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        found = self._known.get(request.host) or _from_netrc(request.host)
        if found and not request.has_header("Authorization"):
            token = base64.b64encode(":".join(found).encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {token}")
        return request

    https_request = http_request


def _from_netrc(host: str) -> tuple[str, str] | None:
    try:
        entry = netrc.netrc(os.environ.get("NETRC")).authenticators(host.partition(":")[0])
    except (OSError, netrc.NetrcParseError):  # none, or one that is not for us to judge: pip goes on as well
        return None
    return (entry[0], entry[2] or "") if entry else None


class _Https(urllib.request.HTTPSHandler):
    """Checks certificates against the configured authorities, save for hosts that the user trusts without."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self._trusted = configuration.trusted_hosts
        self._bundle = configuration.certificates
        self._checking: ssl.SSLContext | None = None

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        host = request.host
        if host in self._trusted or host.partition(":")[0] in self._trusted:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        else:
            context = self._checking = self._checking or _checking_context(self._bundle)
        return self.do_open(http.client.HTTPSConnection, request, context=context)


def _checking_context(bundle: Path | None) -> ssl.SSLContext:
    try:
        if bundle is not None:
            folder = bundle.is_dir()
            return ssl.create_default_context(
                cafile=None if folder else str(bundle), capath=str(bundle) if folder else None
            )
        context = ssl.create_default_context()
        system = ssl.get_default_verify_paths()
        if not (system.cafile or system.capath):  # a Python built without a system's authorities
            import certifi

            context.load_verify_locations(certifi.where())
    except ImportError:
        return context
    except OSError as error:
        raise SourceError(f"{bundle}: the configured certificates can't be read ({reason(error)})") from None
    return context
