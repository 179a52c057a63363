"""The machine lets the services down: a full disk, a log that nobody takes, broken files, a clock that jumps."""

import asyncio
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.conftest import REMEMBERING_NOTHING, System, router_beside
from tests.fakes import provider as fake
from tests.faults.asking import ask, load, until
from tests.faults.edge_rows import asked, paced
from tests.faults.keys import make_key
from tests.faults.provider_answers import WHOLE, all_models, told
from tests.faults.row import Seen
from tests.faults.stage import Stage
from tests.processes import NEVER, PATIENT_EDGE, QUIET_ROUTER, Process, free_port, grpc_serving, http_ok, log_events

NO_FAKETIME = "libfaketime is not installed; run: apt-get install libfaketime"
FULL = "/dev/full"
# Its reader ends after the first line.
CLOSED = ">(head -n 1 >/dev/null)"


def limited(pid: int, what: str, limit: int) -> None:
    """Limit a running process as prlimit(1) names it."""
    subprocess.run(["prlimit", f"--pid={pid}", f"--{what}={limit}"], check=True, timeout=NEVER)


@contextmanager
def logging_to(stage: Stage, where: str) -> Iterator[System]:
    """A router and an edge whose log goes there."""
    router_port, edge_port = free_port(), free_port()
    router = _started("router_service", where, {
        **QUIET_ROUTER,
        "ROUTER_LISTEN": f"127.0.0.1:{router_port}",
        "ROUTER_CONFIG": str(stage.router_config),
    })  # fmt: skip
    try:
        # An edge that finds no router tries again after a second, and decides by itself meanwhile.
        router.ready_when(lambda: grpc_serving(router_port))
        edge = _started("edge_gateway", where, {
            **PATIENT_EDGE,
            **REMEMBERING_NOTHING,
            "EDGE_LISTEN": f"127.0.0.1:{edge_port}",
            "EDGE_ROUTER": f"ipv4:127.0.0.1:{router_port}",
            "EDGE_CONFIG": str(stage.edge_config),
            "PORTKEY_BASE_URL": f"http://127.0.0.1:{stage.portkey}/v1",
        })  # fmt: skip
        try:
            edge.ready_when(lambda: http_ok(f"http://127.0.0.1:{edge_port}/readyz"))
            yield System(f"http://127.0.0.1:{edge_port}", router_port, stage.provider, router, edge)
        finally:
            edge.stop()
    finally:
        router.stop()


def _started(module: str, where: str, env: Mapping[str, str]) -> Process:
    return Process(["bash", "-c", f"exec {shlex.quote(sys.executable)} -m {module} 2> {where}"], env, module)


async def log_nowhere(stage: Stage, where: str) -> Seen:
    with logging_to(stage, where) as system:
        slowest = 0.0
        for streamed in (True, False) * 3:
            answer = await ask(system.url, stream=streamed)
            assert answer.body == (WHOLE if streamed else fake.PLAIN)
            assert answer.source in ("local", "only_candidate"), answer.headers.get("x-router-reason")
            slowest = max(slowest, answer.seconds)
        assert (await ask(system.url, model="nope")).status == 404
        assert system.edge.popen.poll() is None
        assert system.router.popen.poll() is None
    return Seen("200", slowest)


async def log_on_a_full_disk(stage: Stage) -> Seen:
    return await log_nowhere(stage, FULL)


async def log_that_nobody_reads(stage: Stage) -> Seen:
    return await log_nowhere(stage, CLOSED)


def put(path: Path, text: str) -> None:
    """Replace a file at once: whoever looks meanwhile finds the old one, and never an empty one."""
    beside = path.with_suffix(".beside")
    beside.write_text(text)
    beside.replace(path)


async def broken_router_configuration(stage: Stage) -> Seen:
    path = stage.folder / "changing.toml"
    path.write_text(stage.router_config.read_text())
    with (
        router_beside(stage.system, path) as routed,
        stage.edge(EDGE_ROUTER=f"ipv4:127.0.0.1:{routed.router_port}") as system,
    ):
        put(path, "[profiles.auto\nthis is no TOML")
        await until(lambda: log_events(routed.router, "configuration_refused"), "the refusal")
        assert str(path) in log_events(routed.router, "configuration_refused")[0]["problem"]
        answer = await ask(system.url, stream=True)
        assert (answer.body, answer.served) == (WHOLE, "fake/first")
        assert http_ok(f"{system.url}/readyz")
        assert grpc_serving(routed.router_port)
    return told(answer)


async def broken_keys_file(stage: Stage) -> Seen:
    """Those who were known stay known, and nobody else gets in."""
    path = stage.folder / "broken-keys.toml"
    known = {"authorization": f"Bearer {make_key(path)}"}
    with stage.edge(EDGE_API_KEYS_FILE=str(path)) as system:
        put(path, "[keys\nthis is no TOML")
        async with asyncio.timeout(NEVER):
            while not log_events(system.edge, "keys_refused"):
                assert (await ask(system.url, headers=known)).status == 200
        answer = await ask(system.url, headers=known, stream=True)
        assert answer.body == WHOLE
        assert (await ask(system.url)).status == 401
        path.unlink()
        again = await ask(system.url, headers=known, stream=True)
        assert again.body == WHOLE
    return told(answer)


def _faketime() -> Path:
    found = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if found is None:
        pytest.skip(NO_FAKETIME)
    return found


async def clock_jumps(stage: Stage, by: str) -> Seen:
    """Both services' clocks jump while streams are under way; what they measure time with does not."""
    clock = stage.folder / "clock"
    clock.write_text("+0")
    env = {
        "LD_PRELOAD": str(_faketime()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    all_models(stage, paced(2))
    with (
        stage.router(**env) as routed,
        stage.edge(EDGE_ROUTER=f"ipv4:127.0.0.1:{routed.router_port}", **env) as system,
    ):
        tasks = await asked(stage, system, 5)
        clock.write_text(by)
        await until(lambda: abs(_shown(system) - time.time()) > 3000, "the clock's jump")
        answers = await asyncio.gather(*tasks)
        assert [answer.body for answer in answers] == [WHOLE] * 5, [answer.told() for answer in answers]
        stage.reset()
        async with load(system.url, clients=4) as running:
            await running.reaches(60)
        assert (running.failed(), running.without_router()) == ([], [])
    return Seen("200", running.slowest())


def _shown(system: System) -> float:
    """What the edge takes the time to be, as its answers say."""
    with urllib.request.urlopen(f"{system.url}/healthz", timeout=NEVER) as answer:
        return parsedate_to_datetime(answer.headers["date"]).timestamp()


async def clock_ahead(stage: Stage) -> Seen:
    return await clock_jumps(stage, "+3600")


async def clock_behind(stage: Stage) -> Seen:
    return await clock_jumps(stage, "-3600")
