"""Where the profile wishes it, a line at a stream's start says which model answers and why; the provider's bytes follow."""

import json
from collections.abc import Iterator

import pytest

from tests.conftest import System, edge_beside, router_beside
from tests.edge_gateway.test_completion import ask
from tests.fakes import provider as fake

MODELS = """
[profiles.told]
description = "Says who answers."
candidates = ["fake/first", "fake/second"]
cost_quality_tradeoff = 0
note = true
"""


@pytest.fixture(scope="module")
def telling(running: System, portkey: int, edge_config, router_config, tmp_path_factory) -> Iterator[System]:
    path = tmp_path_factory.mktemp("note") / "router.toml"
    path.write_text(MODELS)
    with router_beside(running, router_config, path) as routed, edge_beside(routed, portkey, edge_config) as told:
        yield told


def split(body: bytes) -> tuple[dict, bytes]:
    first, _, rest = body.partition(b"\n\n")
    return json.loads(first.removeprefix(b"data: ")), rest


async def test_a_stream_begins_with_who_answers_and_why_and_goes_on_as_the_provider_sent_it(http, system, telling):
    status, headers, body = await ask(http, telling, model="told", stream=True)
    note, rest = split(body)
    assert (status, rest) == (200, b"".join(fake.EVENTS))
    delta = note["choices"][0]["delta"]
    assert "content" not in delta
    assert delta["reasoning_content"] == f"fake/first answers: {headers['x-router-reason']}.\n"


async def test_after_a_failover_the_line_names_who_answers_in_whose_place(http, system, telling):
    telling.provider.script["first"] = fake.refuse(503)
    _, _, body = await ask(http, telling, model="told", stream=True)
    note, rest = split(body)
    assert rest == b"".join(fake.EVENTS)
    said = note["choices"][0]["delta"]["reasoning_content"]
    assert said.startswith("fake/second answers in place of fake/first, whose provider failed; ")


async def test_nobody_else_is_told(http, system, telling):
    assert (await ask(http, telling, model="auto", stream=True))[2] == b"".join(fake.EVENTS)
    assert (await ask(http, telling, model="told"))[2] == fake.PLAIN


async def test_the_line_does_not_count_as_a_word_of_the_model(http, system, telling):
    """A stream that says nothing of its own is still one that broke off."""
    telling.provider.script |= {"first": fake.cut_after(1, abort=False), "second": fake.cut_after(1, abort=False)}
    _, _, body = await ask(http, telling, model="told", stream=True)
    assert b'"code": "stream_truncated"' in body
