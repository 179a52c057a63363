"""Sends a request to the ranked models, through one Portkey config at a time, until one of them begins to answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from edge_gateway import errors
from edge_gateway.adaptations import Adaptations, Asked
from edge_gateway.call import header_value
from edge_gateway.circuits import Circuits
from edge_gateway.errors import GatewayError
from edge_gateway.event_stream import Said, StreamObserver, Usage
from edge_gateway.forms import Form
from edge_gateway.opening import NotBegun, Opening, wait_for_opening
from edge_gateway.portkey.client import BrokenOff, Portkey, ShuttingDown, Stalled, Upstream
from edge_gateway.portkey.config import FAILOVER_STATUSES, Bounds, Emitter, Plan, Plans
from edge_gateway.providers import Providers
from edge_gateway.relay import EVENT_STREAM, JSON
from edge_gateway.tracing import spans
from edge_gateway.tracing.span import NOT_TRACED, Span

# Portkey says 246 when a guardrail objected and let the answer pass.
OK = range(200, 300)
LARGEST_ERROR_BODY = 64 * 1024
# Two thousand long embeddings are about half of it.
LARGEST_ANSWER = 128 * 1024 * 1024
LAST_USED, TRIED_AGAIN = "x-portkey-last-used-option-index", "x-portkey-retry-attempt-count"


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds: until a model's headers, from these until its first token, until its plain answer is whole, for a request."""

    first_byte: float
    first_token: float
    answer: float
    total: float


class Order(msgspec.Struct, frozen=True):
    """What is to be sent: the client's bytes, to the first of `ranking` that answers.

    `said`: the headers that tell Portkey of it. `deadline`: when it has to be over (time.monotonic()). `retried`: the client
    tries again itself, so that nobody else should. `span`: the request's in a trace.
    """

    form: Form
    raw: bytes
    asked: Asked
    ranking: tuple[str, ...]
    said: Mapping[str, str]
    deadline: float
    retried: bool = False
    span: Span = NOT_TRACED


class Answer(msgspec.Struct, frozen=True):
    """What came of it: a stream that has begun, or a whole answer with what it says.

    `adaptations`: the rules that were applied for the model that served. `span`: the call's in a trace, which ends with the
    answer.
    """

    served: str
    adaptations: tuple[str, ...]
    upstream: Upstream
    opening: Opening | None = None
    body: bytes = b""
    usage: Usage = Usage()
    said: Said = Said()
    span: Span = NOT_TRACED


class NotServed(Exception):
    """No model answered; `error` is for the client, `served` the model that was tried last, empty if none was."""

    def __init__(self, error: GatewayError, served: str = "") -> None:
        super().__init__(error.message)
        self.error = error
        self.served = served


