"""How a router is reached, with both clients: TLS, both ways of it, a token, and plaintext where nobody else listens."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from router_client import NotAuthenticated, Question, Router, Tls, Unavailable
from router_client.connection import on_loopback
from router_service.authentication import digest
from tests.certificates import Pair, authority, issue
from tests.processes import ROOT, free_port, log_events, python

CODE = Question(profile="auto")
TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ways")


@pytest.fixture(scope="module")
def ca(folder: Path) -> Pair:
    return authority(folder)


@pytest.fixture(scope="module")
def guarded(folder: Path, ca: Pair) -> Iterator[str]:
    """A router that shows a certificate, asks for one, and for a token."""
    pair, tokens, port = issue(folder, "router", ca), folder / "tokens", free_port()
    tokens.write_text(f"tests {digest(TOKEN)}\n")
    settings = {
        "ROUTER_LISTEN": f"127.0.0.1:{port}",
        "ROUTER_LEDGER_URL": "memory:",
        "ROUTER_DRAIN_SECONDS": "0",
        "ROUTER_TLS_CERT": str(pair.cert),
        "ROUTER_TLS_KEY": str(pair.key),
        "ROUTER_TLS_CLIENT_CA": str(ca.cert),
        "ROUTER_TOKENS_FILE": str(tokens),
    }
    process = python("router_service", settings)
    process.ready_when(lambda: bool(log_events(process, "listening")))
    yield f"localhost:{port}"
    process.stop()


@pytest.fixture(scope="module")
def own(folder: Path, ca: Pair) -> Pair:
    return issue(folder, "service", ca)


async def test_who_shows_a_certificate_and_a_token_is_served(client, guarded, ca, own):
    async with client(guarded, tls=Tls(ca.cert, own.cert, str(own.key)), token=TOKEN) as router:
        assert (await router.select(CODE)).model
        assert await router.is_serving()
        async with router.watch():
            pass
    texts = Tls(ca.cert.read_bytes(), own.cert.read_bytes(), own.key.read_bytes())
    async with client(guarded, tls=texts, token=TOKEN) as router:
        assert (await router.select(CODE)).model


@pytest.mark.parametrize("token", ["", "another"])
async def test_without_a_known_token_nobody_is_served(client, guarded, ca, own, token):
    async with client(guarded, tls=Tls(ca.cert, own.cert, own.key), token=token) as router:
        with pytest.raises(NotAuthenticated, match="authorization: Bearer TOKEN") as caught:
            await router.select(CODE)
        assert caught.value.reason == "UNAUTHENTICATED"
        with pytest.raises(NotAuthenticated):
            async with router.watch():
                pass
        # Health is asked without a token.
        assert await router.is_serving()


async def test_a_router_that_nobody_vouches_for_is_not_asked(client, guarded, tmp_path, own):
    other = authority(tmp_path, "other")
    async with client(guarded, tls=Tls(other.cert, own.cert, own.key), token=TOKEN) as router:
        with pytest.raises(Unavailable, match="certificate"):
            await router.select(CODE)


async def test_the_name_in_the_routers_certificate_is_the_one_that_is_given(client, guarded, ca, own):
    address = guarded.replace("localhost", "127.0.0.1")
    async with client(address, tls=Tls(ca.cert, own.cert, own.key, "localhost"), token=TOKEN) as router:
        assert (await router.select(CODE)).model
    async with client(address, tls=Tls(ca.cert, own.cert, own.key, "elsewhere"), token=TOKEN) as router:
        with pytest.raises(Unavailable):
            await router.select(CODE)


def test_without_an_authority_those_of_grpc_count(guarded, ca, own):
    ask = (
        "import sys; from router_client import *\n"
        "target, cert, key, token = sys.argv[1:]\n"
        "with Router(target, tls=Tls(cert=cert, key=key), token=token) as router: print(len(router.profiles()))"
    )
    words = [sys.executable, "-c", ask, guarded, str(own.cert), str(own.key), TOKEN]
    roots = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(ca.cert)}
    asked = [
        subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
        for env in (roots, {})
    ]
    assert [done.returncode for done in asked] == [0, 1], asked
    assert "Unavailable" in asked[1].stderr


async def test_who_shows_no_certificate_where_one_is_asked_for_is_not_served(client, guarded, ca):
    async with client(guarded, tls=Tls(ca.cert), token=TOKEN) as router:
        with pytest.raises(Unavailable):
            await router.select(CODE)


async def test_a_router_with_tls_is_not_asked_in_plaintext(client, guarded):
    async with client(guarded, token=TOKEN) as router:
        with pytest.raises(Unavailable, match="has it TLS"):
            await router.select(CODE)


@pytest.mark.parametrize(
    "target", ["router:50051", "dns:///router:50051", "10.0.0.7:50051", "ipv4:127.0.0.1:1,10.0.0.7:1"]
)
async def test_plaintext_to_other_machines_has_to_be_asked_for(client, target):
    with pytest.raises(ValueError, match="plaintext=True where only machines you trust") as caught:
        client(target, token=TOKEN)
    assert "ROUTER_TRUSTED_NETWORK" in str(caught.value)
    assert TOKEN not in str(caught.value)
    async with client(target, plaintext=True):
        pass


@pytest.mark.parametrize(
    ("target", "loopback"),
    [
        ("127.0.0.1:50051", True),
        ("localhost:50051", True),
        ("dns:///localhost:50051", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:2", True),
        ("[::1]:50051", True),
        ("ipv6:[::1]:50051", True),
        ("unix:/run/router.sock", True),
        ("::1", True),
        ("localhost.example.org:50051", False),
        ("dns://127.0.0.1/router:50051", False),
        ("0.0.0.0:50051", False),
        ("[2001:db8::1]:50051", False),
        ("xds:///router", False),
        ("127.0.0.1.example.org:50051", False),
        ("", False),
    ],
)
def test_what_is_on_loopback(target: str, loopback: bool):
    assert on_loopback(target) == loopback


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"token": "two words"}, "token: "),
        ({"token": "new\nline"}, "token: "),
        ({"tls": Tls(cert=b"x")}, "tls: key"),
        ({"tls": Tls(key=b"x")}, "tls: cert"),
        ({"tls": Tls(), "plaintext": True}, "plaintext: "),
    ],
)
def test_what_does_not_go_together_is_said(arguments, says):
    with pytest.raises(ValueError, match=says):
        Router(**arguments)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Router(tls=Tls("/nowhere/ca.pem"))


def test_a_token_is_in_nothing_that_shows_a_client():
    with Router(token=TOKEN) as router:
        assert TOKEN not in repr(router) + repr(router._way)


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_a_key_is_shown_nowhere(name):
    pem = "-----BEGIN PRIVATE KEY-----\nsentinel\n-----END PRIVATE KEY-----\n"
    assert "sentinel" not in repr(Tls(**{name: pem.encode()}))
    both = {"cert": b"", "key": b"", name: pem}
    with pytest.raises(ValueError, match=f"tls: {name} is PEM in a str.*give PEM as bytes") as caught:
        Router(tls=Tls(**both))
    assert "sentinel" not in str(caught.value)
