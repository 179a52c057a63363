"""The client for programs with an event loop, over grpc.aio; it has what Router has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from protos.router.v1 import router_pb2_grpc
from router_client import calls, failures
from router_client.answers import (
    Decision,
    DecisionSummary,
    Explanation,
    Model,
    Profile,
    Receipt,
    Savings,
    ServerInfo,
    Spending,
)
from router_client.asked import EVERY, DecisionFilter, LeasedDecision, Question, Report
from router_client.calls import Call, Receipts
from router_client.client import Client
from router_client.connection import Way
from router_client.errors import DeadlineExceeded, RouterError

Answer = TypeVar("Answer")


class AsyncRouter(Client):
    """The router, asked from the event loop in which it is made; each call is as Router's of its name."""

    def _connect(self, way: Way) -> None:
        # grpc.aio ties a channel to the loop that runs; without one this says so.
        self._loop = asyncio.get_running_loop()
        if way.credentials is None:
            self._channel = grpc.aio.insecure_channel(way.target, options=way.options)
        else:
            self._channel = grpc.aio.secure_channel(way.target, way.credentials, options=way.options)
        self._stub = router_pb2_grpc.RouterServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End what is under way, and close the connections."""
        self._closed = True
        await self._channel.close()

    async def select(self, question: Question, *, timeout: float | None = None) -> Decision:
        """Select the model for one request."""
        return await self._ask(calls.select(question), timeout)

    async def select_many(
        self, questions: Iterable[Question], *, timeout: float | None = None
    ) -> tuple[Decision | RouterError, ...]:
        """Select for 1 to 256 requests in one call; each is answered in its place."""
        return await self._ask(calls.select_many(questions), timeout)

    async def select_stream(
        self, questions: Iterable[Question], *, timeout: float | None = None
    ) -> AsyncGenerator[tuple[int, Decision | RouterError], None]:
        """As select_many, each answer with its place as soon as it is there."""
        async with aclosing(self._stream(calls.select_stream(questions), timeout)) as stream:
            async for answers in stream:
                for placed in answers:
                    yield placed

    async def report(self, report: Report, *, timeout: float | None = None) -> Receipt:
        """Tell how a reply fared; telling it again changes nothing."""
        return await self._ask(calls.report(report), timeout)

    async def report_many(
        self, reports: Iterable[Report] = (), leased: Iterable[LeasedDecision] = (), *, timeout: float | None = None
    ) -> Receipts:
        """Tell how replies fared, and what was decided under leases: 1 to 256 entries together."""
        return await self._ask(calls.report_many(reports, leased), timeout)

    async def explain(self, decision_id: str, *, timeout: float | None = None) -> Explanation:
        """The whole trace of a decision."""
        return await self._ask(calls.explain(decision_id), timeout)

    async def list_decisions(
        self, wanted: DecisionFilter = EVERY, *, page_size: int = 100, timeout: float | None = None
    ) -> AsyncGenerator[DecisionSummary, None]:
        """Past decisions, latest first; a page is asked for when it is needed, each within the time-out."""
        token = ""
        while True:
            summaries, token = await self._ask(calls.page(wanted, page_size, token), timeout)
            for summary in summaries:
                yield summary
            if not token:
                return

    def watch(self, *, tenant: str = "", profile: str = "", timeout: float | None = None) -> AsyncWatch:
        """Decisions and reports as they happen: `async with router.watch() as events`; `timeout` is for its beginning."""
        call = calls.watch(tenant, profile)
        call = replace(call, read=partial(self._read, call))
        return AsyncWatch(lambda: self._begin(call), call, self._seconds(call, timeout), self._told)

    async def models(self, *, timeout: float | None = None) -> tuple[Model, ...]:
        """Every model that may be selected, with its limits and prices."""
        return await self._ask(calls.models(), timeout)

    async def profiles(self, *, timeout: float | None = None) -> tuple[Profile, ...]:
        """The routing policies that may be asked for."""
        return await self._ask(calls.profiles(), timeout)

    async def savings(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        tenant: str = "",
        profile: str = "",
        timeout: float | None = None,
    ) -> Savings:
        """What decisions from `since` up to `until` cost, how their replies fared, and what other choices would have cost."""
        return await self._ask(calls.savings(since, until, tenant, profile), timeout)

    async def spending(
        self, *, since: datetime | None = None, until: datetime | None = None, timeout: float | None = None
    ) -> tuple[Spending, ...]:
        """What each caller's replies have cost that were decided from `since` up to `until`."""
        return await self._ask(calls.spending(since, until), timeout)

    async def server_info(self, *, timeout: float | None = None) -> ServerInfo:
        """Which release answers, and its revision of the contract. UnknownCall: it is older than 0.1.0."""
        return await self._ask(calls.server_info(), timeout)

    async def is_serving(self, *, timeout: float | None = None) -> bool:
        """Whether the router says that it serves; no where none answers. It asks for no token."""
        self._check_open()
        ask: Any = self._channel.unary_unary(calls.HEALTH)
        try:
            answer: bytes = await ask(calls.HEALTH_QUESTION, timeout=self._bounded(timeout))
        except grpc.aio.AioRpcError:
            return False
        except asyncio.CancelledError:
            if _by_caller():
                raise
            return False
        return answer.startswith(calls.HEALTH_SERVING)

    async def _ask(self, call: Call[Answer], timeout: float | None) -> Answer:
        self._check_open()
        method = getattr(self._stub, call.name)
        try:
            answer = await method(call.request, timeout=self._seconds(call, timeout), metadata=self._way.metadata)
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            raise await self._told(error, call.name) from None
        return self._read(call, answer)

    async def _stream(self, call: Call[Answer], timeout: float | None) -> AsyncGenerator[Answer, None]:
        running = self._begin(call, self._seconds(call, timeout))
        try:
            async for message in running:
                yield self._read(call, message)
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            raise await self._told(error, call.name) from None
        finally:
            running.cancel()

    def _begin(self, call: Call[Any], seconds: float | None = None) -> Any:
        self._check_open()
        return getattr(self._stub, call.name)(call.request, timeout=seconds, metadata=self._way.metadata)

    def _read(self, call: Call[Answer], answer: Any) -> Answer:
        if answer is None:
            # grpc.aio gives None for bytes that are no message.
            raise failures.unreadable(self.target)
        return call.read(answer)

    async def _told(self, error: grpc.aio.AioRpcError | asyncio.CancelledError, name: str) -> BaseException:
        if isinstance(error, asyncio.CancelledError):
            return error if _by_caller() else self._broken_off()
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            return self._error_of(error)
        release = None
        if name != "GetServerInfo":
            try:
                release = (await self.server_info(timeout=calls.BESIDE_SECONDS)).release
            except RouterError:
                release = None
        return failures.unknown_call(name, self.target, release)

    def _check_open(self) -> None:
        super()._check_open()
        if asyncio.get_running_loop() is not self._loop:
            raise RouterError("This client belongs to another event loop; make one in the loop that uses it.")


