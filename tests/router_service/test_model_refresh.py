"""What Not Diamond says it knows is checked field by field, kept, and decides what it is offered; and our reports."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from router_service.model_refresh import Known, ModelRefresh
from router_service.not_diamond import NotDiamond, NotDiamondModel
from tests.fakes import not_diamond as fake
from tests.processes import NEVER, SHARED, wait_until
from tests.router_service.test_recommendations import model

GPT = {"provider": "openai", "model": "gpt", "context_length": 400_000, "input_price": 1.25, "output_price": 10}
OLD = {"provider": "openai", "model": "old", "context_length": 8_000, "input_price": 30, "output_price": 60.0}
LISTED = fake.document({"models": [GPT], "deprecated_models": [OLD], "total": 1})
BUDGET = 20.0


class WholeNotDiamond(fake.FakeNotDiamond):
    """Serves questions without a body too, such as GET /v2/models."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            request_line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.seen.append((request_line, headers, json.loads(body or b"{}")))
            await self.answer({}, writer)


@pytest.fixture
def hosted() -> Iterator[WholeNotDiamond]:
    server = WholeNotDiamond()
    server.answer = LISTED
    yield server
    server.close()


@pytest.fixture
async def client(hosted: WholeNotDiamond) -> AsyncIterator[NotDiamond]:
    opened = NotDiamond("k", hosted.url)
    yield opened
    await opened.close()


async def test_the_list_is_asked_for_as_recorded_and_read_with_the_deprecated_ones(hosted, client):
    assert set(await client.models(BUDGET)) == {
        NotDiamondModel("openai/gpt", 400_000, 1.25, 10.0),
        NotDiamondModel("openai/old", 8_000, 30.0, 60.0),
    }
    line, headers, _ = hosted.seen[0]
    assert line == "GET /v2/models HTTP/1.1"
    assert headers["authorization"] == "Bearer k"


@pytest.mark.parametrize(
    "answer",
    [
        fake.hang,
        fake.reset,
        fake.reply(401, b"{}"),
        fake.reply(429, b"{}", retry_after="30"),
        fake.reply(500, b"oops", "text/plain"),
        fake.reply(200, b"<html>hello</html>", "text/html"),
        fake.reply(200, b"not json"),
        fake.document({}),
        fake.document([]),
        fake.document(None),
        fake.document({"models": "openai"}),
        fake.document({"models": []}),
        fake.document({"models": [None, 3, {}, {"provider": "openai"}, {"provider": 1, "model": 2}]}),
        fake.document({"models": [GPT] * 10_000}),
    ],
)
async def test_no_usable_list_is_none_and_not_waited_for_for_ever(hosted, client, answer):
    hosted.answer = answer
    async with asyncio.timeout(NEVER):
        assert await client.models(0.3) is None
        await client.warm()


@pytest.mark.parametrize(
    ("field", "value"),
    [(name, value) for name in ("context_length", "input_price", "output_price") for value in (None, -1, "1", [], {})],
)
async def test_a_figure_that_is_none_is_not_believed_and_the_model_is_known_all_the_same(hosted, client, field, value):
    hosted.answer = fake.document({"models": [{**GPT, field: value}]})
    (known,) = await client.models(BUDGET)
    figures = {"context_length": 400_000, "input_price": 1.25, "output_price": 10.0, field: None}
    assert known == NotDiamondModel("openai/gpt", *figures.values())


async def test_an_active_model_wins_over_a_deprecated_one_of_its_name(hosted, client):
    hosted.answer = fake.document({"models": [GPT], "deprecated_models": [{**GPT, "input_price": 9}]})
    (known,) = await client.models(BUDGET)
    assert known.input_usd_per_mtok == 1.25


async def test_reports_have_the_recorded_form(hosted, client):
    await client.feedback("s", "openai/gpt-5", good=True)
    await client.latency("s", "openai/gpt-5", 55.5)
    lines = [(line, body) for line, _, body in hosted.seen]
    provider = {"provider": "openai", "model": "gpt-5"}
    assert lines == [
        (
            "POST /v2/report/metrics/feedback HTTP/1.1",
            {"session_id": "s", "provider": provider, "feedback": {"accuracy": 1}},
        ),
        (
            "POST /v2/report/metrics/latency HTTP/1.1",
            {"session_id": "s", "provider": provider, "feedback": {"tokens_per_second": 55.5}},
        ),
    ]
    for name, (_, body) in zip(("023_raw_feedback", "024_raw_latency"), lines, strict=True):
        record = SHARED / "notdiamond_wire" / f"{name}.json"
        if record.exists():
            assert json.loads(record.read_text())["body_json"] == body


@pytest.mark.parametrize("answer", [fake.hang, fake.reset, fake.reply(500, b""), fake.reply(200, b"<", "text/html")])
async def test_a_report_that_fails_is_nobodys_trouble(hosted, client, answer):
    hosted.answer = answer
    async with asyncio.timeout(NEVER):
        await client.feedback("s", "openai/gpt-5", good=False)


def test_until_it_is_known_everything_may_be_offered():
    models = (model("openai/gpt"), model("a/b"))
    assert Known().offerable(models) == (models, {})


def test_a_model_whose_provider_is_a_slug_is_never_offered_and_it_is_said_why():
    models = (model("openai/gpt"), model("@openai/gpt"))
    why = {"@openai/gpt": "@openai is a name that Not Diamond does not know"}
    listed = {"openai/gpt": NotDiamondModel("openai/gpt", None, None, None)}
    for known in (Known(), Known(listed)):
        assert known.offerable(models) == (models[:1], why)


def test_the_offer_has_not_diamonds_figures_and_only_what_it_knows():
    ours = (model("openai/gpt"), model("a/b"), model("openai/odd"))
    known = Known(
        {
            "openai/gpt": NotDiamondModel("openai/gpt", 400_000, 1.25, 10.0),
            "openai/odd": NotDiamondModel("openai/odd", None, 0.0, None),
        }
    )
    (gpt, odd), dropped = known.offerable(ours)
    assert (gpt.id, gpt.context_tokens, gpt.input_usd_per_mtok, gpt.output_usd_per_mtok) == (
        "openai/gpt", 400_000, 1.25, 10.0
    )  # fmt: skip
    assert (odd.context_tokens, odd.input_usd_per_mtok, odd.output_usd_per_mtok) == (1000, 0.0, 2)
    assert dropped == {"a/b": "Not Diamond does not know it"}
    assert ours[0].context_tokens == 1000


async def test_the_list_is_asked_for_at_the_start_and_again_and_the_last_good_one_is_kept(hosted, client):
    refresh = ModelRefresh(client, interval=0.05)
    assert refresh.known == Known()
    refresh.start()
    try:
        await asyncio.to_thread(wait_until, lambda: refresh.known.models is not None, "the first list")
        assert set(refresh.known.models) == {"openai/gpt", "openai/old"}
        hosted.answer = fake.reply(500, b"")
        seen = len(hosted.seen)
        await asyncio.to_thread(wait_until, lambda: len(hosted.seen) > seen + 2, "two more questions")
        assert set(refresh.known.models) == {"openai/gpt", "openai/old"}
        hosted.answer = fake.document({"models": [OLD]})
        await asyncio.to_thread(wait_until, lambda: set(refresh.known.models) == {"openai/old"}, "the new list")
    finally:
        await refresh.close()


async def test_one_that_was_never_started_closes(client):
    await ModelRefresh(client).close()
