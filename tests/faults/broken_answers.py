"""What may become of an answer with an edit: cut where it does most harm, garbled, replaced, delayed, or right."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from tests.fakes import provider as fake
from tests.fakes.behaviours import Behaviour, data_event, pieces, stream
from tests.fakes.breaking import after_reading
from tests.fakes.openai_chat import DONE

LINES = [f"Größe {number} → {number * number} µm" for number in range(1, 13)]
OLD = "\n".join(LINES) + "\n"
NEW = OLD.replace(LINES[2], LINES[2].upper()).replace(LINES[8], LINES[8].upper())
NAME = "sizes.txt"


@dataclass(frozen=True)
class Answer:
    """An answer that turns OLD into NEW: `begun` is as much of it as Aider could take for a whole one."""

    begun: str
    rest: str

    @property
    def whole(self) -> str:
        return self.begun + self.rest


def _block(line: str) -> str:
    return f"{NAME}\n```\n<<<<<<< SEARCH\n{line}\n=======\n{line.upper()}\n>>>>>>> REPLACE\n```\n"


_FILE = NEW.splitlines(keepends=True)
ANSWERS = {
    # Cut after five of twelve lines: taken as whole, the file would be those five.
    "whole": Answer(f"{NAME}\n```\n" + "".join(_FILE[:5]), "".join(_FILE[5:]) + "```\n"),
    # Cut after the first of two edits: taken as whole, the file would be half changed.
    "diff": Answer(_block(LINES[2]), "\n" + _block(LINES[8])),
}
# Made of the right answer, and of the event that a client has read the beginning.
Fault = Callable[[Answer, threading.Event], Behaviour]


def said(text: str) -> list[bytes]:
    """The events of a reply, as far as it has come."""
    return [data_event({"choices": [{"index": 0, "delta": {"content": piece}}]}) for piece in pieces(text, 40)]


def ended(reason: str = "stop") -> list[bytes]:
    """The events that end one."""
    return [data_event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}), DONE]


def right(answer: Answer) -> Behaviour:
    """The whole answer, or a commit's message."""
    return fake.saying(answer.whole)


def midway(then: Callable[[Answer], Sequence[bytes]], *, abort: bool = False) -> Fault:
    """The beginning, and when it has been read, so that nobody else can take over, these events and the end, or a reset."""
    return lambda answer, read: after_reading(read, said(answer.begun), then(answer), abort=abort)


ERROR = data_event({"error": {"message": "overloaded", "type": "server_error", "param": None, "code": None}})
ends_early = midway(lambda answer: ())
done_early = midway(lambda answer: (DONE,))
is_reset = midway(lambda answer: (), abort=True)
fails_midway = midway(lambda answer: (ERROR,))
held = midway(lambda answer: (*said(answer.rest), *ended()))


def fails_first(answer: Answer, read: threading.Event) -> Behaviour:
    return _sending([ERROR])


def too_long(answer: Answer, read: threading.Event) -> Behaviour:
    return _sending([*said(answer.begun), *ended("length")])


def falls_silent(answer: Answer, read: threading.Event) -> Behaviour:
    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        await stream(request, said(answer.begun))
        return await fake.silence(request, body)

    return behave


def only_comments(answer: Answer, read: threading.Event) -> Behaviour:
    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        response = await stream(request, said(answer.begun))
        while True:
            await response.write(b": still here\n\n")
            await asyncio.sleep(0.1)

    return behave


def line_without_end(answer: Answer, read: threading.Event) -> Behaviour:
    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        response = await stream(request, said(answer.begun))
        await response.write(b'data: {"choices":[{"index":0,"delta":{"content":"')
        while True:
            await response.write(b"x" * 65536)

    return behave


def plain_json(answer: Answer, read: threading.Event) -> Behaviour:
    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        message = {"index": 0, "message": {"role": "assistant", "content": answer.begun}, "finish_reason": "stop"}
        return web.json_response({"choices": [message]})

    return behave


def html_page(answer: Answer, read: threading.Event) -> Behaviour:
    return fake.page(200)


def refuses(status: int) -> Fault:
    return lambda answer, read: fake.refuse(status)


def byte_by_byte(answer: Answer, read: threading.Event) -> Behaviour:
    """Every byte by itself, so that letters of two and three bytes are cut, and so are `data:` and the ends of lines."""
    whole = b"".join([*said(answer.whole), *ended()])
    return _sending([whole[place : place + 1] for place in range(len(whole))])


def goes_on(answer: Answer, read: threading.Event) -> Behaviour:
    """A word now and then, and no end."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        response = await stream(request, said(answer.begun))
        for word in itertools.count():
            await response.write(said(f"{word}\n")[0])
            await asyncio.sleep(0.3)
        raise AssertionError("never reached")

    return behave


def _sending(events: Sequence[bytes]) -> Behaviour:
    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        return await stream(request, events)

    return behave