def _by_caller() -> bool:
    """Whether the task is cancelled: a channel that is closed cancels calls too, which looks the same but for the task."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


class AsyncWatch:
    """As Watch: what happens at the router from the moment on at which it is entered. To cancel a read of it ends it."""

    def __init__(
        self,
        begin: Callable[[], Any],
        call: Call[DecisionSummary | Report | None],
        seconds: float,
        told: Callable[[Any, str], Awaitable[BaseException]],
    ) -> None:
        self._begin = begin
        self._call = call
        self._seconds = seconds
        self._told = told
        self._running: Any = None
        self._cut = False
        self._closed = False

    async def __aenter__(self) -> Self:
        if self._running is not None or self._closed:
            raise RouterError("A watch is entered once; call router.watch() for another.")
        self._running = self._begin()
        try:
            async with asyncio.timeout(self._seconds):
                # Headers say that from here on nothing escapes it.
                await self._running.initial_metadata()
                if self._running.done() and await self._running.code() is not grpc.StatusCode.OK:
                    # That raises what ended it.
                    await self._running.read()
        except TimeoutError:
            self._running.cancel()
            raise DeadlineExceeded("The router did not begin to tell in time.", "DEADLINE_EXCEEDED") from None
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            self._running.cancel()
            raise await self._told(error, self._call.name) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DecisionSummary | Report:
        if self._running is None:
            raise RouterError("A watch is entered first: async with router.watch() as events.")
        if self._cut and not self._closed:
            # Else it would look as if the router had ended it.
            raise RouterError(
                "A read of this watch was cancelled, which ended it; call router.watch() for another.", "CANCELLED"
            )
        try:
            async for message in self._running:
                event = self._call.read(message)
                if event is not None:
                    return event
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            told = await self._told(error, self._call.name)
            if isinstance(told, asyncio.CancelledError):
                self._cut = True
                raise told from None
            if not self._closed:
                raise told from None
        raise StopAsyncIteration

    async def close(self) -> None:
        """Stop watching."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
