"""Who may connect, how, and what a stranger learns: nothing."""

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from router_service.authentication import Authentication, Tokens, read_tokens
from router_service.credentials import check_exposure, configured_credentials
from router_service.errors import InvalidConfiguration
from tests.certificates import Pair, authority, encrypted, issue
from tests.processes import NEVER, QUIET_ROUTER, ROOT, Process, free_port, grpc_serving, log_events, python, wait_until

TOKEN = "correct-horse-battery-staple"


def line(name: str, token: str) -> str:
    return f"{name} {hashlib.sha256(token.encode()).hexdigest()}\n"


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def replace(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    os.replace(beside, path)


# Exposure


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.8.9.10:1", "localhost:1", "[::1]:1"])
def test_loopback_may_be_served_in_the_clear(listen):
    check_exposure(listen, has_tls=False, trusted=False)


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "192.168.1.2:1", "router.internal:1"])
def test_elsewhere_needs_tls_or_a_network_said_to_be_trusted(listen):
    check_exposure(listen, has_tls=True, trusted=False)
    check_exposure(listen, has_tls=False, trusted=True)
    with pytest.raises(InvalidConfiguration, match=r"ROUTER_LISTEN: .*ROUTER_TLS_CERT.*ROUTER_TRUSTED_NETWORK=true"):
        check_exposure(listen, has_tls=False, trusted=False)


# Files that cannot be used


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def issued(tmp_path_factory: pytest.TempPathFactory, ca: Pair) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("issued")
    return {name: issue(folder, name, ca) for name in ("first", "second", "client")}


@pytest.fixture
def pair(tmp_path: Path, issued: dict[str, Pair]) -> Pair:
    """A certificate and key of the test's own, to be replaced."""
    copy = Pair(tmp_path / "server.pem", tmp_path / "server.key")
    shutil.copy(issued["first"].cert, copy.cert)
    shutil.copy(issued["first"].key, copy.key)
    return copy


def test_no_tls_is_configured_by_leaving_all_three_empty():
    assert configured_credentials("", "", "", print) is None


def test_a_tls_file_that_cannot_be_used_is_named_with_its_variable(pair, issued, tmp_path):
    nonsense, locked = tmp_path / "nonsense.pem", encrypted(issued["first"].key, tmp_path / "locked.key")
    nonsense.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    cases = [
        ((pair.cert, "", ""), "ROUTER_TLS_KEY: TLS needs it as well, since ROUTER_TLS_CERT is set"),
        (("", "", pair.cert), "ROUTER_TLS_CERT: TLS needs it as well, since ROUTER_TLS_CLIENT_CA is set"),
        (("/nowhere.pem", pair.key, ""), "ROUTER_TLS_CERT: /nowhere.pem cannot be read: No such file"),
        ((pair.cert, tmp_path, ""), f"ROUTER_TLS_KEY: {tmp_path} cannot be read: Is a directory"),
        ((nonsense, pair.key, ""), "ROUTER_TLS_CERT: .*nonsense.pem holds no certificate"),
        ((pair.key, pair.key, ""), "ROUTER_TLS_CERT: .*server.key holds no certificate"),
        ((pair.cert, pair.cert, ""), "ROUTER_TLS_KEY: .*server.pem holds no private key"),
        ((pair.cert, locked, ""), "ROUTER_TLS_KEY: .*locked.key holds no private key in PEM form without a passphrase"),
        ((pair.cert, issued["second"].key, ""), "ROUTER_TLS_KEY: .*second.key is not the key of the certificate in"),
        ((pair.cert, pair.key, nonsense), "ROUTER_TLS_CLIENT_CA: .*nonsense.pem holds no certificate"),
    ]
    for files, says in cases:
        with pytest.raises(InvalidConfiguration, match=says):
            configured_credentials(*map(str, files), print)


