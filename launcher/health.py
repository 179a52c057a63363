"""Asks the started processes whether they are ready."""

import time
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException

from launcher.processes import GRPC_HEALTH, Process

ASK_EVERY_S = 0.1
ANSWER_WITHIN_S = 2.0
# Loopback must not go through a proxy that the environment names for the internet.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def is_ready(process: Process) -> bool:
    """Asks once, in the way the process answers: gRPC health, or a GET that must be 200."""
    if process.health == GRPC_HEALTH:
        return _grpc_serving(process.address.target)
    return _answer(process) is not None


def wait_until_ready(
    processes: Sequence[Process],
    within_s: float,
    stopping: Callable[[], bool],
    ready: Callable[[Process], bool] = is_ready,
) -> list[Process]:
    """Returns when all are ready, the time is up or `stopping` says so, with those that are not ready.

    `ready`: what that means of a process, if not that it answers.
    """
    deadline = time.monotonic() + within_s
    waiting = list(processes)
    while waiting and time.monotonic() < deadline and not stopping():
        waiting = [process for process in waiting if not ready(process)]
        if waiting:
            time.sleep(ASK_EVERY_S)
    return waiting


def says_all(process: Process) -> bool:
    """Whether its answer holds what it will once it has found the others."""
    return not process.says or process.says in (_answer(process) or b"")


def _answer(process: Process) -> bytes | None:
    """The body of a 200, None where there is none."""
    url = f"http://{process.address.target}{process.health}"
    try:
        with DIRECT.open(url, timeout=ANSWER_WITHIN_S) as response:
            return bytes(response.read()) if response.status == 200 else None  # noqa: PLR2004
    except (OSError, HTTPException):
        return None


def _grpc_serving(target: str) -> bool:
    # Imported here: honcho forks the processes first, and gRPC does not take well to being forked.
    import grpc  # noqa: PLC0415
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(  # type: ignore[attr-defined]
                health_pb2.HealthCheckRequest(service=""), timeout=ANSWER_WITHIN_S
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
