"""Clients with keys: who is let in, for what, and how much, through the running edge with real limits and the real ledger."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import System
from tests.edge_gateway.aider_process import AiderProcess
from tests.fakes import provider as fake
from tests.fakes.behaviours import whole
from tests.processes import NEVER, ROOT, Process, free_port, log_events, log_line, start_edge, start_router, wait_until
from tests.redis_server import RedisServer

MESSAGES = [{"role": "user", "content": "hi"}]
# The price of a reply that fake/second gives: a million input tokens cost a dollar, a million output tokens two.
USAGE = {"prompt_tokens": 50, "completion_tokens": 500}
PRICE = 0.00105


@dataclass
class Door:
    """An edge that asks for keys, with its keys file and its ledger."""

    folder: Path
    system: System
    portkey: int
    edge_config: Path
    router_config: Path
    settings: dict[str, str]

    def __post_init__(self) -> None:
        self.file = self.folder / "keys.toml"
        self.file.touch()
        self.router_port = free_port()
        self.router = start_router(
            self.router_port,
            ROUTER_CONFIG=str(self.router_config),
            ROUTER_LEDGER_URL=f"sqlite:///{self.folder / 'ledger.sqlite'}",
        )
        self.edges: list[Process] = []

    def key(self, name: str, *options: str) -> str:
        """Make a key with the command that users have."""
        argv = [sys.executable, "-m", "console", "keys", "make", name, "--file", str(self.file), *options]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
        return next(word for word in done.stdout.split() if word.startswith("amr-"))

    def revoke(self, name: str) -> None:
        argv = [sys.executable, "-m", "console", "keys", "revoke", name, "--file", str(self.file)]
        subprocess.run(argv, cwd=ROOT, capture_output=True, check=True, timeout=60)

    def open(self) -> str:
        """Start an edge; its address."""
        port = free_port()
        self.edges.append(
            start_edge(
                port,
                EDGE_ROUTER=f"dns:///127.0.0.1:{self.router_port}",
                EDGE_CONFIG=str(self.edge_config),
                PORTKEY_BASE_URL=f"http://127.0.0.1:{self.portkey}/v1",
                EDGE_API_KEYS_FILE=str(self.file),
                EDGE_CACHE_SECONDS="0",
                EDGE_CIRCUIT_FAILURES="0",
                **self.settings,
            )
        )
        return f"http://127.0.0.1:{port}/v1"

    def close(self) -> None:
        for process in (*self.edges, self.router):
            process.stop()


@pytest.fixture
def door(tmp_path: Path, system: System, portkey: int, edge_config: Path, router_config: Path) -> Iterator[Door]:
    made = Door(tmp_path, system, portkey, edge_config, router_config, {})
    yield made
    made.close()


async def ask(http: aiohttp.ClientSession, url: str, key: str, *, header: str = "authorization", **body):
    value = f"Bearer {key}" if header == "authorization" else key
    sent = {"model": "auto-weak", "messages": MESSAGES, "max_tokens": 500, **body}
    async with http.post(f"{url}/chat/completions", json=sent, headers={header: value}) as answer:
        return answer.status, answer.headers, json.loads(await answer.read())


async def priced(request, body):
    return whole(json.dumps({**json.loads(fake.PLAIN), "usage": USAGE}).encode())


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
async def test_a_key_opens_the_door_and_nothing_else_does(http, door, header):
    key = door.key("alice")
    url = door.open()
    assert (await ask(http, url, key, header=header))[0] == 200
    for wrong in (key[:-1], key + "x", "' OR '1'='1"):
        status, _, answer = await ask(http, url, wrong, header=header)
        assert (status, answer["error"]["type"]) == (401, "authentication_error")
    async with http.get(f"{url}/models") as answer:
        assert answer.status == 401
        assert "make keys" in (await answer.json())["error"]["message"]
    assert len(door.system.provider.seen) == 1
    assert key not in door.edges[0].text()
    assert log_line(door.edges[0], "completion")["key"] == "alice"


async def test_a_revoked_key_is_refused_within_seconds_and_a_new_one_let_in(http, door):
    key = door.key("alice")
    url = door.open()
    assert (await ask(http, url, key))[0] == 200
    door.revoke("alice")
    other = door.key("bob")
    await until(lambda: ask(http, url, key), 401)
    await until(lambda: ask(http, url, other), 200)


async def until(request, status: int) -> None:
    """Ask again until it is answered so: revoking and reconciling take up to some seconds."""
    async with asyncio.timeout(NEVER):
        while (await request())[0] != status:
            pass


async def test_a_key_asks_only_for_what_it_may_and_sees_nothing_else_listed(http, door):
    key = door.key("alice", "--models", "auto-weak", "--models", "fake/s*")
    url = door.open()
    assert (await ask(http, url, key))[0] == 200
    assert (await ask(http, url, key, model="fake/second"))[0] == 200
    status, _, answer = await ask(http, url, key, model="auto")
    error = answer["error"]
    assert (status, error["type"], error["code"]) == (403, "invalid_request_error", "model_not_allowed")

    def listed() -> bool:
        return bool(log_events(door.edges[0], "listening"))

    wait_until(listed, "the edge's start")
    async with asyncio.timeout(NEVER):
        names: set[str] = set()
        while "fake/second" not in names:
            async with http.get(f"{url}/models", headers={"x-api-key": key}) as found:
                names = {entry["id"] for entry in (await found.json())["data"]}
    assert names == {"auto-weak", "fake/second"}


async def test_requests_beyond_the_limit_wait_for_the_minute_to_pass(http, door):
    key = door.key("alice", "--requests-per-minute", "3")
    url = door.open()
    statuses = [(await ask(http, url, key))[0] for _ in range(3)]
    status, headers, answer = await ask(http, url, key)
    assert (statuses, status) == ([200] * 3, 429)
    assert 1 <= int(headers["retry-after"]) <= 60
    assert (answer["error"]["type"], answer["error"]["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert "alice" in answer["error"]["message"]


@pytest.mark.parametrize("shared", [False, True])
async def test_a_budget_is_never_passed_by_more_than_one_request_and_survives_a_restart(
    http, tmp_path, system, portkey, edge_config, router_config, shared
):
    """200 clients at once; then everything is started anew."""
    redis = RedisServer() if shared else None
    settings = {"EDGE_REDIS_URL": redis.url} if redis else {}
    door = Door(tmp_path, system, portkey, edge_config, router_config, {"EDGE_LIMIT_WAIT_SECONDS": "60", **settings})
    try:
        budget = 20 * PRICE
        key = door.key("alice", "--budget-usd-per-day", f"{budget - PRICE / 2}")
        system.provider.script["second"] = priced
        urls = [door.open()] + ([door.open()] if shared else [])
        await until(lambda: ask(http, urls[0], key), 200)
        answers = await asyncio.gather(*(ask(http, urls[number % len(urls)], key) for number in range(200)))
        refused = [answer["error"] for status, _, answer in answers if status != 200]
        served = 1 + sum(status == 200 for status, _, _ in answers)
        assert {error["code"] for error in refused} == {"budget_exceeded"}
        assert {error["type"] for error in refused} == {"invalid_request_error"}
        # What is spent passes the budget by one request's part at most.
        assert served == len(system.provider.seen) == 20
        for edge in door.edges:
            edge.stop()
        if redis is not None:
            redis.command("FLUSHALL")
        url = door.open()
        await until(lambda: ask(http, url, key), 403)
        assert len(system.provider.seen) == 20
    finally:
        door.close()
        if redis is not None:
            redis.close()


async def test_while_the_router_has_told_no_prices_a_budget_is_a_matter_of_trying_again(http, door):
    key, free = door.key("alice", "--budget-usd-per-day", "1"), door.key("bob")
    door.router.stop()
    url = door.open()
    status, headers, answer = await ask(http, url, key)
    assert (status, answer["error"]["code"], headers["retry-after"]) == (503, "budget_unknown", "2")
    status, headers, _ = await ask(http, url, free, model="auto")
    assert (status, headers["x-router-source"]) == (200, "edge_default")


async def test_of_200_clients_at_once_as_many_are_served_as_a_minute_has_requests(http, door):
    key = door.key("alice", "--requests-per-minute", "50")
    url = door.open()
    answers = await asyncio.gather(*(ask(http, url, key) for _ in range(200)))
    assert [status for status, _, _ in answers].count(200) == len(door.system.provider.seen) == 50


async def test_of_200_clients_at_once_no_more_are_served_than_a_minute_has_tokens(http, door):
    tokens = sum(USAGE.values())
    key = door.key("alice", "--tokens-per-minute", str(10 * tokens))
    url = door.open()
    door.system.provider.script["second"] = priced
    answers = await asyncio.gather(*(ask(http, url, key) for _ in range(200)))
    served = [status for status, _, _ in answers].count(200)
    assert served == len(door.system.provider.seen)
    # One may pass the limit, and the claims of the last ones are larger than what they use.
    assert 9 <= served <= 11


async def test_of_200_clients_at_once_no_more_are_under_way_than_may(http, door):
    under_way, most = 0, 0

    async def counted(request, body):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return await fake.answer(request, body)

    key = door.key("alice", "--parallel", "5")
    door.settings = {"EDGE_LIMIT_WAIT_SECONDS": "60"}
    url = door.open()
    door.system.provider.script["second"] = counted
    answers = await asyncio.gather(*(ask(http, url, key) for _ in range(200)))
    assert {status for status, _, _ in answers} == {200}
    assert 2 <= most <= 5


async def test_what_a_failed_request_claimed_is_given_back(http, door):
    key = door.key("alice", "--parallel", "1", "--budget-usd-per-day", "1")
    url = door.open()
    await until(lambda: ask(http, url, key), 200)
    for bad in (fake.refuse(400), fake.page(200), fake.cut_after(0, abort=True)):
        door.system.provider.script["second"] = bad
        for _ in range(2):
            status, _, _ = await ask(http, url, key)
            assert status in (400, 503)
    status, _, _ = await ask(http, url, key, model="nobody")
    assert status == 404
    door.system.provider.script.clear()
    assert (await ask(http, url, key))[0] == 200


@pytest.mark.parametrize(("field", "wanted"), [("n", 200), ("max_tokens", 400)])
async def test_a_number_that_is_no_amount_of_money_is_no_fault_of_ours(http, door, field, wanted):
    key = door.key("alice", "--budget-usd-per-day", "1")
    url = door.open()
    await until(lambda: ask(http, url, key), 200)
    assert (await ask(http, url, key, **{field: 10**400}))[0] == wanted


async def test_a_request_that_fits_no_target_gives_its_place_back(http, door):
    rules = '[adaptations]\ndrop_temperature = ["fake/first"]\n'
    text = door.edge_config.read_text().replace("verbatim", 'forms = ["chat", "completions"]\nverbatim', 1)
    door.edge_config = door.folder / "edge.toml"
    door.edge_config.write_text(text + rules)
    key = door.key("alice", "--parallel", "1")
    url = door.open()
    body = b'{"model": "fake/first", "prompt": "hi", "temperature": 1e999}'
    headers = {"content-type": "application/json", "x-api-key": key}
    for _ in range(2):
        async with http.post(f"{url}/completions", data=body, headers=headers) as answer:
            assert answer.status == 200


async def test_a_client_that_leaves_gives_its_place_back(http, door):
    async def slow(request, body):
        response = await fake.stream(request, fake.EVENTS[:1])
        await asyncio.Event().wait()
        return response

    key = door.key("alice", "--parallel", "1")
    url = door.open()
    door.system.provider.script["second"] = slow
    body = {"model": "auto-weak", "messages": MESSAGES, "stream": True}
    async with http.post(f"{url}/chat/completions", json=body, headers={"x-api-key": key}) as answer:
        assert await answer.content.readany()
    door.system.provider.script.clear()
    assert (await ask(http, url, key))[0] == 200


async def test_what_is_answered_under_a_lease_gives_its_place_back_though_the_router_is_away(http, door):
    key = door.key("alice", "--parallel", "1")
    url = door.open()
    system = replace(door.system, url=url.removesuffix("/v1"), router_port=door.router_port)
    aider = AiderProcess(http, system, key)
    assert (await aider.ask("what is it?", "A function that adds.")).headers["x-router-source"] != "edge_default"
    door.router.stop()
    for text in ("and why?", "why so?", "really?"):
        answer = await aider.ask(text, "Because.")
        assert answer.status == 200
        assert answer.headers["x-router-reason"].endswith("as leased")


def test_a_keys_file_that_cannot_be_used_stops_the_edge_with_a_sentence(tmp_path: Path):
    file = tmp_path / "keys.toml"
    file.write_text('[keys.alice]\nsha256 = "short"\n')
    environment = {"PATH": "/usr/bin:/bin", "EDGE_API_KEYS_FILE": str(file), "EDGE_LISTEN": f"127.0.0.1:{free_port()}"}
    argv = [sys.executable, "-m", "edge_gateway"]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"edge_gateway: EDGE_API_KEYS_FILE: {file}")
    assert "alice" in done.stderr
