"""The client for programs with threads: each call blocks until its answer is there; one Router serves all threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
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


class Router(Client):
    """The router, asked from any thread; made once for the life of the program, and not carried over a fork.

    Every call raises a RouterError where it has no answer, and takes a `timeout` in seconds.
    """

    def _connect(self, way: Way) -> None:
        if way.credentials is None:
            self._channel = grpc.insecure_channel(way.target, options=way.options)
        else:
            self._channel = grpc.secure_channel(way.target, way.credentials, options=way.options)
        self._stub = router_pb2_grpc.RouterServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what is under way, and close the connections."""
        self._closed = True
        self._channel.close()

    def select(self, question: Question, *, timeout: float | None = None) -> Decision:
        """Select the model for one request.

        InvalidRequest names the fields that break a rule, NotFound the profiles there are, NoCandidate what each model lacked.
        """
        return self._ask(calls.select(question), timeout)

    def select_many(
        self, questions: Iterable[Question], *, timeout: float | None = None
    ) -> tuple[Decision | RouterError, ...]:
        """Select for 1 to 256 requests in one call; each is answered in its place, by what would be raised for it alone too."""
        return self._ask(calls.select_many(questions), timeout)

    def select_stream(
        self, questions: Iterable[Question], *, timeout: float | None = None
    ) -> Generator[tuple[int, Decision | RouterError], None, None]:
        """As select_many, each answer with its place as soon as it is there; to close the iterator ends the call."""
        with closing(self._stream(calls.select_stream(questions), timeout)) as stream:
            for answers in stream:
                yield from answers

    def report(self, report: Report, *, timeout: float | None = None) -> Receipt:
        """Tell how a reply fared; telling it again changes nothing. NotFound: its decision is not kept."""
        return self._ask(calls.report(report), timeout)

    def report_many(
        self, reports: Iterable[Report] = (), leased: Iterable[LeasedDecision] = (), *, timeout: float | None = None
    ) -> Receipts:
        """Tell how replies fared, and what was decided under leases: 1 to 256 entries together."""
        return self._ask(calls.report_many(reports, leased), timeout)

    def explain(self, decision_id: str, *, timeout: float | None = None) -> Explanation:
        """The whole trace of a decision. NotFound: it is not kept."""
        return self._ask(calls.explain(decision_id), timeout)

    def list_decisions(
        self, wanted: DecisionFilter = EVERY, *, page_size: int = 100, timeout: float | None = None
    ) -> Generator[DecisionSummary, None, None]:
        """Past decisions, latest first; a page of 1 to 1000 is asked for when it is needed, each within the time-out."""
        token = ""
        while True:
            summaries, token = self._ask(calls.page(wanted, page_size, token), timeout)
            yield from summaries
            if not token:
                return

    def watch(self, *, tenant: str = "", profile: str = "", timeout: float | None = None) -> Watch:
        """Decisions and reports as they happen: `with router.watch() as events`; `timeout` is for its beginning."""
        call = calls.watch(tenant, profile)
        return Watch(lambda: self._begin(call), call, self._seconds(call, timeout), self._told)

    def models(self, *, timeout: float | None = None) -> tuple[Model, ...]:
        """Every model that may be selected, with its limits and prices."""
        return self._ask(calls.models(), timeout)

    def profiles(self, *, timeout: float | None = None) -> tuple[Profile, ...]:
        """The routing policies that may be asked for."""
        return self._ask(calls.profiles(), timeout)

    def savings(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        tenant: str = "",
        profile: str = "",
        timeout: float | None = None,
    ) -> Savings:
        """What decisions from `since` up to `until` cost, how their replies fared, and what other choices would have cost."""
        return self._ask(calls.savings(since, until, tenant, profile), timeout)

    def spending(
        self, *, since: datetime | None = None, until: datetime | None = None, timeout: float | None = None
    ) -> tuple[Spending, ...]:
        """What each caller's replies have cost that were decided from `since` up to `until`."""
        return self._ask(calls.spending(since, until), timeout)

    def server_info(self, *, timeout: float | None = None) -> ServerInfo:
        """Which release answers, and its revision of the contract. UnknownCall: it is older than 0.1.0."""
        return self._ask(calls.server_info(), timeout)

    def is_serving(self, *, timeout: float | None = None) -> bool:
        """Whether the router says that it serves; no where none answers. It asks for no token."""
        try:
            with self._open():
                ask: Any = self._channel.unary_unary(calls.HEALTH)
                answer: bytes = ask(calls.HEALTH_QUESTION, timeout=self._bounded(timeout))
        except grpc.RpcError:
            return False
        return answer.startswith(calls.HEALTH_SERVING)

    def _ask(self, call: Call[Answer], timeout: float | None) -> Answer:
        method = getattr(self._stub, call.name)
        try:
            with self._open():
                answer = method(call.request, timeout=self._seconds(call, timeout), metadata=self._way.metadata)
        except grpc.RpcError as error:
            raise self._told(error, call.name) from None
        return call.read(answer)

    def _stream(self, call: Call[Answer], timeout: float | None) -> Generator[Answer, None, None]:
        running = self._begin(call, self._seconds(call, timeout))
        try:
            for message in running:
                yield call.read(message)
        except grpc.RpcError as error:
            raise self._told(error, call.name) from None
        finally:
            running.cancel()

    def _begin(self, call: Call[Any], seconds: float | None = None) -> Any:
        with self._open():
            return getattr(self._stub, call.name)(call.request, timeout=seconds, metadata=self._way.metadata)

    @contextmanager
    def _open(self) -> Iterator[None]:
        self._check_open()
        try:
            yield
        except ValueError:
            # gRPC's word for a channel that another thread has closed since.
            self._check_open()
            raise

    def _told(self, error: Any, name: str) -> RouterError:
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            return self._error_of(error)
        release = None
        if name != "GetServerInfo":
            try:
                release = self.server_info(timeout=calls.BESIDE_SECONDS).release
            except RouterError:
                release = None
        return failures.unknown_call(name, self.target, release)


