"""Streams that go wrong once their model has begun, so that nobody else can take over, and streams that only look as if."""

import asyncio
import json
import threading

from aiohttp import web

from tests.fakes import provider as fake
from tests.fakes.behaviours import Behaviour
from tests.fakes.breaking import after_reading
from tests.faults.asking import RETRIES_ITSELF, Answer, ask
from tests.faults.edge_log import line_of
from tests.faults.fault_proxy import Fault
from tests.faults.machine import resident
from tests.faults.provider_answers import WHOLE, told
from tests.faults.row import Seen
from tests.faults.stage import LONGER, PATIENCE, Stage
from tests.processes import NEVER

BEGUN = fake.EVENTS[:2]
TEXT = b"".join(BEGUN)


async def broken(stage: Stage, behave: Behaviour, read: threading.Event | None = None, url: str = "") -> Answer:
    """What comes of a stream that goes wrong after its beginning; nobody else may be asked, and no end be made up."""
    stage.provider.script["first"] = behave
    answer = await ask(url or stage.system.url, stream=True, read=read)
    assert answer.status == 200
    assert answer.body.startswith(TEXT), answer.body
    assert b"[DONE]" not in answer.body
    assert answer.error, "no error event at the stream's end"
    assert stage.provider.models_tried() == ["first"]
    return answer


async def an_error_event(stage: Stage) -> Seen:
    read = threading.Event()
    event = b"data: " + json.dumps({"error": {"message": "overloaded", "code": "overloaded_error"}}).encode() + b"\n\n"
    answer = await broken(stage, after_reading(read, BEGUN, [event]), read)
    assert answer.body == TEXT + event
    assert (await line_of(stage.system.edge, answer))["outcome"] == "provider_failed"
    return told(answer)


async def a_clean_end_without_a_finish(stage: Stage) -> Seen:
    answer = await broken(stage, fake.cut_after(2, abort=False))
    assert "Do not use it" in answer.error["message"]
    assert (await line_of(stage.system.edge, answer))["outcome"] == "provider_failed"
    return told(answer)


async def done_without_a_finish(stage: Stage) -> Seen:
    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        return await fake.stream(request, (*BEGUN, b"data: [DONE]\n\n"))

    return told(await broken(stage, behave))


async def a_reset_behind_portkey(stage: Stage) -> Seen:
    read = threading.Event()
    return told(await broken(stage, after_reading(read, BEGUN, abort=True), read))


async def cut_on_the_wire(stage: Stage, fault: Fault, url: str = "") -> Seen:
    """The wire fails within an event that has partly passed: what is left of it must not reach the client."""
    read = threading.Event()

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        response = await fake.stream(request, (*BEGUN, fake.EVENTS[2][:30]))
        await asyncio.to_thread(read.wait, NEVER)
        stage.wire.fault = fault
        await response.write(fake.EVENTS[2][30:] + fake.EVENTS[3])
        return response

    stage.provider.script["first"] = behave
    url = url or stage.system.url
    answer = await ask(url, headers=RETRIES_ITSELF, read=read, model="far/first", stream=True)
    came, _, _ = answer.body.rstrip(b"\n").rpartition(b"\n\n")
    assert came + b"\n\n" == TEXT
    assert answer.error
    assert stage.provider.models_tried() == ["first"]
    return told(answer)


async def a_reset_on_the_wire(stage: Stage) -> Seen:
    return await cut_on_the_wire(stage, Fault(reset_after=0))


async def a_freeze_on_the_wire(stage: Stage) -> Seen:
    return await cut_on_the_wire(stage, Fault(freeze_after=0), stage.hasty.url)


async def a_half_close_on_the_wire(stage: Stage) -> Seen:
    return await cut_on_the_wire(stage, Fault(half_close_after=0))


async def silence(stage: Stage) -> Seen:
    async def stall(request: web.Request, body: dict) -> web.StreamResponse:
        response = await fake.stream(request, BEGUN)
        await asyncio.Event().wait()
        return response

    return told(await broken(stage, stall, url=stage.hasty.url))


