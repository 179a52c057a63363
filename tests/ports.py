"""Ports for the processes that tests start: nobody else's between the moment they are chosen and the moment they are taken."""

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

# The kernel gives what it chooses itself, any client's port among it, from here on; below, nothing is taken by chance.
CHOSEN_BY_THE_KERNEL = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Each process that runs tests has blocks of its own: one, until it has used that up.
FIRST, BLOCK, BLOCKS = 20_000, 1_000, 12


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, and which this process has not been given before."""
    while (port := _next()) is not None:
        with socket.socket() as probe:
            # As servers do: what a connection that has ended has left behind keeps nobody from listening.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _next() -> int | None:
    with _one_at_a_time:
        return next(_ours, None)


def _block() -> Iterator[int]:
    """The ports of blocks that no other process on this machine has, one block after the other; none where there is none."""
    if (
        not sys.platform.startswith("linux")
        or int(CHOSEN_BY_THE_KERNEL.read_text().split()[0]) < FIRST + BLOCK * BLOCKS
    ):
        return
    for number in range(BLOCKS):
        # A name in no file system, which the kernel gives back when this process ends, however it does.
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0ports-of-tests-{number}")
        except OSError:
            claim.close()
            continue
        # Held as a bare number: it is never closed, on purpose.
        claim.detach()
        first = FIRST + BLOCK * number
        yield from range(first, first + BLOCK)


_ours, _one_at_a_time = _block(), threading.Lock()