class Watch:
    """What happens at the router from the moment on at which it is entered, until it is left or the router ends it.

    Iterating gives a DecisionSummary for each decision and a Report for each reported outcome. Unavailable: the connection
    reached its age or the router went; Overloaded: it was read too slowly. Watch again then. Another thread may close it.
    """

    def __init__(
        self,
        begin: Callable[[], Any],
        call: Call[DecisionSummary | Report | None],
        seconds: float,
        told: Callable[[Any, str], RouterError],
    ) -> None:
        self._begin = begin
        self._call = call
        self._seconds = seconds
        self._told = told
        self._running: Any = None
        self._late = False
        self._closed = False

    def __enter__(self) -> Self:
        if self._running is not None or self._closed:
            raise RouterError("A watch is entered once; call router.watch() for another.")
        self._running = self._begin()
        if self._closed:
            self._running.cancel()
        try:
            self._wait_for_headers()
        except BaseException:
            self._running.cancel()
            raise
        return self

    def _wait_for_headers(self) -> None:
        """They say that from here on nothing escapes the watch. To wait for them has no time-out of its own."""
        timer = threading.Timer(self._seconds, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            self._running.initial_metadata()
        except grpc.RpcError as error:
            raise self._told(error, self._call.name) from None
        finally:
            timer.cancel()
        if self._late:
            raise DeadlineExceeded("The router did not begin to tell in time.", "DEADLINE_EXCEEDED")
        if self._running.done() and self._running.code() is not grpc.StatusCode.OK and not self._closed:
            raise self._told(self._running, self._call.name)

    def _give_up(self) -> None:
        self._late = True
        self._running.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DecisionSummary | Report:
        if self._running is None:
            raise RouterError("A watch is entered first: with router.watch() as events.")
        try:
            for message in self._running:
                event = self._call.read(message)
                if event is not None:
                    return event
        except grpc.RpcError as error:
            if not self._closed:
                raise self._told(error, self._call.name) from None
        raise StopIteration

    def close(self) -> None:
        """Stop watching."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
