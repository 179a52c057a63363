"""The router alone, asked over gRPC by a lean client: decisions a second, one a call and 64 a call, and how soon it is ready.

Router and client have the machine's cores between them; the router has a SQLite ledger, as shipped.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from bench.peers import ours
from bench.peers.bodies import NUMBER
from bench.peers.native import built
from bench.peers.peer import Place
from bench.peers.placement import cpu_seconds, rss_mb, tree
from bench.understanding import code
from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.processes import Process, free_port

BATCH, SECONDS, STARTS = 64, 3.0, 3
# Calls under way on the one connection.
STREAMS = {"SelectModel": 16, "SelectModels": 4}
SERVICE = "/router.v1.RouterService"
TEXT = code(2_000)


def question() -> pb.SelectModelRequest:
    """A new conversation's first request with 2 kB of prompt; the client writes its number over the mark."""
    asked = pb.SelectModelRequest(profile="auto", purpose=pb.PURPOSE_CODE, conversation_id=f"bench-{NUMBER}")
    asked.available_providers.extend(ours.providers())
    asked.messages.add(role="user", text=f"{NUMBER} {TEXT}")
    asked.requirements.input_tokens = 700
    return asked


def measure(rounds: int, scale: float) -> list[dict[str, Any]]:
    """Medians of the rounds, in which one decision a call and 64 take turns."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        place = Place(free_port(), Path(name), stack)
        started = [_started(place) for _ in range(STARTS)]
        for _, _, process in started[1:]:
            process.stop()
        _, port, process = started[0]
        messages = {
            "SelectModel": (1, question()),
            "SelectModels": (BATCH, pb.SelectModelsRequest(requests=[question()] * BATCH)),
        }
        _answered(port)
        files = {}
        for method, (_, message) in messages.items():
            files[method] = place.folder / method
            files[method].write_bytes(message.SerializeToString())
            _calls(port, method, files[method], 1.0, 1)
        runs: dict[str, list[dict[str, float]]] = {method: [] for method in messages}
        for number in range(rounds):
            for method, (each, _) in messages.items():
                calls = partial(_calls, port, method, files[method], SECONDS * scale, number + 2)
                runs[method].append(_run(process, calls, each))
        rows = [
            {"call": method, "decisions_each": messages[method][0], **_medians(run)} for method, run in runs.items()
        ]
        ready = {"start_to_ready_s": statistics.median(one[0] for one in started), "rss_mb": round(_rss(process), 1)}
    return [*rows, ready]


def _started(place: Place) -> tuple[float, int, Process]:
    began = time.monotonic()
    ((port, process),) = ours.routers(place)
    return round(time.monotonic() - began, 2), port, process


def _answered(port: int) -> None:
    """It decides each request of a batch, and not with a refusal."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        told = router_pb2_grpc.RouterServiceStub(channel).SelectModels(
            pb.SelectModelsRequest(requests=[question()] * 2), timeout=10
        )
    assert all(one.decision.model for one in told.results), told


def _calls(port: int, method: str, message: Path, seconds: float, number: int) -> dict[str, float]:
    argv = [str(built("rpc")), "--port", str(port), "--method", f"{SERVICE}/{method}", "--message", str(message)]
    argv += ["--connections", "1", "--streams", str(STREAMS[method]), "--seconds", str(seconds)]
    argv += ["--first", str(number * 10_000_000)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=seconds + 60)  # noqa: S603
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _run(process: Process, run: Callable[[], dict[str, float]], each: int) -> dict[str, float]:
    pids = tree([process.popen.pid])
    cpu = cpu_seconds(pids)
    told = run()
    cpu = cpu_seconds(pids) - cpu
    decided = told["served"] * each
    return {
        "per_second": decided / told["seconds"],
        "router_cpu_ms_each": 1000 * cpu / max(1, decided),
        "p50_ms": told["p50_ms"],
        "p99_ms": told["p99_ms"],
        "failed": told["failed"],
    }


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}


def _rss(process: Process) -> float:
    return rss_mb(tree([process.popen.pid]))
