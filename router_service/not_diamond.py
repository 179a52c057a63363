"""Asks Not Diamond for a recommendation inside a budget, and trusts nothing it answers until it is checked.

The SDK validates nothing: HTML, missing fields, no providers and models nobody asked for all pass through it without an
exception, and its own time-outs are per read. So one asyncio.timeout bounds the call, and `check` judges the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from router_service.catalog import Model
from router_service.domain import Consultation, Message
from router_service.tracing import spans
from router_service.tracing.span import CURRENT, NOT_TRACED, Span

HOSTED = "https://api.notdiamond.ai"
# A recommendation takes a few hundred bytes; parsing megabytes would hold up every other decision.
LARGEST_ANSWER = 256 * 1024
LONGEST_SESSION_ID = 128
# What a model may be called; what else an answer holds, a prompt or a key for two, is not repeated.
_MODEL = re.compile(r"(?!.*[A-Za-z0-9]{24})[A-Za-z0-9._:@/-]{3,80}")
# Seconds that a call nobody waits for may take.
ASIDE = 2.0


class AnswerTooLarge(Exception):
    """The answer passed LARGEST_ANSWER."""


@dataclass(frozen=True, slots=True)
class NotDiamondModel:
    """A model Not Diamond knows, US dollars per million tokens; a figure it does not give, or gives wrong, is None."""

    id: str
    context_tokens: int | None
    input_usd_per_mtok: float | None
    output_usd_per_mtok: float | None


class Recommender(Protocol):
    """Whoever recommends a model among candidates."""

    async def recommend(
        self,
        models: Sequence[Model],
        messages: Sequence[Message],
        tradeoff: int,
        preference_id: str,
        budget: float,
    ) -> Consultation:
        """Recommend one of the models within `budget` seconds; a problem is part of the answer, never an exception."""


class NotDiamond:
    """The hosted service, through its SDK, with one warm client and no retries (the budget has no room for them)."""

    def __init__(self, api_key: str, base_url: str | None) -> None:
        # Importing the SDK takes half a second, so only a router that has a key pays for it.
        from notdiamond import AsyncNotDiamond  # noqa: PLC0415

        # The address is always given: the SDK would take an empty variable for one.
        self._client = AsyncNotDiamond(
            api_key=api_key,
            base_url=base_url or HOSTED,
            max_retries=0,
            http_client=httpx.AsyncClient(event_hooks={"response": [_bound]}),
        )

    async def recommend(
        self,
        models: Sequence[Model],
        messages: Sequence[Message],
        tradeoff: int,
        preference_id: str,
        budget: float,
    ) -> Consultation:
        """Ask once; late, failed and unusable answers come back as a problem in words."""
        parent = CURRENT.get()
        span = spans.asks_not_diamond(parent, str(self._client.base_url)) if parent.traced else NOT_TRACED
        started = time.monotonic()
        try:
            async with asyncio.timeout(budget):
                answer = await self._ask(models, messages, tradeoff, preference_id, budget, span)
        except TimeoutError:
            span.fail("timeout")
            return Consultation(problem=f"it gave no answer within {budget:.2f} s", elapsed_seconds=_since(started))
        except Exception as error:
            # The SDK raises its own tree and, on a broken answer, whatever its parser does: none of it may reach the caller.
            if span.traced:
                spans.not_diamond_failed(span, error)
            return Consultation(problem=describe(error), elapsed_seconds=_since(started))
        else:
            model, session_id, problem = check(answer, models)
            if span.traced:
                spans.not_diamond_answered(span, problem)
            return Consultation(model, session_id, problem, _since(started))
        finally:
            span.end()

    async def models(self, budget: float) -> tuple[NotDiamondModel, ...] | None:
        """The models it knows, its deprecated ones too, within `budget` seconds; None when it does not say."""
        try:
            async with asyncio.timeout(budget):
                answer: object = await self._client.models.list(timeout=budget)
        except Exception:
            return None
        lists = [getattr(answer, name, None) for name in ("models", "deprecated_models")]
        entries = [entry for found in lists if isinstance(found, list) for entry in found]
        # Active ones come first, and win over a deprecated one of the same name.
        known = {model.id: model for model in map(_known, reversed(entries)) if model is not None}
        return tuple(known.values()) or None

    async def warm(self) -> None:
        """Open the connection and pay for the SDK's first call, so that no decision has to; never raises."""
        await self.models(ASIDE)

    async def feedback(self, session_id: str, model: str, good: bool) -> None:
        """Tell whether a recommendation turned out well; best effort, within ASIDE seconds, never raises."""
        await self._report("feedback", session_id, model, {"accuracy": int(good)})

    async def latency(self, session_id: str, model: str, tokens_per_second: float) -> None:
        """Tell how fast the recommended model was; best effort, within ASIDE seconds, never raises."""
        await self._report("latency", session_id, model, {"tokens_per_second": tokens_per_second})

    async def close(self) -> None:
        """Close the client's connections."""
        await self._client.close()

    async def _report(self, what: str, session_id: str, model: str, feedback: dict[str, float]) -> None:
        provider, _, name = model.partition("/")
        body = {"session_id": session_id, "provider": {"provider": provider, "model": name}, "feedback": feedback}
        # A report is worth nobody's waiting, and its failure nothing worth knowing.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(ASIDE):
                await self._client.post(
                    f"/v2/report/metrics/{what}", cast_to=object, body=body, options={"timeout": ASIDE}
                )

    async def _ask(
        self,
        models: Sequence[Model],
        messages: Sequence[Message],
        tradeoff: int,
        preference_id: str,
        budget: float,
        span: Span,
    ) -> object:
        # A custom router has its own trade-off: the two exclude each other.
        steer: dict[str, Any] = (
            {"preference_id": preference_id} if preference_id else {"cost_quality_tradeoff": tradeoff}
        )
        offers: list[Any] = [_offer(model) for model in models]
        return await self._client.model_router.select_model(
            llm_providers=offers,
            messages=[{"role": message.role, "content": message.text} for message in messages],
            timeout=budget,
            # The trace's and the span's ids alone: the rest of a context is nobody's business outside.
            extra_headers={"traceparent": span.context().traceparent} if span.traced else None,
            **steer,
        )


