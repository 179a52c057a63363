"""One run of everything, well and badly, with a sentinel for each secret; then nothing written or sent holds a piece of one."""

import asyncio
import json
import threading
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from tests.fakes import not_diamond as not_diamond_says
from tests.fakes import provider as fake
from tests.fakes.behaviours import Behaviour, stream
from tests.fakes.breaking import after_reading
from tests.observability.scrape import exposition
from tests.processes import log_events, wait_until
from tests.security.canary_house import House, canary_house
from tests.security.sentinels import Sentinels, found

pytestmark = pytest.mark.timeout(300)
JSON = "application/json"


@dataclass
class Run:
    """What came back to clients: by what was asked, status, headers and body."""

    house: House
    answers: list[tuple[str, int, bytes, bytes]] = field(default_factory=list)

    async def ask(self, http: aiohttp.ClientSession, what: str, edge: str, path: str, sent: dict, headers: dict):
        async with http.post(self.house.edges[edge] + path, json=sent, headers=headers) as answer:
            told = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
            try:
                body = await answer.read()
            except aiohttp.ClientPayloadError:
                body = b""
            self.answers.append((f"{edge} {what}", answer.status, told, body))


def saying_badly(secrets: Sentinels) -> dict[str, Behaviour]:
    """What a provider may do with the key, the prompt and the reply, all of it bad."""
    key, reply = secrets.provider_key, secrets.reply
    told = f"Incorrect API key provided: {key}. Send it as 'Authorization: Bearer {key}', or look at https://p.invalid/?key={key}"
    openai = json.dumps({"error": {"message": told, "type": "invalid_request_error", "code": key}})
    texts = {
        "openai": openai,
        "detail": json.dumps({"detail": told}),
        "text": json.dumps(told),
        "in quotes": json.dumps({"error": {"message": f'"{key}"', "code": None}}),
        "nested": json.dumps({"error": {"message": {"key": key, "header": f"Bearer {key}"}}}),
        "page": f"<html><h1>{key}</h1>{reply}</html>",
        "broken": '{"error": {"message": "' + key,
        "masked by half": json.dumps({"error": {"message": f"key {key[:12]}**** is wrong"}}),
    }

    def says(status: int, text: str, kind: str) -> Behaviour:
        async def behave(request: web.Request, body: dict) -> web.StreamResponse:
            odd = {"www-authenticate": f"Bearer {key}", "set-cookie": f"k={key}", "x-ratelimit-reset": "1"}
            return web.Response(status=status, text=text, content_type=kind, headers=odd)

        return behave

    made = {
        f"{status} {name}": says(status, text, "text/html" if name == "page" else JSON)
        for status in (401, 404, 429, 500)
        for name, text in texts.items()
    }
    made["200 page"] = says(200, texts["page"], "text/html")
    made["200 broken"] = says(200, f'{{"choices":[{{"message":{{"content":"{reply}"', JSON)
    made["200 bad json"] = says(200, f"{reply} {key}", JSON)
    made["200 error"] = says(200, openai, JSON)
    return made


