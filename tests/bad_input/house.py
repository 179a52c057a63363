"""The services that the bad inputs are sent to: an edge with keys, real Portkey behind a tap, two routers, a fake provider."""

import contextlib
import hashlib
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import certificates
from tests.conftest import EDGE_CONFIG, REMEMBERING_NOTHING, ROUTER_CONFIG
from tests.end_to_end.header_tap import HeaderTap
from tests.fakes.not_diamond import FakeNotDiamond, hang
from tests.fakes.provider import FakeProvider
from tests.processes import Process, free_port, log_events, python, start_edge, start_portkey, start_router

# Alice may ask for everything, Bob for one profile.
ALICE, BOB = "amr-alice-of-the-bad-input-suite", "amr-bob-of-the-bad-input-suite"
TOKEN = "token-of-the-bad-input-suite"
# Time limits as short as their tests can bear: a server that keeps none of them is found out all the same.
HEADER_SECONDS, BODY_SECONDS = 2.0, 3.0
DEADLINE_SECONDS, CONNECTION_SECONDS = 1.0, 2.0
MOST_CALLS = 200
# Decisions are kept in memory here; a flood of calls must not be taken for a leak.
KEPT_DECISIONS = "200"
PROVIDER_FORMS = 'forms = ["chat", "responses", "completions", "embeddings"]'
# No model's context stands in the way of the largest body.
ROUTER = (
    ROUTER_CONFIG.replace("context_tokens = 900000", "context_tokens = 90000000")
    + """
[tenants.nobody]
deny = ["*"]
"""
)


@dataclass
class House:
    """The running services. `secure` is a router as in production, with TLS and tokens, whose Not Diamond never answers."""

    edge: Process
    edge_port: int
    router: Process
    router_port: int
    secure: Process
    secure_port: int
    authority: Path
    provider: FakeProvider
    tap: HeaderTap
    trap: "Trap"

    def forget(self) -> None:
        """Empty what was remembered of earlier cases."""
        self.provider.reset()
        self.tap.asked.clear()


class Trap:
    """A server that nobody has any business with; it counts who comes all the same."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=16)
        self._listening.setblocking(False)
        self.port = self._listening.getsockname()[1]
        self._visits = 0

    def visits(self) -> int:
        """How many have come so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listening.accept()[0].close()
                self._visits += 1
        return self._visits

    def close(self) -> None:
        self._listening.close()


@contextlib.contextmanager
def running() -> Iterator[House]:
    """Everything started, and stopped again."""
    with tempfile.TemporaryDirectory(prefix="bad-input-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        provider, hosted, trap = FakeProvider(), FakeNotDiamond(), Trap()
        hosted.answer = hang
        portkey_port, router_port, edge_port, secure_port = (free_port() for _ in range(4))

        def up(process: Process) -> Process:
            stack.callback(process.stop)
            return process

        for fake in (provider, hosted, trap):
            stack.callback(fake.close)
        up(start_portkey(portkey_port))
        tap = HeaderTap(f"http://127.0.0.1:{portkey_port}")
        stack.callback(tap.close)
        catalog = folder / "router.toml"
        catalog.write_text(ROUTER)
        router = up(
            start_router(
                router_port,
                ROUTER_CONFIG=str(catalog),
                ROUTER_MAX_CALLS=str(MOST_CALLS),
                ROUTER_KEPT_DECISIONS=KEPT_DECISIONS,
            )
        )
        authority = certificates.authority(folder)
        secure = up(
            _secure_router(folder, authority, secure_port, ROUTER_CONFIG=str(catalog), NOTDIAMOND_BASE_URL=hosted.url)
        )
        edge = up(_edge(folder, provider, tap, edge_port, router_port))
        yield House(edge, edge_port, router, router_port, secure, secure_port, authority.cert, provider, tap, trap)


def _secure_router(folder: Path, authority: certificates.Pair, port: int, **env: str) -> Process:
    pair = certificates.issue(folder, "router", authority)
    tokens = folder / "tokens"
    tokens.write_text(f"suite {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    process = python(
        "router_service",
        {
            "ROUTER_LISTEN": f"127.0.0.1:{port}",
            "ROUTER_DRAIN_SECONDS": "0",
            "ROUTER_LEDGER_URL": "memory:",
            "ROUTER_KEPT_DECISIONS": KEPT_DECISIONS,
            "ROUTER_TLS_CERT": str(pair.cert),
            "ROUTER_TLS_KEY": str(pair.key),
            "ROUTER_TOKENS_FILE": str(tokens),
            "ROUTER_REFLECTION": "false",
            "ROUTER_MAX_CONNECTION_AGE_SECONDS": str(CONNECTION_SECONDS),
            "ROUTER_DEFAULT_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
            "ROUTER_NOT_DIAMOND_BUDGET_SECONDS": "30",
            "NOT_DIAMOND_API_KEY": "k",
            **env,
        },
    )
    return process.ready_when(lambda: bool(log_events(process, "listening")))


def _edge(folder: Path, provider: FakeProvider, tap: HeaderTap, port: int, router_port: int) -> Process:
    keys, config = folder / "keys.toml", folder / "edge.toml"
    known = {"alice": (ALICE, "*"), "bob": (BOB, "auto-weak")}
    keys.write_text(
        "".join(
            f'[keys.{name}]\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\nmodels = ["{models}"]\n'
            for name, (key, models) in known.items()
        )
    )
    fake = EDGE_CONFIG.format(provider=provider.url, nobody=free_port())
    every_form = fake.replace("[providers.fake]\n", f"[providers.fake]\n{PROVIDER_FORMS}\n")
    config.write_text(f'{every_form}\n[providers.anthropic]\nbase_url = "{provider.url}"\n')
    return start_edge(
        port,
        EDGE_ROUTER=f"dns:///127.0.0.1:{router_port}",
        EDGE_CONFIG=str(config),
        EDGE_API_KEYS_FILE=str(keys),
        PORTKEY_BASE_URL=f"{tap.url}/v1",
        ANTHROPIC_API_KEY="k-anthropic",
        EDGE_HEADER_TIMEOUT_SECONDS=str(HEADER_SECONDS),
        EDGE_BODY_TIMEOUT_SECONDS=str(BODY_SECONDS),
        **REMEMBERING_NOTHING,
    )
