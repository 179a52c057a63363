"""Whoever collects traces is gone or never answers: spans are lost, the logs say so, and no request hears of it."""

from tests.conftest import edge_beside, router_beside
from tests.fakes.collector import Collector
from tests.faults.asking import load, until
from tests.faults.row import Seen
from tests.faults.stage import Stage
from tests.faults.store_rows import all_served
from tests.processes import free_port

# A queue that is full after a few requests.
SMALL = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4", "OTEL_BSP_MAX_QUEUE_SIZE": "8"}


async def collector_gone(stage: Stage) -> Seen:
    return await traced(stage, f"http://127.0.0.1:{free_port()}")


async def collector_frozen(stage: Stage) -> Seen:
    collector = Collector(frozen=True)
    try:
        return await traced(stage, collector.url)
    finally:
        collector.close()


async def traced(stage: Stage, url: str) -> Seen:
    """Clients ask both services, which trace to this address, until both have said that they cannot."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, **SMALL}
    with (
        router_beside(stage.system, stage.router_config, **env) as routed,
        edge_beside(routed, stage.portkey, stage.edge_config, **env) as system,
    ):
        async with load(system.url, clients=4) as running:
            await running.reaches(60)
            for process in (system.edge, system.router):
                await until(lambda process=process: "tracing_problem" in process.text(), "the log says so")
    return all_served(running)
