"""Without an address of a collector OpenTelemetry's SDK is not even imported; with a wrong setting the services say which.

Its API is, by FastAPI, which needs it: a few empty classes.
"""

import subprocess
import sys

import pytest

from edge_gateway import settings as edge_settings
from router_service import settings as router_settings
from tests.processes import ROOT

LOADED = """
import sys
{start}
print(sorted(name for name in sys.modules if name.startswith("opentelemetry.sdk") or ".otlp" in name))
"""
STARTS = {
    "edge_gateway": """
from edge_gateway import __main__, app, settings
application = app.create(settings.load(), settings.load_config(""))
""",
    "router_service": """
import asyncio
from router_service import __main__, settings, wiring
async def build():
    configured = settings.load()
    router = wiring.build(configured, settings.load_catalog(""))
    await router.close()
asyncio.run(build())
""",
}
NOWHERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "600000"}
QUIET = {"ROUTER_LEDGER_URL": "memory:", "ROUTER_LISTEN": "127.0.0.1:0"}


def run(argv: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", **QUIET, **env}
    return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def loaded(service: str, **env: str) -> str:
    done = run([sys.executable, "-c", LOADED.format(start=STARTS[service])], **env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


# What else may be set without an address, and what switches off all the same.
OFF = [
    {"OTEL_SERVICE_NAME": "mine", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    {**NOWHERE, "OTEL_SDK_DISABLED": "true", "FASTAPI_OTEL_AUTO_CONFIGURE": "true"},
]
WRONG = [
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT: it is no address such as"),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://:x"}, "it is no address such as"),
    ({**NOWHERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' is not spoken here"),
    ({**NOWHERE, "OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: 'zipkin' is not known here"),
    (
        {**NOWHERE, "OTEL_TRACES_SAMPLER": "mine"},
        "OTEL_TRACES_SAMPLER: 'mine' is not known here; give one of always_on",
    ),
    (
        {**NOWHERE, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"},
        "OTEL_TRACES_SAMPLER_ARG: 'half' is no share between 0 and 1",
    ),
]


@pytest.mark.parametrize("service", STARTS)
@pytest.mark.parametrize("env", OFF, ids=str)
def test_switched_off_neither_the_sdk_nor_an_exporter_is_imported(service, env):
    assert loaded(service, **env) == "[]"


@pytest.mark.parametrize("service", STARTS)
def test_switched_on_they_are(service):
    assert "opentelemetry.sdk.trace" in loaded(service, **NOWHERE)


@pytest.mark.parametrize("service", STARTS)
def test_a_wrong_setting_stops_a_service_with_a_sentence_that_names_it(service):
    env, says = WRONG[2]
    done = run([sys.executable, "-m", service], **env)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("env", "says"), WRONG)
def test_each_wrong_setting_is_named(monkeypatch, env, says):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert says in edge_settings.load().trace_problem(trusted=False)
    assert says in router_settings.load().trace_problem()


@pytest.mark.parametrize("env", [{}, *OFF, {**NOWHERE, "OTEL_TRACES_EXPORTER": "none"}], ids=str)
def test_what_is_wrong_is_nobodys_business_while_no_traces_are_sent(monkeypatch, env):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert not edge_settings.load().traced
    assert not router_settings.load().traced
    assert edge_settings.load().trace_problem(trusted=False) == router_settings.load().trace_problem() == ""


def test_contents_are_not_sent_in_the_clear_to_another_machine(monkeypatch):
    monkeypatch.setenv("EDGE_TRACE_CONTENTS", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.test:4318")
    says = "EDGE_TRACE_CONTENTS: collector.test is another machine, and without https"
    assert says in edge_settings.load().trace_problem(trusted=False)
    assert edge_settings.load().trace_problem(trusted=True) == ""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.test:4318")
    assert edge_settings.load().trace_problem(trusted=False) == ""