def streams(secrets: Sentinels, read: threading.Event) -> dict[str, Behaviour]:
    word = json.dumps({"choices": [{"index": 0, "delta": {"content": secrets.reply}}]}).encode()
    begun = (b"data: " + word + b"\n\n",)

    async def error_first(request: web.Request, body: dict) -> web.StreamResponse:
        return await stream(request, (b'data: {"error":{"message":"no: %s"}}\n\n' % secrets.provider_key.encode(),))

    async def bad_json(request: web.Request, body: dict) -> web.StreamResponse:
        return await stream(request, (b"data: {%s\n\n" % secrets.reply.encode(),))

    return {
        "cut": after_reading(read, begun, abort=True),
        "ended too soon": after_reading(read, begun),
        "error first": error_first,
        "bad json": bad_json,
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    with canary_house(tmp_path_factory.mktemp("canary")) as house:
        made = Run(house)
        asyncio.run(everything(made))
        yield made


async def everything(run: Run) -> None:
    house, secrets = run.house, run.house.secrets
    mine = {"authorization": f"Bearer {secrets.client_key}"}
    async with aiohttp.ClientSession() as http:
        for edge in house.edges:
            await well(run, http, edge, mine)
            await badly(run, http, edge, mine)
            await strangers(run, http, edge)


def asked(secrets: Sentinels, number: int, **more: object) -> dict:
    # Another text each time, so that Not Diamond is asked each time.
    said = f"{secrets.prompt} {number}"
    return {"model": "auto", "messages": [{"role": "user", "content": said}], "user": secrets.prompt, **more}


async def well(run: Run, http: aiohttp.ClientSession, edge: str, mine: dict) -> None:
    house, secrets = run.house, run.house.secrets
    for script in (house.provider.script, house.hosted.script):
        script.update({model: fake.saying(secrets.reply) for model in ("first", "second")})
    answers = [
        not_diamond_says.recommend("fake", "second"),
        not_diamond_says.reply(401, json.dumps({"detail": f"no key {secrets.not_diamond_key}"}).encode()),
        not_diamond_says.reply(400, json.dumps({"detail": f"bad prompt {secrets.prompt}"}).encode()),
        not_diamond_says.reply(200, f"<html>{secrets.not_diamond_key} {secrets.prompt}</html>".encode(), "text/html"),
        not_diamond_says.document({"providers": [{"provider": secrets.prompt, "model": secrets.not_diamond_key}]}),
        not_diamond_says.reset,
    ]
    for number, answer in enumerate(answers):
        house.not_diamond.answer = answer
        for streamed in (False, True):
            sent = asked(secrets, number, stream=streamed, temperature=0)
            for what in ("served", "served again"):
                await run.ask(http, what, edge, "/v1/chat/completions", sent, mine)


async def badly(run: Run, http: aiohttp.ClientSession, edge: str, mine: dict) -> None:
    house, secrets = run.house, run.house.secrets
    number = 100
    read = threading.Event()
    read.set()
    for streamed, behaviours in (
        (False, saying_badly(secrets)),
        (True, saying_badly(secrets)),
        (True, streams(secrets, read)),
    ):
        for what, behaviour in behaviours.items():
            for script in (house.provider.script, house.hosted.script):
                script.update(dict.fromkeys(("first", "second"), behaviour))
            number += 1
            await run.ask(http, what, edge, "/v1/chat/completions", asked(secrets, number, stream=streamed), mine)
    wrong = [
        {"model": "auto", "messages": [{"role": "user", "content": {secrets.prompt: 1}}]},
        {"model": "auto", "messages": [{"role": {"a": secrets.prompt}, "content": secrets.prompt}]},
        {"model": "auto", "messages": secrets.prompt},
        {"model": "auto", "messages": [], "x": secrets.prompt},
        {"model": "fake/none", "messages": [{"role": "user", "content": secrets.prompt}], "max_tokens": secrets.prompt},
    ]
    for sent in wrong:
        for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions", "/v1/embeddings"):
            await run.ask(http, "wrong", edge, path, sent, mine)


async def strangers(run: Run, http: aiohttp.ClientSession, edge: str) -> None:
    secrets = run.house.secrets
    wrong = secrets.wrong_client_key
    for headers in (
        {"authorization": f"Bearer {wrong}"},
        {"authorization": f"Basic {wrong}"},
        {"x-api-key": wrong},
        {"api-key": f"{wrong},{secrets.client_key}"},
        {"authorization": f"Bearer {secrets.client_key} {secrets.client_key}"},
        {"authorization": f"Bearer {secrets.client_key[:-1]}"},
    ):
        await run.ask(http, "stranger", edge, "/v1/chat/completions", asked(secrets, 999), headers)


def test_the_sentinels_were_on_their_way(run):
    """Without this, that none is found would mean nothing."""
    house, secrets = run.house, run.house.secrets
    assert {seen.headers["Authorization"] for seen in house.provider.seen} == {f"Bearer {secrets.provider_key}"}
    assert all(secrets.prompt in seen.raw.decode() for seen in house.provider.seen)
    assert {handled.headers["x-portkey-api-key"] for handled in house.hosted.handled} == {secrets.portkey_key}
    assert {headers["authorization"] for _, headers, _ in house.not_diamond.seen} == {
        f"Bearer {secrets.not_diamond_key}"
    }
    assert secrets.prompt in str(house.not_diamond.seen)
    statuses = [status for _, status, _, _ in run.answers]
    assert {200, 400, 401, 404, 429, 503} <= set(statuses)
    assert statuses.count(200) > 60
    replies = [body for _, status, _, body in run.answers if status == 200 and secrets.reply.encode() in body]
    assert len(replies) > 20
    assert house.decisions() > 100
    assert any(b"x-router-source: not_diamond" in told for _, _, told, _ in run.answers)
    assert any(b"edge_gateway; hit" in told for _, _, told, _ in run.answers)


def test_no_log_holds_a_piece_of_a_sentinel(run):
    logs = run.house.logs()
    assert sum(map(len, logs.values())) > 10_000
    assert {
        name: hits for name, text in logs.items() if (hits := found(run.house.secrets.all_but(), text.encode()))
    } == {}


def test_no_metric_holds_a_piece_of_a_sentinel(run):
    shown = {name: exposition(port) for name, port in run.house.metrics.items()}
    assert len(shown) == 4
    assert all("_total{" in text for text in shown.values())
    everything = run.house.secrets.all_but()
    assert {name: hits for name, text in shown.items() if (hits := found(everything, text.encode()))} == {}


def test_no_header_that_went_back_holds_a_piece_of_a_sentinel(run):
    everything = run.house.secrets.all_but()
    assert {what: hits for what, _, told, _ in run.answers if (hits := found(everything, told))} == {}


def test_no_answer_holds_a_piece_of_a_key(run):
    keys = run.house.secrets.all_but("prompt", "reply")
    hits = {what: (hits, body[:300]) for what, _, _, body in run.answers if (hits := found(keys, body))}
    assert hits == {}


def test_no_error_holds_a_piece_of_a_prompt_or_a_reply(run):
    texts = {"prompt": run.house.secrets.prompt, "reply": run.house.secrets.reply}
    hits = {what: body[:300] for what, status, _, body in run.answers if status >= 400 and found(texts, body)}
    assert hits == {}


def test_the_ledger_holds_none(run):
    router = run.house.processes[0]
    wait_until(lambda: run.house.decisions() >= len(log_events(router, "decided")), "the ledger to have been written")
    held = run.house.ledger()
    assert len(held) > 50_000
    assert found(run.house.secrets.all_but(), held) == []


def test_redis_holds_the_kept_answers_and_nothing_else(run):
    """SECURITY.md says so of the answers; that they are found shows that the search would find the others."""
    assert found(run.house.secrets.all_but(), run.house.redis_dump()) == ["reply"]


def test_no_command_line_holds_one(run):
    lines = run.house.command_lines()
    assert all(name in lines for name in (b"router_service", b"edge_gateway", b"start-server.js"))
    assert found(run.house.secrets.all_but(), lines) == []


def test_what_is_said_of_a_redis_that_is_gone_holds_no_password(run):
    """Last, for nothing shared is kept from here on."""
    house = run.house
    house.redis.kill()

    async def again() -> None:
        async with aiohttp.ClientSession() as http:
            mine = {"authorization": f"Bearer {house.secrets.client_key}"}
            for edge in house.edges:
                sent = asked(house.secrets, 10_000, temperature=0)
                await run.ask(http, "without Redis", edge, "/v1/chat/completions", sent, mine)

    asyncio.run(again())
    edges = house.processes[2:]
    wait_until(lambda: all("redis" in edge.text().lower() for edge in edges), "the edges to tell of it")
    assert {
        name: hits for name, text in house.logs().items() if (hits := found(house.secrets.all_but(), text.encode()))
    } == {}
