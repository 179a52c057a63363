"""Wires the router and runs its gRPC server: health, reflection, limits, and a drain on SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, date, datetime

import grpc
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from protos.router.v1 import router_pb2, router_pb2_grpc
from router_service import telemetry
from router_service.catalog import Catalog
from router_service.errors import InvalidConfiguration
from router_service.ledger import MemoryLedger
from router_service.not_diamond import NotDiamond
from router_service.selection import Selection
from router_service.servicer import RouterServicer
from router_service.settings import Settings

SERVICE = router_pb2.DESCRIPTOR.services_by_name["RouterService"].full_name
MAX_REQUEST_BYTES = 4 * 1024 * 1024
# Seconds that calls under way get to finish.
GRACE = 10.0
NS = health_pb2.HealthCheckResponse.NOT_SERVING
OK = health_pb2.HealthCheckResponse.SERVING


def build(
    settings: Settings, catalog: Catalog
) -> tuple[grpc.aio.Server, grpc_health.aio.HealthServicer, NotDiamond | None, int]:
    """The server ready to start, its health, its Not Diamond client if there is a key, and its port."""
    recommender = None
    if settings.not_diamond_key is not None:
        recommender = NotDiamond(settings.not_diamond_key.get_secret_value(), settings.not_diamond_url)
    selection = Selection(catalog, recommender, settings.not_diamond_budget, _today)
    servicer = RouterServicer(selection, MemoryLedger(settings.kept_decisions), settings.default_deadline)
    server = grpc.aio.server(options=_options(settings))
    router_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server)
    health = grpc_health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if settings.reflection:
        names = (SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    try:
        port = server.add_insecure_port(settings.listen)
    except RuntimeError:
        problem = f"ROUTER_LISTEN: {settings.listen} cannot be listened on; is the port already in use?"
        raise InvalidConfiguration(problem) from None
    return server, health, recommender, port


async def serve(settings: Settings, catalog: Catalog) -> None:
    """Serve until SIGTERM or SIGINT, then drain: say NOT_SERVING, let clients turn away, finish what is under way."""
    server, health, recommender, port = build(settings, catalog)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await server.start()
    for name in ("", SERVICE):
        await health.set(name, OK)
    telemetry.event(
        "listening",
        address=settings.listen,
        port=port,
        models=len(catalog.models),
        profiles=list(catalog.profiles),
        not_diamond=recommender is not None,
    )
    await stopping.wait()
    telemetry.event("draining")
    for name in ("", SERVICE):
        await health.set(name, NS)
    await asyncio.sleep(settings.drain)
    await server.stop(GRACE)
    if recommender is not None:
        await recommender.close()
    telemetry.event("stopped")


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
    ]


def _today() -> date:
    return datetime.now(UTC).date()