def test_a_wrong_line_of_the_tokens_file_is_named_and_not_repeated(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# whose\n\n{line('aider', TOKEN)}edge {TOKEN}\n")
    with pytest.raises(InvalidConfiguration, match=r"ROUTER_TOKENS_FILE: .*tokens, line 4 is not") as refused:
        read_tokens(path)
    assert TOKEN not in str(refused.value)
    with pytest.raises(InvalidConfiguration, match="ROUTER_TOKENS_FILE: /nowhere cannot be read"):
        read_tokens(Path("/nowhere"))


def test_a_new_token_is_printed_with_the_line_that_lets_it_in(tmp_path):
    command = [sys.executable, "-m", "router_service.authentication", "aider"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=NEVER, check=True)
    _, token, _, added = done.stdout.splitlines()
    path = tmp_path / "tokens"
    path.write_text(added)
    tokens = Tokens(path, lambda *_: None)
    assert tokens.knows(token)
    assert not tokens.knows(token[:-1])
    assert not tokens.knows("")
    nameless = subprocess.run(command[:-1], cwd=ROOT, capture_output=True, text=True, timeout=NEVER, check=False)
    assert (nameless.returncode, "usage" in nameless.stderr) == (2, True)


# Calls of every shape, through a server with nothing but the interceptor and the generated code.


class Answers(router_pb2_grpc.RouterServiceServicer):
    """One unary and one streaming call that always answer."""

    async def ListProfiles(self, request: Any, context: Any) -> pb.ListProfilesResponse:
        return pb.ListProfilesResponse()

    async def WatchDecisions(self, request: Any, context: Any) -> AsyncIterator[pb.WatchDecisionsResponse]:
        yield pb.WatchDecisionsResponse()
        yield pb.WatchDecisionsResponse()


class Guarded:
    """A server behind Authentication, a channel to it, and what it told."""

    def __init__(self, path: Path) -> None:
        self.told: list[tuple[str, dict]] = []
        interceptor = Authentication(Tokens(path, self.tell), self.tell)
        self.server = grpc.aio.server(interceptors=[interceptor])
        router_pb2_grpc.add_RouterServiceServicer_to_server(Answers(), self.server)
        health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), self.server)
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}")
        self.stub = router_pb2_grpc.RouterServiceStub(self.channel)

    def tell(self, name: str, fields: dict) -> None:
        self.told.append((name, fields))

    async def unary(self, metadata: Any) -> Any:
        return await self.stub.ListProfiles(pb.ListProfilesRequest(), metadata=metadata, timeout=NEVER)

    async def stream(self, metadata: Any) -> Any:
        return [entry async for entry in self.stub.WatchDecisions(pb.WatchDecisionsRequest(), metadata=metadata)]

    async def large(self, metadata: Any) -> Any:
        request = pb.SelectModelRequest(messages=[pb.Message(role="user", text="x" * 3_000_000)])
        return await self.stub.SelectModel(request, metadata=metadata, timeout=NEVER)

    async def unknown(self, metadata: Any) -> Any:
        call = self.channel.unary_unary("/router.v1.RouterService/NoSuchCall")
        return await call(b"", metadata=metadata, timeout=NEVER)


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Guarded]:
    guarded = Guarded(path)
    await guarded.server.start()
    yield guarded
    await guarded.channel.close()
    await guarded.server.stop(None)


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text("# who may call\n" + line("aider", TOKEN) + line("edge", "another"))
    return path


async def refusal(call: Any) -> tuple[grpc.StatusCode, str, str, str]:
    """Its code, its sentence, and its ErrorInfo's reason and domain."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    packed = dict(caught.value.trailing_metadata() or ()).get("grpc-status-details-bin")
    info = error_details_pb2.ErrorInfo()
    if packed:
        status = rpc_status.status_pb2.Status.FromString(packed)
        assert len(status.details) == 1
        assert status.details[0].Unpack(info)
    return caught.value.code(), caught.value.details() or "", info.reason, info.domain


async def test_a_known_token_opens_unary_and_streaming_calls(tokens_file):
    async with serving(tokens_file) as guarded:
        assert await guarded.unary(bearer(TOKEN)) == pb.ListProfilesResponse()
        assert await guarded.unary((("authorization", "bearer another"),)) == pb.ListProfilesResponse()
        assert len(await guarded.stream(bearer(TOKEN))) == 2
        assert (await refusal(guarded.unknown(bearer(TOKEN))))[0] is grpc.StatusCode.UNIMPLEMENTED
        assert guarded.told == []


@pytest.mark.parametrize("kind", ["unary", "stream", "large", "unknown"])
async def test_without_a_known_token_every_call_gets_the_same_refusal(tokens_file, kind):
    strangers = [
        (),
        bearer("wrong"),
        bearer(""),
        bearer(hashlib.sha256(TOKEN.encode()).hexdigest()),
        (("authorization", TOKEN),),
        (("authorization", f"Basic {TOKEN}"),),
        bearer(TOKEN) + bearer("wrong"),
        (("authorization-bin", TOKEN.encode()),),
    ]
    async with serving(tokens_file) as guarded:
        answers = {await refusal(getattr(guarded, kind)(metadata)) for metadata in strangers}
        ((code, sentence, reason, domain),) = answers
        assert (code, reason, domain) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "router.v1")
        assert "authorization: Bearer TOKEN" in sentence
        assert {fields["reason"] for _, fields in guarded.told} == {"UNAUTHENTICATED"}
        assert TOKEN not in str(guarded.told)


async def test_health_checks_need_no_token(tokens_file):
    async with serving(tokens_file) as guarded:
        check = health_pb2_grpc.HealthStub(guarded.channel).Check
        answer = await check(health_pb2.HealthCheckRequest(service=""), timeout=NEVER)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_changed_tokens_file_counts_from_the_next_call_and_a_broken_one_not_at_all(tokens_file):
    async with serving(tokens_file) as guarded:
        replace(tokens_file, line("aider", "fresh").encode())
        assert (await refusal(guarded.unary(bearer(TOKEN))))[0] is grpc.StatusCode.UNAUTHENTICATED
        await guarded.unary(bearer("fresh"))
        replace(tokens_file, b"aider fresh\n")
        await guarded.unary(bearer("fresh"))
        (problem,) = [fields["problem"] for name, fields in guarded.told if name == "tokens_refused"]
        assert "line 1" in problem
        replace(tokens_file, b"# nobody\n")
        assert (await refusal(guarded.unary(bearer("fresh"))))[0] is grpc.StatusCode.UNAUTHENTICATED


# Through the front door: these need the TLS, token and exposure settings wired in router_service/server.py.


@contextmanager
def router(**env: Any) -> Iterator[tuple[int, Process]]:
    """A router that may not answer in the clear, so its log says when it is ready."""
    port = free_port()
    settings = {"ROUTER_LISTEN": f"127.0.0.1:{port}", **QUIET_ROUTER}
    process = python("router_service", {**settings, **{name: str(value) for name, value in env.items()}})
    try:
        process.ready_when(lambda: bool(log_events(process, "listening")))
        yield port, process
    finally:
        process.stop()


def tls(pair: Pair, **env: Any) -> Any:
    return router(ROUTER_TLS_CERT=pair.cert, ROUTER_TLS_KEY=pair.key, **env)


def profiles(port: int, ca: Pair, client: Pair | None = None, metadata: Any = ()) -> Any:
    """One call over TLS on a connection of its own."""
    shown = (client.key.read_bytes(), client.cert.read_bytes()) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(ca.cert.read_bytes(), *shown)
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)
        return stub.ListProfiles(pb.ListProfilesRequest(), timeout=NEVER, metadata=metadata).profiles


def shown(port: int) -> str:
    """The certificate that a router shows to a new connection."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=NEVER)


