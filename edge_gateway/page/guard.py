"""Stands before the page: from which names it is served, to whom, whose forms it takes, and what a browser may do with it."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from functools import partial

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_gateway.access.entries import Key
from edge_gateway.access.keys import Keys
from edge_gateway.errors import GatewayError

# Where the key that came along is kept for whoever answers.
KEY = "edge_gateway.page.key"
# Asks whether that key is still good.
STILL_GOOD = "edge_gateway.page.key_still_good"
SAFE = frozenset({"GET", "HEAD"})
STRANGE = frozenset({"cross-site", "same-site"})
HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # With no-referrer a browser names no origin with a form, not even its own.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
NO_STORE = "no-store"


class Names:
    """The names that the page answers to. A page elsewhere may have a name of its own lead here, which is none of these."""

    def __init__(self, host: str, *, guarded: bool) -> None:
        """`host`: where it listens, without the port; `guarded`: a key is asked for, which no other name's page has."""
        self._host = host.lower()
        self._near = is_loopback(host)
        self._any = guarded and not self._near

    def good(self, host: str) -> bool:
        """Whether a request may name this host."""
        name = _without_port(host.strip().lower())
        if not name:
            return False
        if self._any or name == self._host or is_loopback(name):
            return True
        # What is no name leads nowhere else.
        return not self._near and _is_address(name)


class Guard:
    """Refuses what must not reach the page, and marks what comes of it."""

    def __init__(self, app: ASGIApp, names: Names, keys: Keys | None) -> None:
        """`keys`: None where none is asked for."""
        self._app = app
        self._names = names
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered."""
        if scope["type"] != "http":
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", NO_STORE)
            await send(message)

        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        await (refused or self._app)(scope, receive, marked)

    def _refused(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._names.good(hosts[0]):
            text = "This page is served on this machine's own names alone, such as 127.0.0.1 or localhost.\n"
            return PlainTextResponse(text, 421)
        if self._keys is not None:
            try:
                scope[KEY] = _key(self._keys, headers)
                scope[STILL_GOOD] = partial(_is_good, self._keys, headers)
            except GatewayError:
                asking = {
                    "www-authenticate": 'Basic realm="Model router: any name, a key as password", charset="UTF-8"'
                }
                text = "This page needs one of the gateway's keys: any user name, the key as password.\n"
                return PlainTextResponse(text, 401, asking)
        # A frame is a navigation too, and all that it would show is work.
        followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") in (None, "document")
        if headers.get("sec-fetch-site") in STRANGE and not followed:
            return PlainTextResponse("Other sites may link to this page, and nothing else.\n", 403)
        if scope["method"] not in SAFE and not _own(headers, hosts[0]):
            return PlainTextResponse("A form of another site is not taken here.\n", 403)
        return None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key(keys: Keys, headers: Headers) -> Key:
    """The key that came as a password, or as API clients send it; a GatewayError where there is no valid one."""
    given = headers.getlist("authorization")
    scheme, _, word = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        return keys.find(headers)
    try:
        password = base64.b64decode(word.strip(), validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        password = ""
    return keys.find({"authorization": f"Bearer {password}"})


def _is_good(keys: Keys, headers: Headers) -> bool:
    try:
        _key(keys, headers)
    except GatewayError:
        return False
    return True


def _own(headers: Headers, host: str) -> bool:
    """Whether a form was sent from this page, or by what is no browser."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        # No page can forge it, and a proxy before this one changes the host.
        return site == "same-origin"
    return origin is None or origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
