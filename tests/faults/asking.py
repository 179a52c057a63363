"""Asks an edge as a client would, and says what came back, however it broke off."""

import asyncio
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from tests.processes import NEVER

PATH = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hello"}]
# The client says that it retries by itself, as Aider's does, so that nobody else should.
RETRIES_ITSELF = {"x-stainless-retry-count": "0"}


@dataclass(frozen=True)
class Answer:
    """One answer; `broken`: its connection broke off before its end, `status` is 0 where none came."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    broken: bool = False

    @property
    def error(self) -> dict:
        """The error object, of a plain body or of a stream's last event; empty for none."""
        last = self.body.rstrip().rpartition(b"\n\n")[2].removeprefix(b"data: ")
        try:
            document = json.loads(last)
        except ValueError:
            return {}
        return document.get("error") or {} if isinstance(document, dict) else {}

    @property
    def code(self) -> str:
        return self.error.get("code") or ""

    @property
    def source(self) -> str:
        """Who decided."""
        return self.headers.get("x-router-source", "")

    @property
    def served(self) -> str:
        """The model that answered."""
        return self.headers.get("x-served-model", "")

    def told(self) -> str:
        """The status, and its code or who decided, in a word."""
        return f"{self.status or 'no answer'} {self.code or ('broken off' if self.broken else self.source)}".strip()


async def ask(
    url: str, *, headers: Mapping[str, str] | None = None, read: threading.Event | None = None, **body: object
) -> Answer:
    """The answer to one request on a connection of its own; `read` is set as soon as a part of it has come."""
    async with aiohttp.ClientSession() as session:
        return await ask_through(session, url, headers=headers, read=read, **body)


async def ask_through(
    session: aiohttp.ClientSession,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    read: threading.Event | None = None,
    **body: object,
) -> Answer:
    """The same on a session's connections."""
    started = time.monotonic()
    # Each a conversation of its own, so that no pin of one row shows in another.
    headers = {"x-session-id": uuid.uuid4().hex, **(headers or {})}
    sent = {"model": "auto", "messages": MESSAGES, **body}
    status, told, came = 0, {}, bytearray()
    broken = False
    try:
        async with session.post(url + PATH, json=sent, headers=headers) as answer:
            status, told = answer.status, {name.lower(): value for name, value in answer.headers.items()}
            async for piece in answer.content.iter_any():
                came += piece
                if read is not None:
                    read.set()
    except (aiohttp.ClientError, OSError):
        broken = True
    return Answer(status, told, bytes(came), time.monotonic() - started, broken)


@dataclass
class Load:
    """Clients that ask all the time, and what became of it."""

    answers: list[Answer] = field(default_factory=list)
    stopped: bool = False

    def failed(self) -> list[str]:
        return [answer.told() for answer in self.answers if answer.status != 200 or answer.broken]

    def without_router(self) -> list[str]:
        """The reasons of those that no router decided."""
        return [answer.headers.get("x-router-reason", "") for answer in self.answers if answer.source == "edge_default"]

    def slowest(self) -> float:
        return max(answer.seconds for answer in self.answers)

    async def reaches(self, count: int) -> None:
        """Wait until so many more requests have been answered."""
        wanted = len(self.answers) + count
        await until(lambda: len(self.answers) >= wanted, f"{count} more answers")


@asynccontextmanager
async def load(url: str, clients: int = 8, pause: float = 0.03, **body: object) -> AsyncIterator[Load]:
    """So many clients that ask while the block runs; at its end all that they have asked is answered."""
    running = Load()

    async def keep_asking() -> None:
        while not running.stopped:
            running.answers.append(await ask_through(session, url, **body))
            await asyncio.sleep(pause)

    async with aiohttp.ClientSession() as session:
        callers = [asyncio.create_task(keep_asking()) for _ in range(clients)]
        try:
            yield running
        finally:
            running.stopped = True
            await asyncio.gather(*callers)


async def until(condition: Callable[[], object], what: str, seconds: float = NEVER) -> None:
    """Poll until something holds, without holding up what runs beside it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.02)
