"""Portkey itself is gone, frozen, silent or cuts what it says: there is nobody else to ask, and the client is told so."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator

from tests.conftest import System
from tests.fakes import provider as fake
from tests.fakes.breaking import after_reading
from tests.faults.asking import Answer, ask, until
from tests.faults.fault_proxy import BlackHole, Fault, FaultProxy
from tests.faults.machine import resident
from tests.faults.provider_answers import WHOLE, told
from tests.faults.provider_streams import BEGUN, TEXT, broken, endless_line
from tests.faults.row import Seen
from tests.faults.stage import LONGER, Stage, giving
from tests.processes import NEVER, Process, free_port, start_portkey


@contextlib.contextmanager
def own_portkey(stage: Stage, **env: str) -> Iterator[tuple[System, Process]]:
    """A Portkey that a row may harm, and an edge before it, with these settings."""
    port = free_port()
    process = start_portkey(port)
    try:
        with stage.edge(PORTKEY_BASE_URL=f"http://127.0.0.1:{port}/v1", **env) as system:
            yield system, process
    finally:
        if process.popen.poll() is None:
            process.popen.send_signal(signal.SIGCONT)
        process.stop(signal.SIGKILL)


@contextlib.contextmanager
def wired(stage: Stage) -> Iterator[tuple[System, FaultProxy]]:
    """An edge whose way to Portkey is a fault proxy."""
    proxy = FaultProxy(stage.portkey)
    try:
        with stage.edge(PORTKEY_BASE_URL=f"http://127.0.0.1:{proxy.port}/v1") as system:
            yield system, proxy
    finally:
        proxy.close()


async def killed(stage: Stage) -> Seen:
    with own_portkey(stage) as (system, process):
        assert (await ask(system.url)).status == 200
        process.stop(signal.SIGKILL)
        answer = await ask(system.url, stream=True)
        assert answer.headers["retry-after"] == "1"
    return told(answer)


async def killed_within_a_stream(stage: Stage) -> Seen:
    with own_portkey(stage) as (system, process):
        begun, over = threading.Event(), threading.Event()
        asked = asyncio.create_task(broken(stage, after_reading(over, BEGUN, fake.EVENTS[2:]), begun, system.url))
        await until(begun.is_set, "the answer's beginning")
        process.stop(signal.SIGKILL)
        answer = await asked
        over.set()
    return told(answer)


async def frozen(stage: Stage) -> Seen:
    with own_portkey(stage, **giving(LONGER)) as (system, process):
        process.popen.send_signal(signal.SIGSTOP)
        answer = await ask(system.url, stream=True)
        process.popen.send_signal(signal.SIGCONT)
        assert (await ask(system.url, stream=True)).body == WHOLE
    return told(answer)


async def a_black_hole(stage: Stage) -> Seen:
    hole = BlackHole()
    try:
        with stage.edge(PORTKEY_BASE_URL=f"http://127.0.0.1:{hole.port}/v1") as system:
            answer = await ask(system.url, stream=True)
    finally:
        hole.close()
    assert answer.headers["retry-after"] == "1"
    return told(answer)


async def a_name_that_is_not_known(stage: Stage) -> Seen:
    with stage.edge(PORTKEY_BASE_URL="https://portkey.invalid/v1") as system:
        return told(await ask(system.url, stream=True))


async def a_reset_before_the_headers(stage: Stage) -> Seen:
    system, proxy = stage.shared(wired)
    proxy.clear()
    proxy.fault = Fault(reset_after=0)
    answer = await ask(system.url, stream=True)
    assert answer.headers["retry-after"] == "1"
    assert len(stage.provider.seen) <= 1
    proxy.clear()
    assert (await ask(system.url, stream=True)).body == WHOLE
    return told(answer)


async def a_reset_within_a_stream(stage: Stage) -> Seen:
    system, proxy = stage.shared(wired)
    proxy.clear()
    return told(await _cut(stage, system, proxy, Fault(reset_after=0)))


async def a_freeze_within_a_stream(stage: Stage) -> Seen:
    _, proxy = stage.shared(wired)
    proxy.clear()
    with stage.edge(PORTKEY_BASE_URL=f"http://127.0.0.1:{proxy.port}/v1", **giving(LONGER)) as hasty:
        return told(await _cut(stage, hasty, proxy, Fault(freeze_after=0)))


async def a_half_close_within_a_stream(stage: Stage) -> Seen:
    system, proxy = stage.shared(wired)
    proxy.clear()
    return told(await _cut(stage, system, proxy, Fault(half_close_after=0)))


async def _cut(stage: Stage, system: System, proxy: FaultProxy, fault: Fault) -> Answer:
    """The wire to Portkey fails after the stream's beginning."""
    read = threading.Event()

    async def behave(request: object, body: dict) -> object:
        response = await fake.stream(request, BEGUN)
        await asyncio.to_thread(read.wait, NEVER)
        proxy.fault = fault
        await response.write(b"".join(fake.EVENTS[2:]))
        return response

    answer = await broken(stage, behave, read, system.url)
    assert answer.body.rpartition(b"data: ")[0] == TEXT
    return answer


async def a_plain_answer_cut_short(stage: Stage) -> Seen:
    """The headers' length differs from run to run by a little; the body is much longer than that."""
    system, proxy = stage.shared(wired)
    proxy.clear()
    stage.provider.script["first"] = stage.provider.script["second"] = fake.saying("word " * 20_000)
    proxy.fault = Fault(reset_after=50_000)
    return told(await ask(system.url))


async def connections_that_both_sides_think_alive(stage: Stage) -> Seen:
    """Node.js closes a connection that has been idle for 5 seconds; what the edge asks just then must not be lost."""
    with stage.edge() as system:

        async def ask_again(number: int) -> list[Answer]:
            first = await ask(system.url)
            await asyncio.sleep(4.75 + number / 100)
            return [first, await ask(system.url)]

        pairs = await asyncio.gather(*(ask_again(number) for number in range(50)))
    answers = [answer for pair in pairs for answer in pair]
    assert not [answer.told() for answer in answers if answer.status != 200]
    return Seen(answers[-1].told(), max(answer.seconds for answer in answers))


async def idle_connections_closed_under_way(stage: Stage) -> Seen:
    """Something between the two closes connections that the edge still counts on: it has to notice before it asks."""
    slowest = 0.0
    with wired(stage) as (system, proxy):
        proxy.fault = Fault(idle_seconds=0.3)
        for _ in range(8):
            answer = await ask(system.url)
            assert answer.status == 200
            slowest = max(slowest, answer.seconds)
            await until(lambda: proxy.open == 0, "the idle connection closed")
        assert len(proxy.began) == 8
    return Seen(answer.told(), slowest)


async def a_line_without_an_end(stage: Stage) -> Seen:
    """The provider's line passes through the real Portkey, which may not gather it for ever either."""
    sent = [0]
    with own_portkey(stage, **giving(LONGER)) as (system, process):
        await ask(system.url)
        before = resident(process.popen.pid)
        stage.reset()
        answer = await broken(stage, endless_line(sent), url=system.url)
        grown = resident(process.popen.pid) - before
    assert grown < 2**29, f"Portkey grew by {grown >> 20} MiB, {sent[0] >> 20} MiB were read"
    return told(answer)