def repeating(first: tuple[bytes, ...], then: bytes, pause: float = 0.1) -> Behaviour:
    """These events, and then the same one for ever."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        response = await fake.stream(request, first)
        while True:
            await response.write(then)
            await asyncio.sleep(pause)

    return behave


async def comments_for_ever(stage: Stage) -> Seen:
    answer = await broken(stage, repeating(BEGUN, b": still here\n\n"), url=stage.hasty.url)
    # The bound shows that they were no progress; that they came shows that they were relayed.
    assert b": still here" in answer.body
    assert answer.seconds >= PATIENCE
    return told(answer)


async def comments_before_the_first_token(stage: Stage) -> Seen:
    stage.provider.script["first"] = repeating((), b": PROCESSING\n\n")
    answer = await ask(stage.longer.url, stream=True)
    assert (answer.body, answer.served) == (WHOLE, "fake/second")
    return told(answer)


async def endless(stage: Stage) -> Seen:
    piece = b'data: {"id":"c1","choices":[{"index":0,"delta":{"content":"more "},"finish_reason":null}]}\n\n'
    with stage.edge(EDGE_TOTAL_TIMEOUT_SECONDS="3") as brief:
        return told(await broken(stage, repeating(BEGUN, piece), url=brief.url))


async def relayed(stage: Stage, fault: Fault, url: str = "") -> Seen:
    """Each byte has to come, in its place, whatever the pieces."""
    stage.wire.fault = fault
    slowest = 0.0
    for streamed in (True, False):
        answer = await ask(url or stage.system.url, headers=RETRIES_ITSELF, model="far/first", stream=streamed)
        assert answer.body == (WHOLE if streamed else fake.PLAIN)
        slowest = max(slowest, answer.seconds)
    return Seen(answer.told(), slowest)


async def one_byte_a_write(stage: Stage) -> Seen:
    return await relayed(stage, Fault(bytes_a_piece=1))


async def cut_within_letters_and_words(stage: Stage) -> Seen:
    """Pieces of 1 to 7 bytes fall within every `data:`, every boundary and both bytes of each umlaut."""
    slowest = 0.0
    for length in (2, 3, 5, 7):
        seen = await relayed(stage, Fault(bytes_a_piece=length, seconds_a_piece=0.001))
        slowest = max(slowest, seen.seconds)
    return Seen(seen.said, slowest)


async def slow_and_steady(stage: Stage) -> Seen:
    """So few bytes a second take longer than every time-out, and yet nothing ever falls silent."""
    seen = await relayed(stage, Fault(bytes_a_second=150, bytes_a_piece=15), stage.longer.url)
    assert seen.seconds > LONGER
    return seen


async def an_end_that_never_closes(stage: Stage) -> Seen:
    async def linger(request: web.Request, body: dict) -> web.StreamResponse:
        response = await fake.stream(request, fake.EVENTS)
        await asyncio.Event().wait()
        return response

    stage.provider.script["first"] = linger
    answer = await ask(stage.hasty.url, stream=True)
    assert answer.body == WHOLE
    assert (await line_of(stage.hasty.edge, answer))["outcome"] == "completed"
    return told(answer)


def endless_line(sent: list[int]) -> Behaviour:
    """A beginning, and then a line that never ends; `sent` counts its bytes."""
    mebibyte = b"x" * 2**20

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        response = await fake.stream(request, BEGUN)
        await response.write(b'data: {"')
        while sent[0] < 2**30:
            await response.write(mebibyte)
            sent[0] += len(mebibyte)
        return response

    return behave


async def a_line_without_an_end(stage: Stage) -> Seen:
    """Portkey is left out: the edge has to bear this from whoever stands there."""
    sent = [0]
    with stage.edge(PORTKEY_BASE_URL=stage.provider.url) as direct:
        await ask(direct.url)
        # Nobody puts the chosen model's name in place of what the client asked for.
        stage.provider.script["auto"] = endless_line(sent)
        before = resident(direct.edge.popen.pid)
        answer = await ask(direct.url, stream=True)
        grown = resident(direct.edge.popen.pid) - before
    assert answer.body.startswith(TEXT)
    assert sent[0] < 2**28, f"{sent[0] >> 20} MiB were read"
    assert grown < 64 * 2**20, f"the edge grew by {grown >> 20} MiB"
    return told(answer)