def check(answer: object, models: Sequence[Model]) -> tuple[str, str, str]:
    """Judge an answer: (model id, session id, problem); the model is empty whenever there is a problem."""
    if isinstance(answer, str):
        return "", "", "its answer was not JSON"
    providers = getattr(answer, "providers", None)
    session = getattr(answer, "session_id", None)
    session_id = session if isinstance(session, str) and _is_plain(session, LONGEST_SESSION_ID) else ""
    if not isinstance(providers, list):
        return "", session_id, "its answer named no providers"
    if not providers:
        return "", session_id, "its answer recommended no model"
    first = providers[0]
    provider, name = getattr(first, "provider", None), getattr(first, "model", None)
    if not isinstance(provider, str) or not isinstance(name, str):
        return "", session_id, "its answer named no model"
    recommended = f"{provider}/{name}"
    if recommended not in {model.id for model in models}:
        if not _MODEL.fullmatch(recommended):
            return "", session_id, "it recommended what is no model's name"
        return "", session_id, f"it recommended {recommended[:80]!a}, which is not a candidate"
    return recommended, session_id, ""


async def _bound(response: httpx.Response) -> None:
    """Have an answer read no further than LARGEST_ANSWER; httpx calls this before it reads."""
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - an async client gives no other
    response.stream = _BoundedStream(response.stream)


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._inner:
            size += len(part)
            if size > LARGEST_ANSWER:
                raise AnswerTooLarge
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


def describe(error: Exception) -> str:
    """A failed call in words, without addresses or secrets."""
    status = getattr(error, "status_code", None)
    if status in (401, 403):
        return f"it refused the key (HTTP {status}); check NOT_DIAMOND_API_KEY"
    if status == 429:  # noqa: PLR2004
        return "it is over its rate limit (HTTP 429)"
    if isinstance(status, int):
        return f"it answered HTTP {status}"
    if isinstance(error, AnswerTooLarge) or isinstance(error.__cause__, AnswerTooLarge):
        return f"its answer was larger than {LARGEST_ANSWER} bytes"
    if type(error).__name__ in ("APIConnectionError", "ConnectError", "ReadError", "RemoteProtocolError"):
        return "the connection to it failed"
    return f"its answer could not be read ({type(error).__name__})"


def _offer(model: Model) -> dict[str, Any]:
    provider, name = model.id.split("/", 1)
    return {
        "provider": provider,
        "model": name,
        "context_length": model.context_tokens,
        "input_price": model.input_usd_per_mtok,
        "output_price": model.output_usd_per_mtok,
    }


def _known(entry: object) -> NotDiamondModel | None:
    """An entry of the list of models, as far as it can be believed."""
    provider, name = getattr(entry, "provider", None), getattr(entry, "model", None)
    if not isinstance(provider, str) or not isinstance(name, str) or not provider or not name:
        return None
    context = getattr(entry, "context_length", None)
    return NotDiamondModel(
        id=f"{provider}/{name}",
        context_tokens=context if type(context) is int and context > 0 else None,
        input_usd_per_mtok=_price(getattr(entry, "input_price", None)),
        output_usd_per_mtok=_price(getattr(entry, "output_price", None)),
    )


def _price(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def _is_plain(text: str, longest: int) -> bool:
    return len(text) <= longest and text.isascii() and text.isprintable()


def _since(started: float) -> float:
    return time.monotonic() - started
