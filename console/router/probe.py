"""Looks at the router from outside: does it answer, does it speak TLS, does it take our token, is it this release's."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from console.router.connection import TOKEN, RouterProblem, connected
from router_client import NotAuthenticated, Router, RouterError, ServerInfo, UnknownCall

SECONDS = 3.0
# The first byte of a TLS record that holds a handshake, and of one that holds an alert.
HANDSHAKE, ALERT = 0x16, 0x15
USUAL_PORT = 443

Admission = Literal["taken", "refused", "not asked"]


@dataclass(frozen=True, slots=True)
class Probed:
    """What was seen of the router; `info` is None where it is too old to say, `problem` the sentence of a call that failed."""

    address: str
    connects: bool
    speaks_tls: bool = False
    healthy: bool = False
    admission: Admission = "not asked"
    profiles: tuple[str, ...] = ()
    info: ServerInfo | None = None
    unknown_calls: tuple[str, ...] = ()
    problem: str = ""


def probe(address: str, environment: Mapping[str, str]) -> Probed:
    """Look at the router at a gRPC address."""
    place = _place(address)
    if place is not None and not _connects(*place):
        return Probed(address, connects=False)
    tls = place is not None and _speaks_tls(*place)
    try:
        with connected(address, environment, SECONDS) as router:
            if not router.is_serving():
                return Probed(address, connects=True, speaks_tls=tls)
            return _asked(router, tls, given=bool(environment.get(TOKEN)))
    except RouterProblem as problem:
        return Probed(address, connects=True, speaks_tls=tls, problem=str(problem))


def _asked(router: Router, tls: bool, *, given: bool) -> Probed:
    try:
        names = tuple(profile.name for profile in router.profiles())
        told, missing = _release(router)
    except RouterError as error:
        admission: Admission = "refused" if isinstance(error, NotAuthenticated) else "not asked"
        return Probed(router.target, True, tls, True, admission, problem=str(error))
    taken: Admission = "taken" if given else "not asked"
    return Probed(router.target, True, tls, True, taken, names, told, missing)


def _release(router: Router) -> tuple[ServerInfo | None, tuple[str, ...]]:
    """The router's release; where it is too old to say, which of the calls before that one it does not know."""
    try:
        return router.server_info(), ()
    except UnknownCall:
        pass
    # Each is asked for nothing at all.
    calls: dict[str, Callable[[], object]] = {
        "SelectModels": lambda: router.select_many(()),
        "ReportOutcomes": router.report_many,
        "ExplainDecision": lambda: router.explain(""),
        "ListModels": router.models,
    }
    missing = []
    for name, call in calls.items():
        try:
            call()
        except UnknownCall:
            missing.append(name)
        except RouterError:
            continue
    return None, tuple(missing)


def _place(address: str) -> tuple[str, int] | None:
    """The first host and port of a gRPC address, such as dns:///router:50051; None where it names a socket file."""
    if address.startswith(("unix:", "unix-abstract:")):
        return None
    first = address.rpartition("/")[2].removeprefix("ipv4:").removeprefix("ipv6:").removeprefix("dns:").split(",")[0]
    found = re.fullmatch(r"(.+?)(?::(\d+))?", first)
    return (found[1].strip("[]"), int(found[2] or USUAL_PORT)) if found else None


def _connects(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=SECONDS):
            return True
    except OSError:
        return False


def _speaks_tls(host: str, port: int) -> bool:
    """Whether the answer to the beginning of a TLS handshake is TLS; nothing is agreed on, and nothing trusted."""
    outgoing = ssl.MemoryBIO()
    beginning = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="router")
    with contextlib.suppress(ssl.SSLWantReadError):
        beginning.do_handshake()
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as connection:
            connection.sendall(outgoing.read())
            connection.settimeout(SECONDS)
            first = connection.recv(1)
    except OSError:
        return False
    return bool(first) and first[0] in (HANDSHAKE, ALERT)