def is_shown(port: int, pair: Pair) -> bool:
    return shown(port).strip() == pair.cert.read_text().strip()


def unavailable(port: int, *arguments: Any) -> bool:
    with pytest.raises(grpc.RpcError) as caught:
        profiles(port, *arguments)
    return caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_router_with_a_certificate_answers_over_tls_alone(pair, ca, tmp_path):
    with tls(pair) as (port, _):
        assert profiles(port, ca)
        assert not grpc_serving(port)
        assert unavailable(port, authority(tmp_path, "stranger"))


def test_a_router_with_a_client_authority_answers_only_its_clients(pair, ca, issued, tmp_path):
    stranger = issue(tmp_path, "stranger", authority(tmp_path, "another"))
    with tls(pair, ROUTER_TLS_CLIENT_CA=ca.cert) as (port, _):
        assert profiles(port, ca, issued["client"])
        assert unavailable(port, ca)
        assert unavailable(port, ca, stranger)


def test_a_replaced_certificate_is_shown_to_the_next_connection(pair, ca, issued):
    with tls(pair) as (port, process):
        assert is_shown(port, issued["first"])
        replace(pair.key, issued["second"].key.read_bytes())
        assert is_shown(port, issued["first"]), "a key without its certificate changes nothing"
        (refused,) = log_events(process, "certificate_refused")
        assert "is not the key of the certificate" in refused["problem"]
        replace(pair.cert, issued["second"].cert.read_bytes())
        assert is_shown(port, issued["second"])
        assert profiles(port, ca)
        assert len(log_events(process, "certificate_loaded")) == 1


def test_a_router_with_tokens_answers_their_holders_and_forgets_the_revoked(tokens_file, pair, ca):
    with tls(pair, ROUTER_TOKENS_FILE=tokens_file) as (port, process):
        assert profiles(port, ca, None, bearer(TOKEN))
        with pytest.raises(grpc.RpcError) as caught:
            profiles(port, ca)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        replace(tokens_file, line("edge", "another").encode())
        with pytest.raises(grpc.RpcError) as caught:
            profiles(port, ca, None, bearer(TOKEN))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        wait_until(lambda: len(log_events(process, "refused")) == 2, "both refusals are logged")
        assert TOKEN not in process.text()


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"ROUTER_LISTEN": "0.0.0.0:1"}, "ROUTER_TRUSTED_NETWORK=true"),
        ({"ROUTER_TLS_CERT": "/nowhere.pem"}, "ROUTER_TLS_KEY: TLS needs it as well"),
        ({"ROUTER_TLS_CERT": "/nowhere.pem", "ROUTER_TLS_KEY": "/nowhere.key"}, "ROUTER_TLS_CERT: /nowhere.pem"),
        ({"ROUTER_TOKENS_FILE": "/nowhere"}, "ROUTER_TOKENS_FILE: /nowhere cannot be read"),
    ],
)
def test_a_router_does_not_start_with_a_setting_that_would_leave_it_open(env, says):
    done = subprocess.run(
        [sys.executable, "-m", "router_service"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "ROUTER_LISTEN": "127.0.0.1:0", "ROUTER_LEDGER_URL": "memory:", **env},
        capture_output=True,
        text=True,
        timeout=NEVER,
        check=False,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
