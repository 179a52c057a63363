"""What both clients have in common: where the router is, how long a call may take, and what a failure means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from router_client import failures
from router_client.calls import SECONDS, Call
from router_client.connection import USUAL_TARGET, Tls, Way, way
from router_client.errors import RouterError, Unavailable

# What is longer, infinity too, is a year: gRPC would take it for a time that is over.
LONGEST_SECONDS = 365 * 24 * 3600.0


class Client(ABC):
    """A way to the router's replicas, with the channel options that survive the loss of one."""

    def __init__(
        self,
        target: str = USUAL_TARGET,
        *,
        tls: Tls | None = None,
        token: str = "",
        plaintext: bool = False,
        timeout: float = SECONDS,
    ) -> None:
        """`target`: HOST:PORT or another gRPC target, such as dns:///router:50051 for all replicas behind a name.

        `tls`: for a router with ROUTER_TLS_CERT; without, only a target on loopback is reached, or any with `plaintext`, where
        nobody else is on the way. `token`: one that the router's ROUTER_TOKENS_FILE knows. `timeout`: seconds that a call may
        take unless it says otherwise; 5, and 35 at least for savings and spending. ValueError says what does not go together,
        OSError which file cannot be read.
        """
        self._way = way(target, tls, token, plaintext=plaintext)
        self._timeout = timeout
        self._closed = False
        self._connect(self._way)

    @abstractmethod
    def _connect(self, way: Way) -> None:
        """Open the channel; nothing is sent over it yet."""

    @property
    def target(self) -> str:
        """Where the router is."""
        return self._way.target

    def _seconds(self, call: Call[Any], timeout: float | None) -> float:
        return self._bounded(max(call.seconds or 0.0, self._timeout) if timeout is None else timeout)

    def _bounded(self, timeout: float | None) -> float:
        return min(self._timeout if timeout is None else timeout, LONGEST_SECONDS)

    def _check_open(self) -> None:
        if self._closed:
            raise RouterError("This client is closed; make another one.")

    def _error_of(self, failed: failures.Failed) -> RouterError:
        error = failures.error_of(failed, self.target, secure=self._way.secure)
        return self._broken_off() if error.status == "CANCELLED" else error

    def _broken_off(self) -> RouterError:
        """A call that was cancelled, and not by its caller."""
        if self._closed:
            return RouterError("The client was closed while the call was under way.", "CANCELLED")
        return Unavailable(f"The router at {self.target} broke the call off.", "CANCELLED")
