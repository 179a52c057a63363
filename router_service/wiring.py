"""Builds the router from its settings: the one place that knows which part stands behind which port."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from protos.router.v1 import router_pb2, router_pb2_grpc
from router_service import telemetry
from router_service.authentication import Authentication, Tokens
from router_service.breaker import Breaker
from router_service.catalog import Catalog
from router_service.consulting import Consulting
from router_service.credentials import check_exposure, check_metrics_exposure, configured_credentials, on_loopback
from router_service.errors import InvalidConfiguration
from router_service.learning import Learning, VerdictRefresh
from router_service.ledger import Ledger, open_ledger
from router_service.model_refresh import ModelRefresh
from router_service.not_diamond import NotDiamond
from router_service.pins import Pins
from router_service.recommendations import Recommendations
from router_service.reload import CatalogWatch
from router_service.selection import Selection
from router_service.servicer import RouterServicer
from router_service.settings import SHIPPED_CATALOG, Settings, load_catalog
from router_service.stores import Store, open_store
from router_service.tracing.span import NO_TRACER, Tracer
from router_service.unreadable import UnreadableMessages
from router_service.watch import Watchers

if TYPE_CHECKING:
    from router_service.metrics import Metrics

SERVICE = router_pb2.DESCRIPTOR.services_by_name["RouterService"].full_name
MAX_REQUEST_BYTES = 4 * 1024 * 1024
# Seconds that calls under way get to finish.
GRACE = 10.0
DAY = 86_400.0
# Rate and burst together must stay under Not Diamond's limit in any second.
BURST_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Router:
    """The parts that have a life of their own; `port` is where the server will listen."""

    server: grpc.aio.Server
    health: grpc_health.aio.HealthServicer
    port: int
    store: Store
    ledger: Ledger
    consulting: Consulting | None
    learning: VerdictRefresh
    reloading: CatalogWatch
    watchers: Watchers
    counting: Callable[[], Coroutine[None, None, None]] | None
    tracer: Tracer

    async def close(self) -> None:
        """Close everything; what the ledger has queued is written."""
        if self.consulting is not None:
            await self.consulting.close()
        await self.learning.close()
        await self.ledger.close()
        await self.store.close()
        await self.tracer.close()


def build(settings: Settings, catalog: Catalog) -> Router:
    """The router, ready to start; InvalidConfiguration when a setting does not allow it. Needs a running loop."""
    check_exposure(settings.listen, bool(settings.tls_cert), settings.trusted_network)
    tracer = _tracer(settings)
    check_metrics_exposure(settings.metrics_listen, settings.trusted_network)
    metrics = _metrics(settings)
    store = open_store(
        settings.redis_url,
        lambda problem: telemetry.event("store", problem=problem),
        op_timeout=settings.redis_timeout,
    )
    ledger = open_ledger(
        settings.ledger_url,
        settings.kept_decisions,
        settings.ledger_contents,
        settings.ledger_retention_days * DAY,
        lambda name, fields: telemetry.event(name, **fields),
        flush_interval=settings.ledger_flush,
    )
    breaker = Breaker(time.monotonic, failures=settings.not_diamond_failures)
    consulting = _consulting(settings, store, breaker)
    learning = Learning()
    learning.prepare(catalog)
    selection = Selection(catalog, consulting, Pins(store), settings.not_diamond_budget, time.time, learning)
    refresh = VerdictRefresh(learning, ledger, lambda problem: telemetry.event("learning", problem=problem))
    watchers = Watchers()
    servicer = RouterServicer(selection, ledger, watchers, settings.default_deadline, tracer)
    server = grpc.aio.server(
        interceptors=_interceptors(settings), options=_options(settings), maximum_concurrent_rpcs=settings.max_calls
    )
    router_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server)
    health = grpc_health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    # What is served is nobody's business where strangers may ask.
    if on_loopback(settings.listen) if settings.reflection is None else settings.reflection:
        names = (SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)

    def apply(fresh: Catalog) -> None:
        learning.prepare(fresh)
        selection.catalog = fresh

    paths = [SHIPPED_CATALOG, *(Path(part) for part in settings.config.split(os.pathsep) if part)]
    reloading = CatalogWatch(catalog, paths, lambda: load_catalog(settings.config), apply, _tell)
    port = _listen(settings, server)
    counting = _counting(metrics, selection, ledger, breaker, reloading)
    return Router(server, health, port, store, ledger, consulting, refresh, reloading, watchers, counting, tracer)


def _tracer(settings: Settings) -> Tracer:
    if problem := settings.trace_problem():
        raise InvalidConfiguration(problem)
    if not settings.traced:
        return NO_TRACER
    # Only a router that is asked to trace imports what takes long, and starts a thread that sends.
    from router_service.tracing.otlp import OtlpTracer  # noqa: PLC0415

    try:
        return OtlpTracer()
    except ValueError as error:
        # Of the variables that the library reads itself, such as those of its queue.
        raise InvalidConfiguration(f"OTEL_: the settings for traces do not go together: {error}") from None


def _metrics(settings: Settings) -> Metrics | None:
    if not settings.metrics_listen:
        return None
    # Only a router that is watched pays for the library.
    from router_service.metrics import Metrics  # noqa: PLC0415

    try:
        return Metrics(settings.metrics_listen)
    except OSError as error:
        problem = f"ROUTER_METRICS_LISTEN: {settings.metrics_listen} cannot be listened on: {error.strerror}"
        raise InvalidConfiguration(problem) from None


def _counting(
    metrics: Metrics | None, selection: Selection, ledger: Ledger, breaker: Breaker, reloading: CatalogWatch
) -> Callable[[], Coroutine[None, None, None]] | None:
    """What counts, for as long as it runs; None where nobody asks for it."""
    if metrics is None:
        return None
    from router_service.metrics import Watched  # noqa: PLC0415 - as above

    watched = Watched(
        models=lambda: selection.catalog.by_id,
        queued=lambda: ledger.queued,
        dropped=lambda: ledger.dropped,
        breaker=lambda: breaker.state,
        config_ok=lambda: not reloading.last_problem,
    )
    return partial(metrics.watch, watched)


def _consulting(settings: Settings, store: Store, breaker: Breaker) -> Consulting | None:
    if settings.not_diamond_key is None:
        return None
    client = NotDiamond(settings.not_diamond_key.get_secret_value(), settings.not_diamond_url)
    recommendations = Recommendations(
        client,
        store,
        ttl=settings.not_diamond_cache,
        rate=settings.not_diamond_rate,
        burst=max(1, round(settings.not_diamond_rate * BURST_SHARE)),
        hedge_after=settings.not_diamond_hedge,
        breaker=breaker,
    )
    return Consulting(client, recommendations, ModelRefresh(client), settings.not_diamond_feedback)


def _interceptors(settings: Settings) -> list[grpc.aio.ServerInterceptor]:
    known = [Authentication(Tokens(Path(settings.tokens_file), _tell), _tell)] if settings.tokens_file else []
    return [*known, UnreadableMessages()]


def _listen(settings: Settings, server: grpc.aio.Server) -> int:
    credentials = configured_credentials(settings.tls_cert, settings.tls_key, settings.tls_client_ca, _tell)
    try:
        if credentials is None:
            return server.add_insecure_port(settings.listen)
        return server.add_secure_port(settings.listen, credentials)
    except RuntimeError:
        problem = f"ROUTER_LISTEN: {settings.listen} cannot be listened on; is the port already in use?"
        raise InvalidConfiguration(problem) from None


def _tell(name: str, fields: Mapping[str, object]) -> None:
    tell = telemetry.problem if "problem" in fields else telemetry.event
    tell(name, **fields)


def _options(settings: Settings) -> list[tuple[str, int]]:
    """Channel arguments, as measured: connection age spreads load to new replicas; pings find a dead peer."""
    return [
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        ("grpc.max_connection_age_ms", int(settings.connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", int(GRACE * 1000)),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 500),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.so_reuseport", 0),
        # Beyond the calls that are served, so that a client with one connection is refused too.
        ("grpc.max_concurrent_streams", 2 * settings.max_calls),
    ]
