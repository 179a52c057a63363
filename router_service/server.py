"""Runs the router's gRPC server from start to drained end."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from grpc_health.v1 import health_pb2

from router_service import telemetry
from router_service.catalog import Catalog
from router_service.settings import Settings
from router_service.wiring import GRACE, SERVICE, Router, build

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING


async def serve(settings: Settings, catalog: Catalog) -> None:
    """Serve until SIGTERM or SIGINT, then drain: say NOT_SERVING, let clients turn away, finish what is under way."""
    router = build(settings, catalog)
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, router.reloading.reload)
    reloading = asyncio.create_task(router.reloading.run())
    counting = asyncio.create_task(router.counting()) if router.counting is not None else None
    if router.consulting is not None:
        router.consulting.start()
    if router.ledger.durable:
        router.learning.start()
    await router.server.start()
    await _say(router, SERVING)
    telemetry.event(
        "listening",
        address=settings.listen,
        port=router.port,
        models=len(catalog.models),
        profiles=list(catalog.profiles),
        not_diamond=router.consulting is not None,
    )
    await stopping.wait()
    telemetry.event("draining")
    await _say(router, NOT_SERVING)
    await asyncio.sleep(settings.drain)
    router.watchers.close()
    await router.server.stop(GRACE)
    reloading.cancel()
    if counting is not None:
        counting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reloading
    await router.close()
    telemetry.event("stopped")


async def _say(router: Router, status: int) -> None:
    for name in ("", SERVICE):
        await router.health.set(name, status)
