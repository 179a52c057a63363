"""Asks for recommendations sparingly: from the cache, together, within the rate limit, and not while it is of no use.

What a question goes through, in order: the cache; the same question already under way; the circuit breaker; the shared
token bucket; and, if that is set, a second call when the first is slow.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from router_service.breaker import Breaker, Ticket
from router_service.catalog import Model
from router_service.domain import Consultation, Message
from router_service.not_diamond import Recommender
from router_service.stores import Store

BUCKET = "not_diamond"
# Together they are what any one second can hold: one below the documented 15, since their clock is not ours.
RATE = 10.0
BURST = 4
TTL = 300.0
# Being late within less than this says more about the caller's deadline than about the service.
SHORTEST_FAIR_BUDGET = 0.25
# Answers that blame the question: one tenant's wrong preference id must not cost the others their recommendations.
QUESTION_AT_FAULT = frozenset(f"it answered HTTP {status}" for status in (400, 404, 413, 422))
OVER_THE_LIMIT = "the rate limit of 15 requests a second leaves no room"
# A call that ended this much earlier than its joiner's time leaves room for another.
WORTH_ANOTHER = 0.02


@dataclass(frozen=True, slots=True)
class _Question:
    models: tuple[Model, ...]
    messages: tuple[Message, ...]
    tradeoff: int
    preference_id: str
    key: str


@dataclass(slots=True)
class _Flight:
    """A question under way: when its time ends (the loop's clock), its answer, and the task that gets it."""

    ends: float
    answer: asyncio.Future[Consultation]
    task: asyncio.Task[None] | None = field(default=None)


class Recommendations:
    """A Recommender in front of another; any number of routers share its cache and its bucket through the store."""

    def __init__(
        self,
        recommender: Recommender,
        store: Store,
        *,
        ttl: float = TTL,
        rate: float = RATE,
        burst: int = BURST,
        hedge_after: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        breaker: Breaker | None = None,
    ) -> None:
        """`ttl`: seconds an answer is kept, 0 for not; `hedge_after`: seconds until a second call, 0 for none.

        `breaker` stands in for the usual one, which counts by `clock`.
        """
        self._recommender = recommender
        self._store = store
        self._ttl = ttl
        self._rate = rate
        self._burst = burst
        self._hedge_after = hedge_after
        self._breaker = breaker or Breaker(clock)
        self._flights: dict[str, _Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def recommend(
        self,
        models: Sequence[Model],
        messages: Sequence[Message],
        tradeoff: int,
        preference_id: str,
        budget: float,
        tenant: str = "",
    ) -> Consultation:
        """Recommend one of the models within `budget` seconds; a problem is part of the answer, never an exception.

        Answers are shared within a tenant and never between tenants.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        key = _key(tenant, models, messages, tradeoff, preference_id)
        question = _Question(tuple(models), tuple(messages), tradeoff, preference_id, key)
        try:
            async with asyncio.timeout(budget):
                answer = await self._cached(question) or await self._join(question, started + budget)
        except TimeoutError:
            answer = Consultation(problem=f"it gave no answer within {budget:.2f} s")
        return replace(answer, elapsed_seconds=loop.time() - started)

    async def close(self) -> None:
        """Call off what is under way; the recommender and the store are their owner's to close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _join(self, question: _Question, ends: float) -> Consultation:
        """Wait for the call that is under way, or start one; again if one with less time than this one ran out of it."""
        loop = asyncio.get_running_loop()
        while True:
            flight = self._flights.get(question.key)
            if flight is None:
                flight = self._start(question, ends)
            # Shielded: whoever is called off leaves the call to the others.
            answer = await asyncio.shield(flight.answer)
            ran_out = bool(answer.problem) and loop.time() >= flight.ends
            if not ran_out or ends - flight.ends < WORTH_ANOTHER:
                return answer

    def _start(self, question: _Question, ends: float) -> _Flight:
        loop = asyncio.get_running_loop()
        flight = _Flight(ends, loop.create_future())
        self._flights[question.key] = flight
        task = flight.task = loop.create_task(self._fly(question, flight))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return flight

    async def _fly(self, question: _Question, flight: _Flight) -> None:
        answer = Consultation(problem="the question was called off")
        try:
            answer = await self._ask(question, flight.ends)
        finally:
            if self._flights.get(question.key) is flight:
                del self._flights[question.key]
            flight.answer.set_result(answer)
        if answer.model and self._ttl > 0:
            value = json.dumps({"model": answer.model, "session_id": answer.session_id})
            await self._store.put(question.key, value.encode(), self._ttl)

    async def _ask(self, question: _Question, ends: float) -> Consultation:
        """Ask if the breaker and the bucket allow it, and tell the breaker what became of it."""
        ticket = self._breaker.admit()
        if ticket is None:
            wait = self._breaker.seconds_left()
            return Consultation(problem=f"it has failed repeatedly and is left alone for {wait:.0f} s")
        loop = asyncio.get_running_loop()
        answer: Consultation | None = None
        started = loop.time()
        try:
            if not await self._store.take(BUCKET, self._rate, self._burst):
                return Consultation(problem=OVER_THE_LIMIT)
            started = loop.time()
            answer = await self._call(question, ends, hedge=self._hedge_after > 0 and not ticket.probe)
        finally:
            self._tell(ticket, answer, loop.time() - started, ends - started)
        return answer

    def _tell(self, ticket: Ticket, answer: Consultation | None, took: float, budget: float) -> None:
        if answer is None:
            self._breaker.abandoned(ticket)
        elif not answer.problem or answer.problem in QUESTION_AT_FAULT:
            self._breaker.succeeded(ticket)
        elif budget < SHORTEST_FAIR_BUDGET and took >= budget:
            self._breaker.abandoned(ticket)
        else:
            self._breaker.failed(ticket)

    async def _call(self, question: _Question, ends: float, *, hedge: bool) -> Consultation:
        """Call once, and a second time if the first is slow and that is asked for; the first good answer wins."""
        calls = {asyncio.create_task(self._once(question, ends))}
        try:
            if hedge:
                done, _ = await asyncio.wait(calls, timeout=self._hedge_after)
                if not done and await self._store.take(BUCKET, self._rate, self._burst):
                    calls.add(asyncio.create_task(self._once(question, ends)))
            answer = Consultation()
            for earliest in asyncio.as_completed(calls):
                answer = await earliest
                if not answer.problem:
                    break
            return answer
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    async def _once(self, question: _Question, ends: float) -> Consultation:
        left = ends - asyncio.get_running_loop().time()
        if left <= 0:
            return Consultation(problem="no time was left to ask it")
        try:
            return await self._recommender.recommend(
                question.models, question.messages, question.tradeoff, question.preference_id, left
            )
        except Exception as error:
            # The port promises that there is none; a waiter that nobody answers would be the worse surprise.
            return Consultation(problem=f"asking it failed ({type(error).__name__})")

    async def _cached(self, question: _Question) -> Consultation | None:
        """The kept answer, if it is one: what others wrote into a shared store is checked like any answer."""
        if self._ttl <= 0:
            return None
        value = await self._store.get(question.key)
        try:
            kept = json.loads(value) if value else None
        except ValueError:
            return None
        if not isinstance(kept, dict) or kept.get("model") not in [model.id for model in question.models]:
            return None
        session_id = kept.get("session_id")
        return Consultation(kept["model"], session_id if isinstance(session_id, str) else "", cached=True)


def _key(tenant: str, models: Sequence[Model], messages: Sequence[Message], tradeoff: int, preference_id: str) -> str:
    turns = [[message.role, message.text] for message in messages]
    whole = json.dumps([tenant, sorted(model.id for model in models), tradeoff, preference_id, turns])
    return "recommendation:" + hashlib.sha256(whole.encode()).hexdigest()
