"""Routers that are gone, frozen, slow, wrong or restarted: a decision is lost at most, never an answer."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import grpc
from aiohttp import web

from tests.conftest import System
from tests.fakes import provider as fake
from tests.fakes.not_diamond import FakeNotDiamond, reply
from tests.faults import wrong_router
from tests.faults.asking import Answer, Load, ask, load, until
from tests.faults.edge_log import Since
from tests.faults.fault_proxy import BlackHole
from tests.faults.provider_answers import WHOLE, told
from tests.faults.row import Seen
from tests.faults.stage import DEADLINE, HEDGE, Routers, Stage, routers
from tests.faults.wrong_router import WrongRouter
from tests.processes import NEVER


async def served_without(stage: Stage, system: System) -> Answer:
    """An answer that no router decided: one call at the provider, and a line in the log."""
    problems = Since(system.edge, "router_unavailable")
    stage.provider.seen.clear()
    answer = await ask(system.url, stream=True)
    assert len(stage.provider.seen) == 1
    assert len(problems.lines()) == 1
    assert (
        "no decision" in answer.headers["x-router-reason"] or "cannot be reached" in answer.headers["x-router-reason"]
    )
    return answer


async def decided(system: System, seconds: float = NEVER) -> None:
    """Wait until a router decides again."""

    async def ask_on() -> None:
        while (await ask(system.url)).source == "edge_default":
            pass

    await asyncio.wait_for(ask_on(), seconds)


async def all_killed(stage: Stage) -> Seen:
    with routers(stage, 2) as replicas, stage.edge(EDGE_ROUTER=replicas.target) as system:
        await decided(system)
        for number in range(2):
            replicas.kill(number)
        return told(await served_without(stage, system))


async def all_frozen(stage: Stage) -> Seen:
    """The first waits for its deadline, later ones not, once the connections count as dead; thawed ones decide again."""
    with routers(stage, 2) as replicas, stage.edge(EDGE_ROUTER=replicas.target, **DEADLINE) as system:
        await decided(system)
        for number in range(2):
            replicas.signal(number, signal.SIGSTOP)
        answers = [await served_without(stage, system)]
        assert answers[0].source == "edge_default"
        async with asyncio.timeout(NEVER):
            while answers[-1].seconds > float(DEADLINE["EDGE_ROUTER_DEADLINE_SECONDS"]):
                answers.append(await ask(system.url, stream=True))
        for number in range(2):
            replicas.signal(number, signal.SIGCONT)
        await decided(system)
    return Seen(answers[0].told(), max(answer.seconds for answer in answers))


@contextmanager
def three(stage: Stage) -> Iterator[tuple[Routers, System]]:
    """Three replicas and an edge before them; whoever harms one puts it right again."""
    with (
        routers(stage, 3, ROUTER_DRAIN_SECONDS="1") as replicas,
        stage.edge(EDGE_ROUTER=replicas.target, **HEDGE) as system,
    ):
        yield replicas, system


async def under_load(stage: Stage, harm: Callable[[Routers, Load], Awaitable[None]]) -> Seen:
    """Clients ask all the time while the replicas are harmed; nobody may lose an answer, nor even a decision."""
    replicas, system = stage.shared(three)
    await decided(system)
    async with load(system.url) as running:
        await running.reaches(50)
        await harm(replicas, running)
        await running.reaches(50)
    assert running.failed() == []
    assert running.without_router() == []
    return Seen("200", running.slowest())


async def one_killed(stage: Stage) -> Seen:
    async def harm(replicas: Routers, running: Load) -> None:
        replicas.kill(0)
        await running.reaches(300)
        await asyncio.to_thread(replicas.start, 0)

    return await under_load(stage, harm)


async def one_frozen(stage: Stage) -> Seen:
    async def harm(replicas: Routers, running: Load) -> None:
        replicas.signal(0, signal.SIGSTOP)
        # Each client meets the frozen one again and again, and none waits for it.
        await running.reaches(400)
        replicas.signal(0, signal.SIGCONT)

    return await under_load(stage, harm)


async def restarted_in_turn(stage: Stage) -> Seen:
    async def harm(replicas: Routers, running: Load) -> None:
        for number, process in enumerate(replicas.processes):
            assert await asyncio.to_thread(process.stop) == 0
            await asyncio.to_thread(replicas.start, number)
            await running.reaches(50)

    return await under_load(stage, harm)


@contextmanager
def wrong_one(stage: Stage) -> Iterator[tuple[WrongRouter, System]]:
    """A router that answers as a row tells it to, and an edge before it."""
    router = WrongRouter()
    try:
        with before(stage, router.port) as system:
            yield router, system
    finally:
        router.close()


def before(stage: Stage, port: int, **env: str) -> AbstractContextManager[System]:
    """An edge before whatever is at this port, with these settings."""
    return stage.edge(EDGE_ROUTER=f"ipv4:127.0.0.1:{port}", **env)


async def slow(stage: Stage) -> Seen:
    router, _ = stage.shared(wrong_one)
    router.answer, router.calls = router.think, 0
    with before(stage, router.port, **DEADLINE) as system:
        answer = await served_without(stage, system)
    await until(lambda: router.called_off == router.calls, "the calls called off")
    return told(answer)


async def wrong(stage: Stage, answer: wrong_router.Answer, says: str) -> Answer:
    """A router that answers so is asked once, and done without."""
    router, system = stage.shared(wrong_one)
    router.answer, router.calls = answer, 0
    got = await served_without(stage, system)
    assert says in got.headers["x-router-reason"], got.headers["x-router-reason"]
    assert router.calls == 1
    return got


async def a_model_out_of_reach(stage: Stage) -> Seen:
    return told(await wrong(stage, wrong_router.choose("elsewhere/model"), "elsewhere/model, which cannot be reached"))


async def no_model_at_all(stage: Stage) -> Seen:
    return told(await wrong(stage, wrong_router.choose(""), "its answer named no model"))


async def failing(stage: Stage) -> Seen:
    slowest = 0.0
    for code in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED):
        answer = await wrong(stage, wrong_router.refuse(code), code.name)
        slowest = max(slowest, answer.seconds)
    return Seen(answer.told(), slowest)


async def garbled(stage: Stage) -> Seen:
    return told(await wrong(stage, wrong_router.garbage, "its answer could not be read"))


async def exhausted(stage: Stage) -> Seen:
    return told(await wrong(stage, wrong_router.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED), "RESOURCE_EXHAUSTED"))


async def another_protocol(stage: Stage) -> Seen:
    """Whoever listens there speaks HTTP/1.1."""
    elsewhere = FakeNotDiamond()
    elsewhere.answer = reply(400, b"{}")
    try:
        with before(stage, int(elsewhere.url.rpartition(":")[2])) as system:
            return told(await served_without(stage, system))
    finally:
        elsewhere.close()


async def a_black_hole(stage: Stage) -> Seen:
    hole = BlackHole()
    try:
        with before(stage, hole.port, **DEADLINE) as system:
            return told(await served_without(stage, system))
    finally:
        hole.close()


async def killed_within_a_stream(stage: Stage) -> Seen:
    """The decision is made, so that the answer under way has nothing to lose."""
    with routers(stage, 1) as replicas, stage.edge(EDGE_ROUTER=replicas.target) as system:
        await decided(system)

        async def behave(request: web.Request, body: dict) -> web.StreamResponse:
            replicas.kill(0)
            return await fake.answer(request, body)

        stage.provider.script = dict.fromkeys(("first", "second"), behave)
        answer = await ask(system.url, stream=True)
    assert answer.body == WHOLE
    assert not answer.broken
    return told(answer)
