"""What a provider sends is what the client gets, and what a client sends is what Portkey gets, byte for byte."""

import hashlib
import http.client
import itertools
import json
import random
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import System, edge_beside
from tests.fakes import anthropic, openai_forms, openai_responses
from tests.fakes.provider import FakeProvider

# Real processes and sockets take a few milliseconds an example.
REAL = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
BIG = st.sampled_from([2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30])
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), BIG, st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
WRITTEN = st.builds(
    lambda value, ascii_only, blanks: json.dumps(value, ensure_ascii=ascii_only, indent=2 if blanks else None),
    VALUES,
    st.booleans(),
    st.booleans(),
)


def chunk(text: str, extra: str) -> bytes:
    said = json.dumps({"content": text}, ensure_ascii=False)
    line = '{"id":"c1","choices":[{"index":0,"delta":%s,"finish_reason":null}],"extra":%s}'
    return b"data: " + (line % (said, extra.replace("\n", " "))).encode()


EVENTS = st.lists(
    st.one_of(
        st.builds(chunk, TEXTS, WRITTEN),
        st.sampled_from([b": comment", b": gr\xc3\xbc\xc3\x9f", b"event: x\ndata: {}", b"id: 7\nretry: 10\ndata: {}"]),
    ),
    max_size=6,
)
FINISH = (b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}', b"data: [DONE]")


def in_pieces(whole: bytes, seed: int) -> list[bytes]:
    """The bytes cut anywhere: within a character, a word, a line, a boundary."""
    drawn = random.Random(seed)
    cuts = sorted({0, len(whole), *(drawn.randrange(len(whole) + 1) for _ in range(drawn.randrange(20)))})
    return [whole[start:end] for start, end in itertools.pairwise(cuts)]


def sending(pieces: list[bytes], media_type: str):
    async def behave(request, body):
        response = web.StreamResponse(headers={"content-type": media_type})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    return behave


def post(url: str, path: str, body: bytes) -> tuple[int, bytes]:
    """A request written byte for byte as it stands."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@REAL
@given(events=EVENTS, boundary=st.sampled_from([b"\n\n", b"\r\n\r\n"]), seed=st.integers(0, 10**6))
def test_a_streams_bytes_come_back_as_they_were_sent(running: System, events, boundary, seed):
    whole = b"".join(event + boundary for event in (*events, *FINISH))
    running.provider.reset()
    running.provider.script["first"] = sending(in_pieces(whole, seed), "text/event-stream")
    body = b'{"model":"auto","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    status, came = post(running.url, "/v1/chat/completions", body)
    assert (status, digest(came)) == (200, digest(whole))


@REAL
@given(extra=WRITTEN, text=TEXTS, seed=st.integers(0, 10**6))
def test_a_plain_answers_bytes_come_back_as_they_were_sent(running: System, extra, text, seed):
    message = json.dumps({"role": "assistant", "content": text}, ensure_ascii=False)
    whole = b'{ "choices" :[{"index":0,"message":%s,"finish_reason":"stop"}],\r\n "extra":%s}' % (
        message.encode(),
        extra.encode(),
    )
    running.provider.reset()
    running.provider.script["first"] = sending(in_pieces(whole, seed), "application/json")
    body = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
    status, came = post(running.url, "/v1/chat/completions", body)
    assert (status, digest(came)) == (200, digest(whole))


class Recorder:
    """Stands where Portkey stands, keeps the bytes that reach it, and answers with what each form's provider would."""

    def __init__(self) -> None:
        self.provider = FakeProvider()

    @property
    def came(self) -> bytes:
        return self.provider.seen[-1].raw


@pytest.fixture(scope="module")
def recorded(running: System, edge_config) -> Iterator[tuple[str, Recorder]]:
    recorder = Recorder()
    with edge_beside(running, 0, edge_config, PORTKEY_BASE_URL=recorder.provider.url) as edge:
        yield edge.url, recorder
    recorder.provider.close()


@REAL
@given(
    extra=WRITTEN, name=TEXTS.filter(lambda name: name not in ("model", "messages")), content=TEXTS, front=st.booleans()
)
def test_a_requests_bytes_reach_portkey_as_they_were_sent(recorded, extra, name, content, front):
    url, recorder = recorded
    odd = f"{json.dumps(name)}:{extra}".encode()
    usual = b'"messages":\r\n[{"role":"user","content":%s}] , "model":"fake/first"' % json.dumps(content).encode()
    body = b"{ " + b",".join([odd, usual] if front else [usual, odd]) + b"\n}"
    status, _ = post(url, "/v1/chat/completions", body)
    assert status == 200
    assert digest(recorder.came) == digest(body)


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/v1/responses", {"model": "fake/first", "input": "hi"}, openai_responses.PLAIN),
        ("/v1/responses", {"model": "fake/first", "input": "hi", "stream": True}, b"".join(openai_responses.EVENTS)),
        ("/v1/completions", {"model": "fake/first", "prompt": "hi"}, openai_forms.COMPLETION),
        (
            "/v1/completions",
            {"model": "fake/first", "prompt": "hi", "stream": True},
            b"".join(openai_forms.COMPLETION_EVENTS),
        ),
        ("/v1/embeddings", {"model": "fake/first", "input": "hi"}, openai_forms.EMBEDDING),
    ],
)
def test_every_form_comes_back_as_it_was_sent_through_the_real_gateway(forms: System, path, body, answer):
    forms.provider.reset()
    status, came = post(forms.url, path, json.dumps(body).encode())
    assert (status, digest(came)) == (200, digest(answer))
    assert {**forms.provider.seen[0].body, "model": "fake/first"} == body


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_form_comes_back_as_it_was_sent_through_the_real_gateway(forms: System, stream):
    forms.provider.reset()
    body = {
        "model": "anthropic/claude-sonnet-5-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": stream,
        "unheard_of": {"a": 1},
    }
    status, came = post(forms.url, "/v1/messages", json.dumps(body).encode())
    answer = b"".join(anthropic.EVENTS) if stream else anthropic.PLAIN
    assert (status, digest(came)) == (200, digest(answer))
    assert {**forms.provider.seen[0].body, "model": body["model"]} == body


@pytest.fixture(scope="module")
def forms(running: System, portkey: int, edge_config, tmp_path_factory) -> Iterator[System]:
    """An edge whose fake provider speaks every form of OpenAI's, and Anthropic's beside it."""
    path = tmp_path_factory.mktemp("forms") / "edge.toml"
    every = 'forms = ["chat", "responses", "completions", "embeddings"]\n'
    text = edge_config.read_text().replace("[providers.fake]\n", f"[providers.fake]\n{every}")
    path.write_text(f'{text}\n[providers.anthropic]\nbase_url = "{running.provider.url}"\n')
    with edge_beside(running, portkey, path, ANTHROPIC_API_KEY="k-anthropic") as edge:
        yield edge
