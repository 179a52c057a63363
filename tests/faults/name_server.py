"""A small DNS server over UDP whose addresses can be changed while it runs, and which can fall silent."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from tests.fakes.threads import ServerThread

ADDRESS, INTERNET = 1, 1
# An answer to a standard query, recursion available; and the same that says: no such name.
ANSWER, UNKNOWN = 0x8580, 0x8583
# A pointer to the name in the question.
THE_NAME = b"\xc0\x0c"
SECONDS_TO_KEEP = 1


class NameServer:
    """Answers for the names in `addresses`, unless it is `silent`; `asked` counts the questions for addresses."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.silent = False
        self.asked = 0
        self._thread = ServerThread(self._start)
        self.port = self._thread.port

    def close(self) -> None:
        self._thread.close()

    async def _start(self) -> tuple[int, Callable[[], Awaitable[None]]]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(self), ("127.0.0.1", 0))

        async def stop() -> None:
            transport.close()

        return transport.get_extra_info("sockname")[1], stop

    def answer(self, query: bytes) -> bytes:
        """The answer to one query, empty for none."""
        name, end = _name(query)
        (kind,) = struct.unpack_from("!H", query, end)
        self.asked += kind == ADDRESS
        if self.silent:
            return b""
        known = name in self.addresses
        found = self.addresses.get(name, []) if kind == ADDRESS else []
        head = struct.pack("!2sHHHHH", query[:2], ANSWER if known else UNKNOWN, 1, len(found), 0, 0)
        records = b"".join(
            THE_NAME + struct.pack("!HHIH", ADDRESS, INTERNET, SECONDS_TO_KEEP, 4) + socket.inet_aton(address)
            for address in found
        )
        return head + query[12 : end + 4] + records


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if answer := self._server.answer(data):
            self._transport.sendto(answer, addr)


def _name(query: bytes) -> tuple[str, int]:
    """The name that is asked for, and where it ends."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1
