"""Makes the parts of the edge that its settings choose or leave out; what takes long to import is imported for those alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_gateway import telemetry
from edge_gateway.access.entries import InvalidKeys
from edge_gateway.access.keys import Keys
from edge_gateway.cache import MemoryStore, Store
from edge_gateway.circuits import Circuits
from edge_gateway.portkey.config import Emitter, Features, Hosted, OpenSource, unheeded
from edge_gateway.router_client.credentials import RouterCredentials
from edge_gateway.settings import Config, InvalidSetting, Settings
from edge_gateway.tracing.span import NO_TRACER, Tracer

if TYPE_CHECKING:
    from edge_gateway.circuit_news import CircuitNews
    from edge_gateway.metrics import Metrics
    from edge_gateway.page.server import PageServer

# What is told of keys, limits, kept answers and certificates that nobody has to look at.
GOOD_NEWS = frozenset({"keys_loaded", "spending_known", "limits_with_redis", "cache_with_redis", "certificate_loaded"})


def make_metrics(settings: Settings) -> Metrics | None:
    """The metrics, listening already; None where there are to be none."""
    if not settings.metrics_listen:
        return None
    # Only an edge that is watched pays for the library.
    from edge_gateway.metrics import Metrics  # noqa: PLC0415

    try:
        return Metrics(settings.metrics_listen)
    except OSError as error:
        raise InvalidSetting(
            f"EDGE_METRICS_LISTEN: {settings.metrics_listen} cannot be listened on: {error.strerror}"
        ) from None


def read_keys(settings: Settings) -> Keys | None:
    """Clients' keys; None where none is asked for."""
    if not settings.api_keys_file:
        return None
    try:
        return Keys(Path(settings.api_keys_file), tell)
    except InvalidKeys as error:
        raise InvalidSetting(f'EDGE_API_KEYS_FILE: {error} (`make keys ARGS="make NAME"` writes such a file)') from None


def make_page(
    settings: Settings, credentials: RouterCredentials, keys: Keys | None
) -> Callable[[Callable[[], Sequence[str]]], PageServer] | None:
    """What opens the page inside the event loop, given the providers that can be reached; None where there is to be none."""
    if not settings.page_listen:
        return None
    # Templates take long to import, so only an edge that has a page pays for them.
    from edge_gateway.page.server import PageServer, bind  # noqa: PLC0415

    listening = bind(settings.page_listen)
    return lambda available: PageServer(settings, listening, credentials.current, keys, available)


def make_emitter(settings: Settings, config: Config) -> Emitter:
    """How configs are written for the Portkey that is used."""
    cache = config.portkey.cache.model_dump(exclude_none=True) if config.portkey.cache and settings.hosted else {}
    features = Features(cache, config.portkey.input_guardrails, config.portkey.output_guardrails)
    for name, guardrails in (("input", features.input_guardrails), ("output", features.output_guardrails)):
        if not settings.hosted and (problem := unheeded(guardrails)):
            raise InvalidSetting(f"EDGE_CONFIG: portkey.{name}_guardrails: {problem}.")
    return Hosted(features) if settings.hosted else OpenSource(features)


def make_answer_store(settings: Settings, redis: str) -> Store:
    """Where answers are kept."""
    if not redis:
        return MemoryStore(settings.cache_bytes)
    # The client takes a fifth of a second to import, so only an edge that has a Redis pays for it.
    from edge_gateway.cache.redis import RedisStore  # noqa: PLC0415

    return RedisStore(redis, time.monotonic, tell, settings.cache_timeout)


def make_tracer(settings: Settings) -> Tracer:
    """Whoever traces requests, or nobody."""
    if not settings.traced:
        return NO_TRACER
    # Only an edge that is asked to trace imports what takes long, and starts a thread that sends.
    from edge_gateway.tracing.otlp import OtlpTracer  # noqa: PLC0415

    try:
        return OtlpTracer(contents=settings.trace_contents)
    except ValueError as error:
        # Of the variables that the library reads itself, such as those of its queue.
        raise InvalidSetting(f"OTEL_: the settings for traces do not go together: {error}") from None


def make_circuit_news(redis: str, circuits: Circuits) -> CircuitNews | None:
    """What edges tell each other of models that fail; None where there is no Redis to tell it by."""
    if not redis:
        return None
    from edge_gateway.circuit_news import CircuitNews  # noqa: PLC0415

    return CircuitNews(redis, circuits)


def tell(name: str, fields: Mapping[str, object]) -> None:
    """A line of the log: news, or a problem that somebody should look at."""
    tell = telemetry.event if name in GOOD_NEWS else telemetry.problem
    tell(name, **fields)
