"""Fixtures: edges with a page before real routers, and a real Chromium to look at it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from edge_gateway.access.entries import digest
from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.processes import NEVER, Process, free_port, http_ok, start_edge, start_router

KEY = "amr-" + "p" * 43
OPERATOR = "amr-" + "o" * 43
KEYS = f"""
[keys.alice]
sha256 = "{digest(KEY)}"

[keys.olga]
sha256 = "{digest(OPERATOR)}"
models = ["auto"]
"""
BATCH = 250


@dataclass
class House:
    """An edge with its page, and the router behind it."""

    page: str
    edge_url: str
    router_port: int
    router: Process
    edge: Process
    router_env: dict[str, str] = field(default_factory=dict)

    def restart_router(self) -> None:
        self.router = start_router(self.router_port, **self.router_env)

    def decide(self, number: int, **said: object) -> list[str]:
        """Have the router decide so many requests, as other services would; the decisions' ids."""
        ids: list[str] = []
        with grpc.insecure_channel(f"127.0.0.1:{self.router_port}") as channel:
            stub = router_pb2_grpc.RouterServiceStub(channel)
            while len(ids) < number:
                some = min(BATCH, number - len(ids))
                request = pb.SelectModelRequest(**{"profile": "auto", "purpose": pb.PURPOSE_CODE, **said})
                answer = stub.SelectModels(pb.SelectModelsRequest(requests=[request] * some), timeout=NEVER)
                ids += [result.decision.decision_id for result in answer.results]
        return ids

    def report(self, *ids: str, **said: object) -> None:
        """Tell the router how replies fared."""
        usual = {"outcome": pb.OUTCOME_APPLIED, "input_tokens": 1200, "output_tokens": 300}
        with grpc.insecure_channel(f"127.0.0.1:{self.router_port}") as channel:
            stub = router_pb2_grpc.RouterServiceStub(channel)
            reports = [pb.ReportOutcomeRequest(decision_id=name, **{**usual, **said}) for name in ids]
            for start in range(0, len(reports), BATCH):
                answer = stub.ReportOutcomes(
                    pb.ReportOutcomesRequest(reports=reports[start : start + BATCH]), timeout=NEVER
                )
                assert all(result.HasField("kept") for result in answer.results)


@contextmanager
def page_house(router_config: Path, edge_config: Path, portkey: int | None = None, **env: str) -> Iterator[House]:
    """A router and an edge of its own, with a page; without Portkey it can decide, and serve nothing."""
    router_port, edge_port, page_port = free_port(), free_port(), free_port()
    router_env = {"ROUTER_CONFIG": str(router_config)}
    router = start_router(router_port, **router_env)
    edge = start_edge(
        edge_port,
        **{
            "EDGE_PAGE_LISTEN": f"127.0.0.1:{page_port}",
            "EDGE_ROUTER": f"dns:///127.0.0.1:{router_port}",
            "EDGE_CONFIG": str(edge_config),
            "EDGE_CACHE_SECONDS": "0",
            **({"PORTKEY_BASE_URL": f"http://127.0.0.1:{portkey}/v1"} if portkey else {}),
            **env,
        },
    )
    house = House(
        f"http://127.0.0.1:{page_port}", f"http://127.0.0.1:{edge_port}", router_port, router, edge, router_env
    )
    try:
        yield house
    finally:
        edge.stop()
        house.router.stop()


@pytest.fixture(scope="module")
def empty(router_config: Path, edge_config: Path) -> Iterator[House]:
    """A house in which nothing has been decided yet."""
    with page_house(router_config, edge_config) as house:
        assert http_ok(house.page)
        yield house


@pytest.fixture(scope="module")
def busy(router_config: Path, edge_config: Path, portkey: int) -> Iterator[House]:
    """A house that serves, with some decisions and how their replies fared."""
    with page_house(router_config, edge_config, portkey) as house:
        ids = house.decide(12, conversation_id="talk-1")
        house.report(*ids[:8], time_to_first_byte={"nanos": 420_000_000}, latency={"seconds": 3})
        house.report(*ids[8:10], outcome=pb.OUTCOME_EDIT_FAILED, time_to_first_byte={"seconds": 2})
        yield house


@pytest.fixture(scope="module")
def guarded(router_config: Path, edge_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that asks for keys."""
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(KEYS)
    with page_house(router_config, edge_config, EDGE_API_KEYS_FILE=str(path), EDGE_PAGE_OPERATORS="olga") as house:
        yield house


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium, the machine's own. It holds an event loop in this thread: no module uses it beside async tests."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium here; as root on Debian scripts/test-servers.sh installs it")
    # Looked for again and again until it is there, so that it costs nothing.
    expect.set_options(timeout=NEVER * 1000)
    with sync_playwright() as playwright:
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=alone)
        yield browser
        browser.close()


@dataclass
class Visit:
    """An open page, and what its console said."""

    page: Page
    said: list[str]

    def expect_nothing_said(self) -> None:
        assert self.said == []


@pytest.fixture
def visit(chromium: Browser) -> Iterator:
    """Opens pages; what a console says of errors fails the test at its end, unless the test takes it out."""
    contexts = []
    visits: list[Visit] = []

    def open_page(url: str, **context: object) -> Visit:
        contexts.append(chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}))
        contexts[-1].set_default_timeout(NEVER * 1000)
        page = contexts[-1].new_page()
        visits.append(Visit(page, []))
        said = visits[-1].said

        def hear(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                said.append(message.text)

        page.on("console", hear)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        return visits[-1]

    yield open_page
    for context in contexts:
        context.close()
    for opened in visits:
        opened.expect_nothing_said()
