"""Reads HOST:PORT values and tells whether an address can still be listened on."""

import errno
import socket
from dataclasses import dataclass

from launcher.errors import LaunchError

HIGHEST_PORT = 65535
EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class Address:
    """Where a process listens, the variable that says so, and what it is called."""

    variable: str
    used_by: str
    host: str
    port: int

    @property
    def target(self) -> str:
        """HOST:PORT as a client on this machine writes it."""
        host = EVERY_INTERFACE.get(self.host, self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_address(variable: str, used_by: str, value: str) -> Address:
    """Reads "127.0.0.1:8080" or "[::1]:8080"."""
    host, colon, digits = value.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    port = int(digits) if digits.isascii() and digits.isdigit() else 0
    if not (colon and host and 0 < port <= HIGHEST_PORT):
        raise LaunchError(
            f"{variable} must be HOST:PORT with a port from 1 to {HIGHEST_PORT}, "
            f'for example 127.0.0.1:8080; it is "{value}".'
        )
    return Address(variable, used_by, host, port)


def is_free(address: Address) -> bool:
    """Whether it can be listened on."""
    return _bind_problem(address) is None


def require_free(addresses: list[Address]) -> None:
    """Fails with one sentence for the first address that is taken, named twice or not of this machine."""
    taken: dict[int, Address] = {}
    for address in addresses:
        if other := taken.get(address.port):
            raise LaunchError(
                f"{other.variable} and {address.variable} both name port {address.port}; give each its own."
            )
        taken[address.port] = address
        problem = _bind_problem(address)
        if problem and problem.errno == errno.EADDRINUSE:
            raise LaunchError(
                f"Port {address.port} ({address.used_by}) is already in use; free it or set "
                f"{address.variable}={_next_port(address)}."
            )
        if problem:
            raise LaunchError(
                f"The {address.used_by} cannot listen on {address.host}:{address.port} "
                f"({problem.strerror}); set {address.variable} to another address."
            )


def _bind_problem(address: Address) -> OSError | None:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the servers do: a port whose last connections still linger (TIME_WAIT) counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen(1)
    except OSError as error:
        return error
    return None


def _next_port(address: Address) -> str:
    port = address.port + 1 if address.port < HIGHEST_PORT else address.port - 1
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{port}"
