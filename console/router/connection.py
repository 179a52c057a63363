"""One connection to the router: what the environment says of it, and what its refusals mean to a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from console.home import RUN
from router_client import DeadlineExceeded, NotAuthenticated, Router, RouterError, Tls, Unavailable, UnknownCall

# Seconds that an answer may take.
DEADLINE = 10.0
# What a channel's credentials are made of: an authority, and the caller's own key and certificate.
CREDENTIALS = ("EDGE_ROUTER_CA", "EDGE_ROUTER_KEY", "EDGE_ROUTER_CERT")
TOKEN = "EDGE_ROUTER_TOKEN"  # noqa: S105 - the name of the variable that holds it


class RouterProblem(Exception):
    """The router gave no answer; the text says what to do, `error` what it said."""

    def __init__(self, text: str, error: RouterError | None = None) -> None:
        self.error = error
        super().__init__(text)


@contextmanager
def connected(address: str, environment: Mapping[str, str], deadline: float = DEADLINE) -> Iterator[Router]:
    """The router, for as long as the context lasts; what fails in it is a RouterProblem.

    `environment` may hold EDGE_ROUTER_CA and its like; where it does not, the router is asked in plaintext, as the edge does.
    """
    authority, key, certificate = (_read(name, environment.get(name, "")) for name in CREDENTIALS)
    tls = None if authority is None else Tls(authority, certificate, key)
    try:
        router = Router(address, tls=tls, token=environment.get(TOKEN, ""), plaintext=tls is None, timeout=deadline)
    except ValueError as error:
        raise RouterProblem(f"The router at {address} cannot be asked: {error}.") from None
    with router:
        try:
            yield router
        except RouterError as error:
            raise RouterProblem(_explain(error, address, secure=tls is not None), error) from None


def _read(name: str, path: str) -> bytes | None:
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        raise RouterProblem(f"{name}: {path} cannot be read: {error.strerror}.") from None


def _explain(error: RouterError, address: str, *, secure: bool) -> str:
    if isinstance(error, NotAuthenticated):
        return f"The router at {address} wants a token: set EDGE_ROUTER_TOKEN to one that it knows."
    if isinstance(error, Unavailable | DeadlineExceeded) and not error.reason:
        hint = (
            "it must be one that EDGE_ROUTER_CA vouches for"
            if secure
            else "if it asks for TLS, EDGE_ROUTER_CA names its authority"
        )
        return f"No router answers at {address}. {RUN} starts one; --router or EDGE_ROUTER names another, and {hint}."
    if isinstance(error, UnknownCall):
        return str(error)
    return f"The router at {address} refused: {error}"