class _Failure(Exception):
    """A dispatch without an answer: how many of its models were tried, and whether no other needs to be."""

    def __init__(self, error: GatewayError, tried: int, *, final: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.tried = tried
        self.final = final


class Dispatcher:
    """The one place where requests leave for Portkey; wired once, by app."""

    def __init__(
        self,
        portkey: Portkey,
        providers: Providers,
        rules: Adaptations,
        emitter: Emitter,
        circuits: Circuits,
        limits: TimeLimits,
    ) -> None:
        self._portkey = portkey
        self._providers = providers
        self._plans = Plans(providers, rules, emitter)
        self._circuits = circuits
        self._limits = limits
        # Requests that wait for a model to answer, or to begin to.
        self.waiting = 0
        # Second attempts since the start, by who made them (edge, portkey) and what came of it (served, failed).
        self.retries: Counter[tuple[str, str]] = Counter()

    async def send(self, order: Order) -> Answer:
        """The answer of the first model that gives one; NotServed when none does."""
        self.waiting += 1
        try:
            return await self._send(order)
        finally:
            self.waiting -= 1

    async def _send(self, order: Order) -> Answer:
        ranked = self._plans.fitting(order.ranking, order.asked)
        left = list(self._circuits.closed(ranked))
        if not left:
            raise NotServed(errors.all_resting(self._circuits.wait(ranked)))
        # Further models that may be tried in all, whichever dispatch they are tried in.
        further = self._circuits.request()
        again = 0
        while True:
            made = self._plan(order, left, further)
            try:
                answer = await (self._try_traced(order, made) if order.span.traced else self._try(order, made))
            except _Failure as failure:
                tried = made.models[: failure.tried]
                further -= len(tried)
                left = [model for model in left if model not in tried]
                if failure.final or not left or further < 0 or time.monotonic() >= order.deadline:
                    self.retries["edge", "failed"] += again
                    raise NotServed(failure.error, tried[-1] if tried else "") from None
                self._circuits.spent(1)
                again += 1
            except ShuttingDown:
                # Nobody's fault but ours.
                raise NotServed(errors.server_shutdown()) from None
            else:
                self.retries["edge", "served"] += again
                return answer

    def _plan(self, order: Order, models: Sequence[str], further: int) -> Plan:
        limits = self._limits
        seconds = limits.first_byte if order.asked.request.stream else limits.answer
        bounds = Bounds(seconds, 1 + further, attempts=int(further > 0 and len(models) == 1 and not order.retried))
        return self._plans.plan(order.form, order.raw, models, order.asked, bounds)

    async def _try_traced(self, order: Order, made: Plan) -> Answer:
        """The same as `_try`, within a span that ends with the answer, or with its failure."""
        form, request = order.form.name, order.asked.request
        span = spans.models_asked(order.span, form, request, made.models[0], self._portkey.address)
        began = time.monotonic()
        # Baggage and vendors' states are nobody's business outside.
        told = {**order.said, "traceparent": span.context().traceparent}
        try:
            answer = await self._try(msgspec.structs.replace(order, said=told), made)
        except _Failure as failure:
            tried = made.models[: failure.tried]
            spans.models_failed(span, failure.error.code, tried[-1] if tried else "")
            raise
        except BaseException:
            # Its client has left, or the process ends.
            span.end()
            raise
        first = answer.opening.first_byte - began if answer.opening else None
        ranked = order.ranking.index(answer.served) if answer.served in order.ranking else 0
        spans.model_answers(span, answer.served, ranked, first)
        return msgspec.structs.replace(answer, span=span)

    async def _try(self, order: Order, made: Plan) -> Answer:
        """One config's answer; _Failure when it brings none."""
        wait = self._patience(order, made)
        # The others of its config are tried only if it fails.
        self._circuits.tried(made.models[0])
        try:
            upstream = await self._portkey.send(made, order.said, wait, order.deadline)
        except BrokenOff:
            # The first may have been asked, and paid for. That it went wrong on the way is all that clients need to know.
            raise _Failure(errors.upstream_unreachable(), 1, final=True) from None
        except GatewayError as error:
            # Portkey itself did not answer, and there is nobody else to ask; one that cannot be reached has asked no model.
            asked = 0 if error.code == errors.UNREACHABLE else len(made.models)
            raise _Failure(error, asked, final=True) from None
        # What other targets took before it is not held against the one that answers.
        began = time.monotonic()
        position = made.position(upstream.header(LAST_USED))
        served = made.models[position]
        self._note_attempts(made, position, upstream)
        if upstream.status not in OK:
            raise await self._refused(made, position, upstream)
        try:
            answer = await self._open(order, made, served, upstream, began)
        except _Failure as failure:
            if not failure.final:
                # A request that the provider finds wrong says nothing against the model.
                self._circuits.failed(served)
            upstream.close()
            raise _Failure(failure.error, position + 1, final=failure.final) from None
        except BaseException:
            upstream.close()
            raise
        self._circuits.succeeded(served)
        return answer

    async def _open(self, order: Order, made: Plan, served: str, upstream: Upstream, began: float) -> Answer:
        """The answer whose headers say that it is one, once that is certain; _Failure when it is none."""
        rules = made.adaptations[served]
        wanted = EVENT_STREAM if order.asked.request.stream else JSON
        if upstream.header("content-encoding") not in ("", "identity"):
            # It was asked for as it is, and the client would not know.
            raise _Failure(errors.bad_upstream_response("compressed bytes"), 1, final=False)
        if upstream.content_type != wanted:
            what = upstream.content_type or "an unnamed media type"
            raise _Failure(errors.bad_upstream_response(what), 1, final=False)
        if order.asked.request.stream:
            observer = StreamObserver(order.form.read_event, order.asked.request.answers)
            try:
                opening = await wait_for_opening(upstream, observer, began + self._limits.first_token)
            except NotBegun as failed:
                raise _begun_badly(failed, served, self._limits.first_token, self._keys(made)) from None
            return Answer(served, rules, upstream, opening=opening)
        try:
            body = await upstream.read(LARGEST_ANSWER, began + self._limits.answer)
        except (BrokenOff, Stalled):
            raise _Failure(errors.stream_truncated(served), 1, final=False) from None
        upstream.close()
        found = order.form.read_plain(body) if len(body) < LARGEST_ANSWER else None
        if len(body) >= LARGEST_ANSWER:
            raise _Failure(errors.bad_upstream_response(f"more than {LARGEST_ANSWER >> 20} MiB"), 1, final=False)
        if found is None:
            raise _Failure(errors.bad_upstream_response("JSON that is no answer"), 1, final=False)
        return Answer(served, rules, upstream, body=body, usage=found[0], said=found[1])

    async def _refused(self, made: Plan, position: int, upstream: Upstream) -> _Failure:
        raw = await _error_body(upstream)
        served = made.models[position]
        retry_after = header_value(upstream.header("retry-after"))
        error = errors.from_upstream(upstream.status, raw, served, retry_after or None, self._keys(made))
        if upstream.status not in FAILOVER_STATUSES:
            return _Failure(error, position + 1, final=True)
        self._circuits.failed(served, float(retry_after) if retry_after.isdecimal() else 0.0)
        return _Failure(error, position + 1, final=False)

    def _keys(self, made: Plan) -> Sequence[str]:
        """The providers' keys that a config carries."""
        reached = [provider for model in made.models if (provider := self._providers.of(model))]
        return [deployment.api_key for provider in reached for deployment in provider.deployments if deployment.api_key]

    def _note_attempts(self, made: Plan, position: int, upstream: Upstream) -> None:
        """Those before the one that answered have failed; each was an attempt more."""
        for model in made.models[:position]:
            self._circuits.failed(model)
        again = upstream.header(TRIED_AGAIN) not in ("", "0")
        self._circuits.spent(position + again)
        self.retries["portkey", "served" if upstream.status in OK else "failed"] += position + again

    def _patience(self, order: Order, made: Plan) -> float:
        """Seconds that all targets of a config may take together, and one for the way."""
        limits = self._limits
        seconds = limits.first_byte if order.asked.request.stream else limits.answer
        # A single model may be tried again.
        return seconds * max(made.deployments, 2) + 1


def _begun_badly(failed: NotBegun, served: str, seconds: float, secrets: Sequence[str]) -> _Failure:
    if failed.late:
        return _Failure(errors.upstream_timeout(seconds), 1, final=False)
    if not failed.error:
        return _Failure(errors.stream_truncated(served), 1, final=False)
    final = errors.is_the_requests_fault(failed.error)
    status = errors.BAD_REQUEST if final else errors.UNAVAILABLE
    error = errors.from_upstream(status, failed.error, served, None, secrets)
    return _Failure(error, 1, final=final)


async def _error_body(upstream: Upstream) -> bytes:
    try:
        return await upstream.read(limit=LARGEST_ERROR_BODY)
    except (BrokenOff, Stalled):
        return b""
    finally:
        upstream.close()
