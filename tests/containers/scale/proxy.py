"""Stands for a cluster's Service: takes connections and gives each to one of the replicas behind a name, in turn.

`python proxy.py NAME PORT` listens on 8080. As a Service does with a pod that is asked to stop, it sends an address nothing
new when told so on port 8081, by a line `leave ADDRESS`, until a line `take ADDRESS`. It runs in the edge's image and needs
Python alone.
"""

import asyncio
import itertools
import socket
import sys
import time
from contextlib import suppress

LISTEN, ADMIN = 8080, 8081
# Seconds that a name's addresses are used for, and that a replica has to take a connection.
FRESH, CONNECT = 1.0, 2.0
PIECE = 1 << 16


class Replicas:
    """The addresses behind a name, but for those that are being left."""

    def __init__(self, name: str, port: int) -> None:
        self._name = name
        self._port = port
        self._left: set[str] = set()
        self._known: list[str] = []
        self._looked = float("-inf")
        self._turn = itertools.count()

    def tell(self, word: str, address: str) -> None:
        """Leave an address, or take it again."""
        (self._left.add if word == "leave" else self._left.discard)(address)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the next that takes one; OSError where none does."""
        for _ in range(3):
            addresses = await self._addresses()
            start = next(self._turn)
            for place in range(len(addresses)):
                address = addresses[(start + place) % len(addresses)]
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(CONNECT):
                        return await asyncio.open_connection(address, self._port)
            self._looked = float("-inf")
        raise OSError(f"no {self._name} takes a connection")

    async def _addresses(self) -> list[str]:
        if time.monotonic() - self._looked > FRESH:
            with suppress(OSError):
                found = await asyncio.get_running_loop().getaddrinfo(
                    self._name, self._port, family=socket.AF_INET, type=socket.SOCK_STREAM
                )
                self._known, self._looked = sorted({entry[4][0] for entry in found}), time.monotonic()
        return [address for address in self._known if address not in self._left]


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes from one to the other until the first ends."""
    with suppress(OSError):
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def main(name: str, port: int) -> None:
    """Serve for ever."""
    replicas = Replicas(name, port)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            from_replica, to_replica = await replicas.connect()
            up = asyncio.create_task(relay(reader, to_replica))
            await relay(from_replica, writer)
            # Whoever has its answer sends no more; a client that left takes its replica's connection along.
            up.cancel()
            to_replica.close()
        writer.close()

    async def administer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).decode().split()
        if len(words) == 2:
            replicas.tell(*words)
        writer.write(b"done\n")
        writer.close()

    servers = [
        await asyncio.start_server(take, "0.0.0.0", LISTEN),
        await asyncio.start_server(administer, "0.0.0.0", ADMIN),
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
