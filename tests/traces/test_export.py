"""Whoever collects traces may be slow, gone or wrong: no request waits for it or fails by it, and neither does the end."""

import signal

import pytest

from tests.conftest import System
from tests.fakes.collector import Collector
from tests.faults.asking import ask, load
from tests.processes import free_port, log_events, wait_until
from tests.traces.house import REQUEST, TracedHouse, new_parent, sending_to


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.close()


def gone(_: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}


def frozen(collector: Collector) -> dict[str, str]:
    collector.frozen = True
    return sending_to(collector)


def failing(collector: Collector) -> dict[str, str]:
    collector.status = 500
    return sending_to(collector)


def busy(collector: Collector) -> dict[str, str]:
    collector.status = 503
    return sending_to(collector)


@pytest.mark.parametrize("harmed", [gone, frozen, failing, busy])
async def test_requests_are_served_all_the_same_and_the_end_waits_for_no_one(house, collector, harmed):
    # A queue that is full at once, and time-outs longer than anybody waits.
    long = {"OTEL_EXPORTER_OTLP_TIMEOUT": "600", "OTEL_BSP_EXPORT_TIMEOUT": "600000"}
    small = {
        **long,
        "OTEL_BSP_MAX_QUEUE_SIZE": "8",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    with house.edge(**{**harmed(collector), **small}) as system:
        async with load(system.url, clients=4, model="auto-weak") as running:
            await running.reaches(40)
        assert running.failed() == []
        assert running.without_router() == []
        wait_until(lambda: log_events(system.edge, "tracing_problem") != [], "a line that says so")
        # One that waited for what it sends would be killed in the end.
        assert system.edge.stop() == 0


async def test_what_is_not_sent_yet_is_sent_at_the_end(house, collector):
    never = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    trace_id, parent = new_parent()
    with house.edge(**never) as system:
        assert (await ask(system.url, headers={"traceparent": parent})).status == 200
        assert collector.spans == []
        assert system.edge.stop(signal.SIGTERM) == 0
    assert REQUEST in [span.name for span in collector.trace(trace_id, 3)]


async def test_the_standard_variables_are_heeded(house, collector):
    standard = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=collectors-own",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_SERVICE_NAME": "front-door",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=staging",
    }
    with house.edge(**standard) as system:
        trace_id, parent = new_parent()
        await ask(system.url, headers={"traceparent": parent})
        span = collector.trace(trace_id, 3)[0]
    assert (span.service, span.resource["deployment.environment.name"]) == ("front-door", "staging")
    assert collector.headers[0]["api-key"] == "collectors-own"
    assert "collectors-own" not in system.edge.text()


async def test_a_sampler_that_takes_none_sends_none(house, collector):
    none = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    with house.edge(**sending_to(collector), **none) as system:
        await answered(house, system)
        assert system.edge.stop() == 0
    assert collector.raw == []


async def answered(house: TracedHouse, system: System) -> None:
    assert (await ask(system.url)).status == 200
