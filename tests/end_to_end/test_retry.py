"""A reply that is lost on its way to the real Aider: Aider asks again, and is answered without asking a provider again."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.aider_runs import Repository, finished
from tests.fakes.threads import ServerThread
from tests.processes import log_events

END_OF_STREAM = b"\r\n0\r\n\r\n"
CALC = "def add(a, b):\n    return a + b\n"


class LosingProxy:
    """Passes everything on, but for the end of the first streamed answer: it takes that whole, gives half, and breaks off."""

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (address.hostname or "", address.port or 0)
        self._lost = False
        self._thread = ServerThread(self._start)
        self.url = f"http://127.0.0.1:{self._thread.port}{address.path}"

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
        edge_in, edge_out = await asyncio.open_connection(*self._target)
        up = asyncio.create_task(self._pass_on(client_in, edge_out))
        try:
            await self._answer(edge_in, client_out)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)
            for writer in (edge_out, client_out):
                writer.transport.abort()
            self._serving.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def _answer(self, edge: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        held = b""
        while data := await edge.read(65536):
            held += data
            streamed = b"text/event-stream" in held.partition(b"\r\n\r\n")[0]
            if streamed and not self._lost:
                if held.endswith(END_OF_STREAM):
                    self._lost = True
                    await self._break_off(client, held[: len(held) // 2])
                    return
                continue
            client.write(held)
            held = b""
            await client.drain()

    async def _break_off(self, client: asyncio.StreamWriter, some: bytes) -> None:
        client.write(some)
        await client.drain()
        # Closed with this, a socket sends a reset.
        client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.transport.abort()


@pytest.fixture
def losing(demo) -> Iterator[LosingProxy]:
    proxy = LosingProxy(demo.url)
    yield proxy
    proxy.close()


def test_aiders_retry_is_answered_again_and_its_edit_lands(repository: Repository, demo, losing):
    repository.write("calc.py", CALC)
    repository.git("add", ".")
    repository.git("commit", "-qm", "start")
    before = len(finished(demo.edge.text()))
    said = repository.aider(losing.url, "rename add to plus", "--stream", "calc.py")
    assert repository.read("calc.py") == CALC.replace("add", "plus"), said
    assert len(repository.subjects()) == 2, said
    asked = [entry["purpose"] for entry in finished(demo.edge.text())[before:]]
    assert asked == ["code", "commit"]
    (again,) = [entry for entry in log_events(demo.edge, "answered_again") if entry["purpose"] == "code"][-1:]
    assert again["decision_id"] == finished(demo.edge.text())[before]["decision_id"]
