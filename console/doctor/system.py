"""Looks at the running system: who holds the ports, what the edge and the gateway answer, whether the stores are there."""

from __future__ import annotations

import errno
import re
import socket
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from console.doctor.facts import Edge, Gateway, Held, Port, Store
from console.edge import Answer, get
from console.router.probe import probe

SECONDS = 3.0
OK, UNAUTHORIZED = 200, 401
# How the parts of this system answer to anybody, by the variable that says where they listen.
GATEWAY_SAYS = b"AI Gateway"
LISTENING = "0A"


def look_at_port(address: Mapping[str, Any], environment: Mapping[str, str]) -> Port:
    """Who holds an address that a part of the system listens on."""
    variable, used_by, host, port = (address[name] for name in ("variable", "used_by", "host", "port"))
    place = f"{host}:{port}"
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            # As the servers do: a port whose last connections still linger counts as free.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(where)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return Port(variable, used_by, place, "no address", error.strerror or str(error))
        held: Held = "ours" if _is_ours(variable, address["target"], environment) else "stranger"
        return Port(variable, used_by, place, held, _holder(port))
    return Port(variable, used_by, place, "free")


def _is_ours(variable: str, target: str, environment: Mapping[str, str]) -> bool:
    if variable == "ROUTER_LISTEN":
        seen = probe(target, environment)
        # One that we cannot speak to for want of its certificate or token is looked at as the router, not as a stranger.
        return seen.healthy or seen.speaks_tls
    if variable == "PORTKEY_LISTEN":
        return GATEWAY_SAYS in get(f"http://{target}/").body
    if variable == "EDGE_LISTEN":
        return _is_edge(get(f"http://{target}/readyz"))
    if variable == "EDGE_PAGE_LISTEN":
        return get(f"http://{target}/").status in (OK, UNAUTHORIZED)
    path = "metrics" if "METRICS" in variable else "healthz"
    return get(f"http://{target}/{path}").status == OK


def _holder(port: int) -> str:
    """The process that listens on a port, where the system tells; empty where it does not."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = [line.split() for line in Path(table).read_text(encoding="ascii").splitlines()[1:]]
        except OSError:
            continue
        inodes |= {row[9] for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port}
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        try:
            links = [str(link.readlink()) for link in (process / "fd").iterdir()]
            if any(f"socket:[{inode}]" in links for inode in inodes):
                return f"process {process.name}, {(process / 'comm').read_text(encoding='utf-8').strip()}"
        except OSError:
            continue
    return ""


def look_at_edge(address: str, key: str) -> tuple[Edge, tuple[tuple[str, float], ...]]:
    """What the edge says, and how far its clock is ahead of ours."""
    asked = time.time()
    state = get(f"{address}/readyz")
    clock = _ahead("the edge", state, asked)
    if not _is_edge(state):
        return Edge(address, answers=bool(state.status)), ()
    models = get(f"{address}/v1/models", {"Authorization": f"Bearer {key}"} if key else None)
    document = models.document
    entries = document.get("data", []) if isinstance(document, dict) else []
    names = tuple(str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry)
    return Edge(address, True, state.document, models.status, names), clock


def look_at_gateway(address: str, *, hosted: bool, online: bool) -> tuple[Gateway, tuple[tuple[str, float], ...]]:
    """What the Portkey gateway says; Portkey's own service is asked only where that is wished."""
    asked = not hosted or online
    parts = urlsplit(address)
    began = time.time()
    answer = get(f"{parts.scheme}://{parts.netloc}/") if asked else get("")
    near = not hosted and parts.hostname in ("127.0.0.1", "localhost", "::1")
    return Gateway(address, answer.status, hosted, asked), _ahead("the Portkey gateway", answer, began) if near else ()


def look_at_store(variable: str, url: str) -> Store:
    """Whether a Redis or a PostgreSQL answers; the address may hold a password, and is shown without."""
    try:
        parts = urlsplit(url)
        place = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or parts.path
        if parts.scheme.startswith("postgres"):
            return Store(variable, "PostgreSQL", place, _postgresql(url))
        return Store(variable, "Redis", place, _redis(url))
    except ValueError:
        return Store(
            variable,
            "store",
            "?",
            "it cannot be read as an address; write /, # and ? in a password as %2F, %23 and %3F",
        )


def _redis(url: str) -> str:
    import redis  # noqa: PLC0415 - of no use to the other commands

    client = redis.Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS)
    try:
        client.ping()
    except redis.AuthenticationError:
        return "it refuses the password"
    except redis.RedisError as error:
        return f"it does not answer ({type(error).__name__})"
    finally:
        client.close()
    return ""


def _postgresql(url: str) -> str:
    import psycopg  # noqa: PLC0415 - of no use to the other commands

    plain = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url)
    try:
        psycopg.connect(plain, connect_timeout=int(SECONDS)).close()
    except psycopg.Error as error:
        refused = "authentication" in str(error)
        return "it refuses the password" if refused else f"it does not answer ({type(error).__name__})"
    return ""


def _is_edge(answer: Answer) -> bool:
    return isinstance(answer.document, dict) and "decisions" in answer.document


def _ahead(who: str, answer: Answer, asked: float) -> tuple[tuple[str, float], ...]:
    """How far the clock of an answer's Date is ahead; the header has whole seconds, and no answer takes long."""
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return ()
    half = 0.5
    return ((who, theirs + half - (asked + time.time()) / 2),)
