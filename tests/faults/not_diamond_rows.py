"""Not Diamond fails, hangs, lies or is not there: the router's local policy decides in time, and says so in its log."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.conftest import System
from tests.fakes import not_diamond as fake
from tests.faults.asking import Answer, ask, until
from tests.faults.edge_log import Since
from tests.faults.fault_proxy import BlackHole, Fault, FaultProxy
from tests.faults.provider_answers import told
from tests.faults.row import Seen
from tests.faults.stage import HEDGE, NO_SETTINGS, Stage
from tests.processes import PATIENT_EDGE

# Each answer by itself: neither a breaker nor a rate limit in between, and as long a budget as a busy machine may need.
ALONE = {
    "NOT_DIAMOND_API_KEY": "k",
    "ROUTER_NOT_DIAMOND_RATE": "1000",
    "ROUTER_NOT_DIAMOND_FAILURES": "1000",
    "ROUTER_NOT_DIAMOND_CACHE_SECONDS": "0",
}
# Where Not Diamond never answers: it ends between two times at which the edge asks once more (0.3 and 0.6 s): who asks just
# then finds the first call's pin.
BRIEFLY = {**ALONE, "ROUTER_NOT_DIAMOND_BUDGET_SECONDS": "0.45"}
CODE = {
    "messages": [
        {"role": "system", "content": "Act as an expert software developer."},
        {"role": "user", "content": "x"},
    ]
}


@dataclass
class Advised:
    """A system whose router asks Not Diamond, over a wire that may be harmed."""

    system: System
    hosted: fake.FakeNotDiamond
    wire: FaultProxy
    # Seconds after which the edge asks the router once more.
    hedge: float


@contextmanager
def advised(
    stage: Stage, settings: Mapping[str, str] = ALONE, edge: Mapping[str, str] = NO_SETTINGS
) -> Iterator[Advised]:
    hosted = fake.FakeNotDiamond()
    wire = FaultProxy(int(hosted.url.rpartition(":")[2]))
    try:
        with stage.router(NOTDIAMOND_BASE_URL=f"http://127.0.0.1:{wire.port}", edge=edge, **settings) as system:
            yield Advised(system, hosted, wire, float({**PATIENT_EDGE, **edge}["EDGE_ROUTER_HEDGE_SECONDS"]))
    finally:
        wire.close()
        hosted.close()


def advised_briefly(stage: Stage) -> AbstractContextManager[Advised]:
    return advised(stage, BRIEFLY, HEDGE)


async def decided_locally(house: Advised, answer: fake.Answer, says: str) -> Answer:
    """Not Diamond answers so: a local decision, and a line in the router's log that says why."""
    house.hosted.answer = answer
    house.hosted.seen.clear()
    house.wire.clear()
    decisions = Since(house.system.router, "decided")
    got = await ask(house.system.url, **CODE)
    assert (got.status, got.source) == (200, "local"), got.told()
    # One that hedges asks the router once more for each HEDGE_AFTER, which may be one more call here too.
    assert 1 <= len(house.hosted.seen) <= 1 + got.seconds / house.hedge, len(house.hosted.seen)
    await until(decisions.lines, "the decision's line in the log")
    line = decisions.lines()[0]
    assert says in line["not_diamond_problem"], line
    return got


async def each(
    stage: Stage,
    answers: list[tuple[fake.Answer, str]],
    make: Callable[[Stage], AbstractContextManager[Advised]] = advised,
) -> Seen:
    house = stage.shared(make)
    got = [await decided_locally(house, answer, says) for answer, says in answers]
    return Seen(got[0].told(), max(one.seconds for one in got))


async def failing(stage: Stage) -> Seen:
    statuses = (500, 502, 503)
    return await each(stage, [(fake.reply(status, b"{}"), f"HTTP {status}") for status in statuses])


async def limiting(stage: Stage) -> Seen:
    return await each(stage, [(fake.reply(429, b"{}", retry_after="30"), "HTTP 429")])


async def refusing_the_key(stage: Stage) -> Seen:
    return await each(stage, [(fake.reply(401, b"{}"), "HTTP 401")])


async def hanging(stage: Stage) -> Seen:
    return await each(stage, [(fake.hang, "no answer within")], advised_briefly)


async def dripping(stage: Stage) -> Seen:
    return await each(stage, [(fake.drip, "no answer within")], advised_briefly)


async def resetting(stage: Stage) -> Seen:
    return await each(stage, [(fake.reset, "")])


async def no_json(stage: Stage) -> Seen:
    pages = [fake.reply(200, b"<html>", "text/html"), fake.reply(200, b"{", "application/json"), fake.reply(200, b"")]
    return await each(stage, [(page, "") for page in pages])


async def no_model(stage: Stage) -> Seen:
    return await each(stage, [(fake.document({"providers": [], "session_id": "s"}), "recommended no model")])


async def an_unknown_model(stage: Stage) -> Seen:
    return await each(stage, [(fake.recommend("elsewhere", "model"), "not a candidate")])


async def ten_megabytes(stage: Stage) -> Seen:
    return await each(stage, [(fake.reply(200, b'{"providers":[' + b" " * 10_000_000 + b"]}"), "")])


async def idle_connections_closed_under_way(stage: Stage) -> Seen:
    """A lost connection costs the recommendation at most; this asks just when the connection is being closed."""
    house = stage.shared(advised)
    house.hosted.answer = fake.recommend("fake", "second")
    house.wire.clear()
    house.wire.fault = Fault(idle_seconds=0.05)
    slowest, recommended = 0.0, 0
    for number in range(60):
        answer = await ask(house.system.url, **CODE)
        assert answer.status == 200
        recommended += answer.source == "not_diamond"
        slowest = max(slowest, answer.seconds)
        await asyncio.sleep(0.03 + number % 5 / 100)
    assert recommended >= 50, f"{60 - recommended} of 60 recommendations were lost"
    return Seen("200", slowest)


async def failing_again_and_again(stage: Stage) -> Seen:
    """As shipped it is left alone after five failures, so that it costs nobody its time any more."""
    hosted = fake.FakeNotDiamond()
    hosted.answer = fake.hang
    try:
        shipped = {**BRIEFLY, "ROUTER_NOT_DIAMOND_FAILURES": "5", "NOTDIAMOND_BASE_URL": hosted.url}
        with stage.router(**shipped) as system:
            for _ in range(5):
                await ask(system.url, **CODE)
            asked = len(hosted.seen)
            answer = await ask(system.url, **CODE)
            assert len(hosted.seen) == asked
            assert answer.source == "local"
    finally:
        hosted.close()
    return told(answer)


async def out_of_reach(stage: Stage, url: str) -> Seen:
    with stage.router(NOTDIAMOND_BASE_URL=url, **BRIEFLY) as system:
        answer = await ask(system.url, **CODE)
    return told(answer)


async def a_black_hole(stage: Stage) -> Seen:
    hole = BlackHole()
    try:
        return await out_of_reach(stage, f"http://127.0.0.1:{hole.port}")
    finally:
        hole.close()


async def a_name_that_is_not_known(stage: Stage) -> Seen:
    return await out_of_reach(stage, "http://not-diamond.invalid")
