"""A TCP proxy that does to answers what networks and dying peers do: it delays, slices, slows, freezes and cuts them."""

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from tests.fakes.threads import ServerThread

PIECE = 64 * 1024
# Of each connection so much of what its client says first is kept.
FIRST_BYTES = 16


@dataclass(frozen=True)
class Fault:
    """What is done to each connection's answer; as it stands nothing. Counts are bytes that have passed before it happens.

    `seconds_a_piece`: what each piece waits. `bytes_a_piece`: how many are written at once, 0 for as they came.
    `bytes_a_second`: the bandwidth, 0 for all there is. `reset_after`: both ends get a reset. `freeze_after`: nothing more
    comes, and nobody is told. `half_close_after`: the client is told that nothing more comes, and may go on sending.
    `idle_seconds`: a connection is closed when nothing has come for so long since its last answer, 0 for never.
    """

    seconds_a_piece: float = 0.0
    bytes_a_piece: int = 0
    bytes_a_second: int = 0
    reset_after: int | None = None
    freeze_after: int | None = None
    half_close_after: int | None = None
    idle_seconds: float = 0.0

    @property
    def passes(self) -> int | None:
        """After how many bytes something happens; None for never."""
        return next(
            (after for after in (self.reset_after, self.freeze_after, self.half_close_after) if after is not None), None
        )


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of an end."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class FaultProxy:
    """Listens on `port` and passes on to `target`; `fault` holds for what passes from then on."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.fault = Fault()
        # What the client of each connection said first.
        self.began: list[bytes] = []
        # How many connections there are now.
        self.open = 0
        self._thread = ServerThread(self._start)
        self.port = self._thread.port

    def clear(self) -> None:
        """Pass everything on as it comes, and forget who came."""
        self.fault = Fault()
        self.began.clear()

    def close(self) -> None:
        self._thread.close()

    async def _start(self) -> tuple[int, Callable[[], Awaitable[None]]]:
        serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._serve(reader, writer)
            except (OSError, asyncio.CancelledError):
                pass
            finally:
                writer.transport.abort()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Known from the start: a task that is cancelled before its first step closes nothing.
            task = asyncio.create_task(serve(reader, writer))
            serving[task] = writer
            self.open += 1
            task.add_done_callback(end)

        def end(task: asyncio.Task[None]) -> None:
            del serving[task]
            self.open -= 1

        server = await asyncio.start_server(begin, "127.0.0.1", 0)

        async def stop() -> None:
            server.close()
            left = dict(serving)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            for writer in left.values():
                writer.transport.abort()

        return server.sockets[0].getsockname()[1], stop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        asking = asyncio.create_task(self._pass_questions(reader, up_writer))
        answering = asyncio.create_task(self._pass_answers(up_reader, up_writer, writer))
        # A client that has said its end may still be answered; one that has gone breaks the writing.
        try:
            await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done() and not asking.result():
                return
            await answering
        finally:
            asking.cancel()
            answering.cancel()
            up_writer.transport.abort()
            await asyncio.gather(asking, answering, return_exceptions=True)

    async def _pass_questions(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the client came to its end, rather than broke off."""
        first = True
        try:
            while piece := await reader.read(PIECE):
                if first:
                    self.began.append(piece[:FIRST_BYTES])
                    first = False
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        except OSError:
            return False
        return True

    async def _pass_answers(
        self, reader: asyncio.StreamReader, up_writer: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        passed = 0
        async for came in self._pieces(reader):
            fault = self.fault
            piece = came if fault.passes is None else came[: max(fault.passes - passed, 0)]
            if fault.seconds_a_piece:
                await asyncio.sleep(fault.seconds_a_piece)
            if fault.bytes_a_second:
                await asyncio.sleep(len(piece) / fault.bytes_a_second)
            if piece:
                writer.write(piece)
                await writer.drain()
            passed += len(piece)
            if fault.passes is not None and passed >= fault.passes:
                await self._strike(fault, up_writer, writer)
                return
        writer.close()
        await writer.wait_closed()

    async def _pieces(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """What comes, in pieces as the fault wants them; it ends where the server does, or where idleness ends it."""
        anything = False
        while True:
            idle = self.fault.idle_seconds if anything and self.fault.idle_seconds else None
            try:
                came = await asyncio.wait_for(reader.read(PIECE), idle)
            except TimeoutError:
                return
            if not came:
                return
            anything = True
            length = self.fault.bytes_a_piece or len(came)
            for start in range(0, len(came), length):
                yield came[start : start + length]
                # Each piece shall leave by itself.
                await asyncio.sleep(0)

    async def _strike(self, fault: Fault, up_writer: asyncio.StreamWriter, writer: asyncio.StreamWriter) -> None:
        if fault.reset_after is not None:
            reset(up_writer)
            reset(writer)
            return
        if fault.half_close_after is not None:
            writer.write_eof()
        await asyncio.Event().wait()


class BlackHole:
    """A port whose backlog is full: whoever connects hears nothing, not even a refusal."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        # The kernel takes a few before it stops answering.
        self._fillers = [self._connect() for _ in range(8)]

    def _connect(self) -> socket.socket:
        filler = socket.socket()
        filler.setblocking(False)
        assert filler.connect_ex(("127.0.0.1", self.port)) in (0, errno.EINPROGRESS)
        return filler

    def close(self) -> None:
        for one in (*self._fillers, self._listener):
            one.close()
