"""Stands before a process and passes every byte on, both ways: it knows what has gone by, and how often was asked."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.fakes.threads import ServerThread
from tests.faults.fault_proxy import reset


class Tap:
    """A TCP proxy on a port of its own; who breaks off on one side is felt as such on the other."""

    def __init__(self, port: int) -> None:
        """`port`: where on this machine what it stands before listens, whenever somebody comes."""
        self._target = port
        # Awaited with what a client sends, before it is passed on.
        self.before: Callable[[bytes], Awaitable[None]] | None = None
        self.up, self.down = bytearray(), bytearray()
        self._thread = ServerThread(self._start)
        self.port = self._thread.port

    def forget(self) -> None:
        """Forget what has gone by."""
        self.up.clear()
        self.down.clear()

    def posts(self) -> int:
        """How many HTTP requests with a body have gone by."""
        return self.up.count(b"POST /")

    def close(self) -> None:
        self._thread.close()

    async def _start(self) -> tuple[int, Callable[[], Awaitable[None]]]:
        self._serving: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

        async def stop() -> None:
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

        return server.sockets[0].getsockname()[1], stop

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            server_in, server_out = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            reset(client_out)
            self._serving.discard(task)
            return
        ways = (
            asyncio.create_task(self._pass_on(client_in, server_out, self.up)),
            asyncio.create_task(self._pass_on(server_in, client_out, self.down)),
        )
        try:
            await asyncio.gather(*ways)
        except (OSError, asyncio.CancelledError):
            # A client that goes and a server that is killed break off; a reset says so to the other one.
            reset(client_out)
            reset(server_out)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            client_out.close()
            server_out.close()
            self._serving.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray) -> None:
        while data := await reader.read(65536):
            seen += data
            if seen is self.up and self.before is not None:
                await self.before(data)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
