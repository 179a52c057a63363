"""Recommendations are asked for sparingly: the real SDK against a fake Not Diamond over a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date

import pytest

from router_service.catalog import Model
from router_service.domain import Consultation, Message
from router_service.not_diamond import NotDiamond
from router_service.recommendations import BURST, OVER_THE_LIMIT, RATE, Recommendations
from router_service.stores.memory import MemoryStore
from tests.clock import Clock
from tests.fakes import not_diamond as fake
from tests.processes import wait_until

BUDGET = 5.0
GOOD = fake.recommend("google", "gemini")
GEMINI = "google/gemini"
MESSAGES = (Message("user", "fix the bug"),)


def model(name: str) -> Model:
    return Model(
        id=name,
        context_tokens=1000,
        max_output_tokens=100,
        input_usd_per_mtok=1,
        output_usd_per_mtok=2,
        source="made up",
        checked=date(2026, 11, 23),
    )


MODELS = (model("openai/gpt"), model(GEMINI))


class Script:
    """Answers each question in turn with the next of a list, and then for ever with the last."""

    def __init__(self, *answers: fake.Answer) -> None:
        self._answers = list(answers)

    async def __call__(self, body: dict, writer: asyncio.StreamWriter) -> None:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        await answer(body, writer)


class Gate:
    """A good answer, but not before `open` is called (from any thread)."""

    def __init__(self, answer: fake.Answer = GOOD) -> None:
        self._answer = answer
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, body: dict, writer: asyncio.StreamWriter) -> None:
        self._loop = asyncio.get_running_loop()
        await self._event.wait()
        await self._answer(body, writer)

    def open(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._event.set)


@pytest.fixture
def hosted() -> Iterator[fake.FakeNotDiamond]:
    server = fake.FakeNotDiamond()
    server.answer = GOOD
    yield server
    server.close()


@pytest.fixture
async def client(hosted: fake.FakeNotDiamond) -> AsyncIterator[NotDiamond]:
    opened = NotDiamond("k", hosted.url)
    yield opened
    await opened.close()


@pytest.fixture
async def make(client: NotDiamond) -> AsyncIterator[Callable[..., Recommendations]]:
    made: list[Recommendations] = []

    def build(store: MemoryStore | None = None, **settings: object) -> Recommendations:
        settings = {"rate": 1000, "burst": 1000, **settings}
        made.append(Recommendations(client, store or MemoryStore(1000), **settings))
        return made[-1]

    yield build
    for recommendations in made:
        await recommendations.close()


async def ask(recommendations: Recommendations, text: str = "fix the bug", **more: object) -> Consultation:
    question = {"tradeoff": 3, "preference_id": "", "budget": BUDGET, **more}
    return await recommendations.recommend(question.pop("models", MODELS), (Message("user", text),), **question)


async def asked(hosted: fake.FakeNotDiamond, times: int) -> None:
    await asyncio.to_thread(wait_until, lambda: len(hosted.seen) >= times, f"{times} questions at Not Diamond")


# The cache.


async def test_a_second_identical_question_is_answered_from_the_cache(hosted, make):
    recommendations = make()
    first = await ask(recommendations)
    second = await ask(recommendations, models=MODELS[::-1])
    assert (first.model, first.session_id, first.cached, first.problem) == (GEMINI, "sess-1", False, "")
    assert (second.model, second.session_id, second.cached, second.problem) == (GEMINI, "sess-1", True, "")
    assert len(hosted.seen) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "them"},
        {"tradeoff": 4},
        {"preference_id": "p"},
        {"text": "else"},
        {"models": (*MODELS, model("a/b"))},
    ],
)
async def test_any_other_question_is_asked(hosted, make, other):
    recommendations = make()
    await ask(recommendations)
    assert not (await ask(recommendations, **other)).cached
    assert len(hosted.seen) == 2


async def test_the_cache_ends_with_its_time_and_is_shared_through_the_store(hosted, make):
    clock = Clock()
    store = MemoryStore(10, clock)
    await ask(make(store, ttl=300))
    assert (await ask(make(store, ttl=300))).cached
    clock.now += 300
    assert not (await ask(make(store, ttl=300))).cached
    assert len(hosted.seen) == 2


async def test_a_problem_is_not_kept_and_no_time_keeps_nothing(hosted, make):
    hosted.answer = Script(fake.reply(500, b""), GOOD)
    recommendations = make(ttl=0)
    assert (await ask(recommendations)).problem == "it answered HTTP 500"
    assert not (await ask(recommendations)).cached
    assert not (await ask(recommendations)).cached
    assert len(hosted.seen) == 3


@pytest.mark.parametrize("kept", [b"", b"\xff", b"nonsense", b"[]", b'{"model": "nobody/asked"}', b'{"model": ["a"]}'])
async def test_a_kept_value_that_is_no_answer_is_not_believed(hosted, client, kept):
    class Odd(MemoryStore):
        async def get(self, key: str) -> bytes | None:
            return kept

    recommendations = Recommendations(client, Odd(1))
    assert (await ask(recommendations)).model == GEMINI
    await recommendations.close()


# Together.


async def test_twenty_identical_questions_make_one_call(hosted, make):
    gate = hosted.answer = Gate()
    recommendations = make()
    waiting = [asyncio.create_task(ask(recommendations)) for _ in range(20)]
    await asked(hosted, 1)
    gate.open()
    answers = await asyncio.gather(*waiting)
    assert {answer.model for answer in answers} == {GEMINI}
    assert len(hosted.seen) == 1


async def test_who_is_called_off_leaves_the_call_to_the_others(hosted, make):
    gate = hosted.answer = Gate()
    recommendations = make()
    waiting = [asyncio.create_task(ask(recommendations)) for _ in range(3)]
    await asked(hosted, 1)
    waiting[0].cancel()
    waiting[1].cancel()
    await asyncio.gather(*waiting[:2], return_exceptions=True)
    gate.open()
    assert (await waiting[2]).model == GEMINI
    assert len(hosted.seen) == 1


async def test_each_waits_no_longer_than_its_own_budget(hosted, make):
    gate = hosted.answer = Gate()
    recommendations = make()
    patient = asyncio.create_task(ask(recommendations))
    await asked(hosted, 1)
    hurried = await ask(recommendations, budget=0.1)
    assert hurried.problem == "it gave no answer within 0.10 s"
    assert hurried.elapsed_seconds < 1
    gate.open()
    assert (await patient).model == GEMINI
    assert len(hosted.seen) == 1


async def test_who_has_more_time_than_the_call_it_joined_asks_again(hosted, make):
    hosted.answer = Script(fake.hang, GOOD)
    recommendations = make()
    hurried = asyncio.create_task(ask(recommendations, budget=0.5))
    await asked(hosted, 1)
    patient = await ask(recommendations)
    assert patient.model == GEMINI
    assert (await hurried).problem
    assert len(hosted.seen) == 2


async def test_tenants_never_share_a_call(hosted, make):
    gate = hosted.answer = Gate()
    recommendations = make()
    waiting = [asyncio.create_task(ask(recommendations, tenant=tenant)) for tenant in ("us", "them")]
    await asked(hosted, 2)
    gate.open()
    await asyncio.gather(*waiting)


async def test_closing_answers_whoever_still_waits(hosted, make):
    hosted.answer = fake.hang
    recommendations = make()
    waiting = asyncio.create_task(ask(recommendations))
    await asked(hosted, 1)
    await recommendations.close()
    assert (await waiting).problem == "the question was called off"


# The rate limit.


async def test_no_second_sees_more_than_fifteen_questions_at_not_diamond(hosted, make):
    arrivals: list[float] = []
    clock = Clock()

    async def note(body: dict, writer: asyncio.StreamWriter) -> None:
        arrivals.append(clock.now)
        await GOOD(body, writer)

    hosted.answer = note
    store = MemoryStore(1000, clock=clock)
    routers = [make(store, rate=RATE, burst=BURST) for _ in range(2)]
    number, refused = 0, 0
    # 2.2 seconds, in steps in which both ask.
    for _ in range(110):
        clock.now += 0.02
        answers = await asyncio.gather(*(ask(router, f"question {number + i}") for i, router in enumerate(routers)))
        refused += sum(answer.problem == OVER_THE_LIMIT for answer in answers)
        number += len(routers)
    assert max(sum(first <= at < first + 1 for at in arrivals) for first in arrivals) <= 15
    assert len(arrivals) >= RATE * 2
    assert refused == number - len(arrivals) > 0


# The breaker.


@pytest.mark.parametrize(
    "bad", [fake.reset, fake.reply(500, b""), fake.reply(429, b""), fake.reply(401, b""), fake.recommend("no", "body")]
)
async def test_five_failures_leave_it_alone_then_one_asks_and_a_good_answer_ends_it(hosted, make, bad):
    clock = Clock()
    recommendations = make(clock=clock)
    hosted.answer = bad
    for _ in range(5):
        assert "left alone" not in (await ask(recommendations)).problem
    assert (await ask(recommendations)).problem == "it has failed repeatedly and is left alone for 5 s"
    assert len(hosted.seen) == 5
    clock.now += 5
    gate = hosted.answer = Gate()
    probe = asyncio.create_task(ask(recommendations, "probe"))
    await asked(hosted, 6)
    assert "left alone" in (await ask(recommendations, "another")).problem
    gate.open()
    assert (await probe).model == GEMINI
    hosted.answer = GOOD
    assert (await ask(recommendations, "another")).model == GEMINI


async def test_lateness_within_a_fair_budget_counts_and_within_an_unfair_one_does_not(hosted, make):
    hosted.answer = fake.hang
    recommendations = make(clock=Clock())
    for _ in range(6):
        assert "no answer within" in (await ask(recommendations, budget=0.05)).problem
    for _ in range(5):
        assert "no answer within" in (await ask(recommendations, budget=0.3)).problem
    assert "left alone" in (await ask(recommendations)).problem


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_question_that_is_at_fault_itself_costs_the_others_nothing(hosted, make, status):
    recommendations = make(clock=Clock())
    hosted.answer = fake.reply(status, b"{}")
    for _ in range(10):
        assert (await ask(recommendations)).problem == f"it answered HTTP {status}"


# The second call.


async def test_a_second_call_wins_when_the_first_hangs(hosted, make):
    hosted.answer = Script(fake.hang, GOOD)
    answer = await ask(make(hedge_after=0.1))
    assert answer.model == GEMINI
    assert answer.elapsed_seconds < BUDGET
    assert len(hosted.seen) == 2
    assert json.dumps(hosted.seen[0][2]) == json.dumps(hosted.seen[1][2])


async def test_a_second_call_that_fails_leaves_it_to_the_first(hosted, make):
    gate = Gate()
    hosted.answer = Script(gate, fake.reply(500, b""))
    waiting = asyncio.create_task(ask(make(hedge_after=0.05)))
    await asked(hosted, 2)
    gate.open()
    assert (await waiting).model == GEMINI


async def test_the_second_call_needs_room_in_the_bucket_and_a_quick_answer_needs_none(hosted, make):
    hosted.answer = fake.hang
    assert (await ask(make(hedge_after=0.05, burst=1, rate=0.001), budget=0.5)).problem
    assert len(hosted.seen) == 1
    hosted.answer = fake.reply(500, b"")
    assert (await ask(make(hedge_after=5))).problem == "it answered HTTP 500"
    assert len(hosted.seen) == 2


async def test_a_recommender_that_breaks_its_promise_is_a_problem_and_no_exception():
    class Broken:
        async def recommend(self, *_: object) -> Consultation:
            raise RuntimeError

    recommendations = Recommendations(Broken(), MemoryStore(1))
    assert (await ask(recommendations)).problem == "asking it failed (RuntimeError)"
    await recommendations.close()
