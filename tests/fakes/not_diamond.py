"""Not Diamond's API as it was recorded, and every way in which it has been seen or feared to fail, over a raw socket."""

import asyncio
import email
import json
from collections.abc import Awaitable, Callable

from tests.fakes.threads import ServerThread

Answer = Callable[[dict, asyncio.StreamWriter], Awaitable[None]]


def reply(status: int, body: bytes, content_type: str = "application/json", **headers: str) -> Answer:
    """One whole HTTP answer."""

    async def write(_: dict, writer: asyncio.StreamWriter) -> None:
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return write


def recommend(provider: str, model: str) -> Answer:
    """The answer of a good day."""
    document = {"providers": [{"provider": provider, "model": model}], "session_id": "sess-1"}
    return reply(200, json.dumps(document).encode())


def document(value: object) -> Answer:
    """A 200 with any JSON."""
    return reply(200, json.dumps(value).encode())


async def hang(_: dict, writer: asyncio.StreamWriter) -> None:
    """Accept, read, and say nothing."""
    await asyncio.Event().wait()


async def reset(_: dict, writer: asyncio.StreamWriter) -> None:
    """Drop the connection."""
    writer.transport.abort()


async def drip(_: dict, writer: asyncio.StreamWriter) -> None:
    """A good answer, a byte every tenth of a second: no read time-out ever notices."""
    body = json.dumps({"providers": [{"provider": "a", "model": "b"}], "session_id": "s"}).encode()
    writer.write(f"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode())
    for byte in body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


def form(content_type: str, raw: bytes) -> dict[str, str]:
    """The parts of a multipart form by name."""
    message = email.message_from_bytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + raw)
    parts = message.get_payload()
    assert isinstance(parts, list), "not a form of several parts"
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode() for part in parts
    }


def list_of(models: list[str]) -> list[dict[str, str]]:
    """Models as its list tells them."""
    named = (model.split("/", 1) for model in models)
    return [{"provider": provider, "model": name} for provider, name in named]


class FakeNotDiamond:
    """Serves POST /v2/modelRouter/modelSelect with `answer`, and keeps what it was asked.

    POST /v2/pzn/trainCustomRouter is served with `training`; `uploads` are the parts of the forms that came. `models` is its
    list of models, None when it keeps that to itself.
    """

    def __init__(self) -> None:
        self.answer: Answer = reply(500, b"{}")
        self.training: Answer = document({"preference_id": "pref-1"})
        self.models: list[str] | None = None
        self.seen: list[tuple[str, dict[str, str], dict]] = []
        self.uploads: list[dict[str, str]] = []
        self._thread = ServerThread(self._start)
        self.url = f"http://127.0.0.1:{self._thread.port}"

    def close(self) -> None:
        self._thread.close()

    async def _start(self) -> tuple[int, Callable[[], Awaitable[None]]]:
        connections: set[asyncio.Task] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.add(asyncio.current_task())
            try:
                await self._serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.transport.abort()
                connections.discard(asyncio.current_task())

        server = await asyncio.start_server(serve, "127.0.0.1", 0)

        async def stop() -> None:
            server.close()
            for task in set(connections):
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

        return server.sockets[0].getsockname()[1], stop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            request_line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            raw = await reader.readexactly(int(headers.get("content-length", "0")))
            if request_line.startswith("POST /v2/pzn/trainCustomRouter "):
                self.uploads.append(form(headers["content-type"], raw))
                await self.training({}, writer)
                continue
            body = json.loads(raw or b"{}")
            if request_line.startswith("GET "):
                # While it keeps its list of models to itself, everything is offered.
                listing = reply(404, b"{}") if self.models is None else document({"models": list_of(self.models)})
                await listing(body, writer)
                continue
            self.seen.append((request_line, headers, body))
            await self.answer(body, writer)
