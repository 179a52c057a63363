"""Three routers behind one Redis and one PostgreSQL: they share what they must, and losing one costs no caller an answer."""

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from edge_gateway.decisions import Question
from edge_gateway.router_client.client import RouterClient, RouterUnavailable
from protos.router.v1 import router_pb2 as pb
from tests.databases import MISSING, Postgres, programs
from tests.fakes import not_diamond as fake
from tests.faults.asking import until
from tests.processes import NEVER, Process, free_port, start_router, wait_until
from tests.redis_server import RedisServer
from tests.router_service.calls import call, select

CODE = {"profile": "auto", "purpose": "PURPOSE_CODE"}
PAIR = {"candidates": {"models": ["openai/gpt-6.1-sol", "google/gemini-3.8-flash"]}}
# The shared bucket: so many a second, and so many at once.
RATE, BURST = 10, 4


@dataclass
class Replicas:
    """The running routers."""

    ports: list[int]
    processes: list[Process]
    hosted: fake.FakeNotDiamond


@pytest.fixture(scope="module")
def replicas() -> Iterator[Replicas]:
    if programs() is None:
        pytest.skip(MISSING)
    redis, postgres, hosted = RedisServer(), Postgres(), fake.FakeNotDiamond()
    hosted.answer = fake.recommend("google", "gemini-3.8-flash")
    ports = [free_port() for _ in range(3)]
    shared = {
        "ROUTER_REDIS_URL": redis.url,
        "ROUTER_LEDGER_URL": postgres.new_database(),
        "NOT_DIAMOND_API_KEY": "k",
        "NOTDIAMOND_BASE_URL": hosted.url,
    }
    processes = [start_router(port, **shared) for port in ports]
    yield Replicas(ports, processes, hosted)
    for process in processes:
        if process.popen.poll() is None:
            process.popen.send_signal(signal.SIGCONT)
        process.stop()
    hosted.close()
    postgres.close()
    redis.close()


def test_a_pin_set_through_one_replica_holds_at_the_others(replicas):
    first = select(replicas.ports[0], conversationId="shared", **CODE)
    for port in replicas.ports[1:]:
        again = select(port, conversationId="shared", costQualityTradeoff=0, **CODE)
        assert (again.model, again.source) == (first.model, pb.DECISION_SOURCE_PINNED)


def test_a_recommendation_given_to_one_replica_serves_the_others(replicas):
    messages = [{"role": "user", "text": "asked once"}]
    asked = len(replicas.hosted.seen)
    sources = [select(port, messages=messages, **PAIR).source for port in replicas.ports]
    assert sources == [pb.DECISION_SOURCE_NOT_DIAMOND, *[pb.DECISION_SOURCE_CACHED] * 2]
    assert len(replicas.hosted.seen) == asked + 1


def test_a_decision_made_by_one_replica_is_explained_by_the_others(replicas):
    decision = select(replicas.ports[0], **CODE)
    request = pb.ExplainDecisionRequest(decision_id=decision.decision_id)

    def explained() -> bool:
        listed = call(replicas.ports[2], "ListDecisions", pb.ListDecisionsRequest(page_size=20)).decisions
        return decision.decision_id in {entry.decision_id for entry in listed}

    wait_until(explained, "the decision in the shared ledger")
    assert call(replicas.ports[1], "ExplainDecision", request).decision == decision


async def test_all_replicas_together_stay_under_not_diamonds_rate_limit(replicas):
    before, started = len(replicas.hosted.seen), time.monotonic()

    def ask(number: int) -> pb.SelectModelResponse:
        messages = [{"role": "user", "text": f"question {number}"}]
        return select(replicas.ports[number % 3], messages=messages, **PAIR)

    answers = []
    for batch in range(6):
        answers += await asyncio.gather(*(asyncio.to_thread(ask, batch * 30 + i) for i in range(30)))
    elapsed = time.monotonic() - started
    asked = len(replicas.hosted.seen) - before
    assert asked <= RATE * elapsed + BURST + 1
    assert asked >= BURST
    limited = [answer for answer in answers if "rate limit of 15" in answer.reason]
    assert len(limited) == len(answers) - asked
    print(f"\n{len(answers)} questions in {elapsed:.2f} s through 3 replicas: {asked} reached Not Diamond")


@dataclass
class Load:
    """Callers that ask all the time, and what became of it."""

    client: RouterClient
    stopped: bool = False
    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def ask(self) -> None:
        question = Question("code", "", (), 1000, 0, False, False, False, (), profile="auto")
        while not self.stopped:
            started = time.monotonic()
            try:
                await self.client.select(question)
            except RouterUnavailable as error:
                self.errors.append(str(error))
            self.latencies.append(time.monotonic() - started)
            await asyncio.sleep(0.02)

    async def reaches(self, count: int) -> None:
        """Wait until so many more have been answered."""
        wanted = len(self.latencies) + count
        await until(lambda: len(self.latencies) >= wanted, f"{count} more decisions")


async def test_no_caller_sees_an_error_when_one_replica_is_killed_and_another_frozen(replicas):
    target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in replicas.ports)
    client = RouterClient(target, NEVER)
    load = Load(client)
    callers = [asyncio.create_task(load.ask()) for _ in range(10)]
    try:
        await load.reaches(300)
        replicas.processes[0].popen.send_signal(signal.SIGKILL)
        await load.reaches(600)
        killed = len(load.latencies)
        replicas.processes[1].popen.send_signal(signal.SIGSTOP)
        # Each caller meets the frozen one again and again; who waited for it would be missing here.
        await load.reaches(600)
        replicas.processes[1].popen.send_signal(signal.SIGCONT)
        await load.reaches(300)
    finally:
        load.stopped = True
        await asyncio.gather(*callers)
        await client.close()
    print(
        f"\n{len(load.latencies)} decisions, {len(load.errors)} errors; slowest after the kill "
        f"{max(load.latencies[:killed]) * 1000:.0f} ms, while one was frozen {max(load.latencies[killed:]) * 1000:.0f} ms"
    )
    assert load.errors == []
