"""curl, as the documentation has it: every form plain and streamed, an error's status and text, and what is not served."""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients.conftest import Gateway
from tests.fakes import anthropic, openai_forms, openai_responses
from tests.fakes import provider as fake

MESSAGES = [{"role": "user", "content": "Write a haiku on routing."}]
FORMS = {
    "chat/completions": ("auto", {"messages": MESSAGES}, fake.PLAIN, fake.EVENTS),
    "responses": ("auto", {"input": "hi"}, openai_responses.PLAIN, openai_responses.EVENTS),
    "messages": ("claude", {"messages": MESSAGES, "max_tokens": 9}, anthropic.PLAIN, anthropic.EVENTS),
    "completions": (
        "fake/instruct",
        {"prompt": "say hello"},
        openai_forms.COMPLETION,
        openai_forms.COMPLETION_EVENTS,
    ),
    "embeddings": ("fake/embedding", {"input": "hi"}, openai_forms.EMBEDDING, None),
}


@dataclass
class Said:
    """What curl -i printed."""

    status: int
    headers: dict[str, str]
    body: bytes
    returned: int

    def json(self) -> Any:
        return json.loads(self.body)


Curl = Callable[..., Said]


@pytest.fixture
def curl(gateway: Gateway) -> Curl:
    """Runs curl -i on a path behind /v1; a body makes it the README's POST."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")

    def run(path: str, *options: str, **body: object) -> Said:
        sent = ["-H", "Content-Type: application/json", "-d", json.dumps(body)] if body else []
        # -q: a .curlrc of the machine's must not change what is asked.
        command = [program, "-q", "-sS", "-i", "--noproxy", "*", *options, f"{gateway.base_url}/{path}", *sent]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Said(int(first.split()[1]), headers, rest, done.returncode)

    return run


@pytest.mark.parametrize("path", FORMS)
def test_a_plain_answer_is_the_models_own_bytes(curl: Curl, path: str):
    model, asked, plain, _ = FORMS[path]
    said = curl(path, model=model, **asked)
    assert (said.status, said.body) == (200, plain)
    assert said.headers["content-type"] == "application/json"
    assert said.headers["x-served-model"].startswith(("fake/", "anthropic/"))
    assert said.headers["x-router-reason"]


@pytest.mark.parametrize("path", [path for path, form in FORMS.items() if form[3]])
def test_a_stream_is_the_models_own_events(curl: Curl, path: str):
    model, asked, _, events = FORMS[path]
    said = curl(path, "-N", model=model, stream=True, **asked)
    assert (said.status, said.returned) == (200, 0)
    assert said.headers["content-type"].startswith("text/event-stream")
    assert said.body == b"".join(events)


@pytest.mark.parametrize(
    ("path", "cut", "ending"),
    [
        ("chat/completions", fake.cut_after(1, abort=False), b'data: {"error": {'),
        ("responses", openai_responses.cut_after(5, abort=False), b'event: error\ndata: {"type": "error"'),
        ("messages", anthropic.cut_after(4, abort=False), b'event: error\ndata: {"type": "error"'),
    ],
)
def test_a_stream_that_breaks_off_ends_in_an_error_event(
    curl: Curl, gateway: Gateway, path: str, cut: fake.Behaviour, ending: bytes
):
    model, asked, _, events = FORMS[path]
    gateway.provider.script = dict.fromkeys(("first", "claude-sonnet-5-5"), cut)
    said = curl(path, "-N", model=model, stream=True, **asked)
    came, _, last = said.body.rstrip(b"\n").rpartition(b"\n\n")
    assert came
    assert b"".join(events).startswith(came)
    assert last.startswith(ending)
    assert b"broke off before it was complete" in last
    assert b"[DONE]" not in said.body


def test_an_unknown_model_is_a_404_that_names_the_profiles(curl: Curl):
    said = curl("chat/completions", model="nope", messages=MESSAGES)
    assert said.status == 404
    error = said.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "model_not_found", "model")
    assert "Ask for a profile (auto, auto-weak" in error["message"]


def test_a_limit_is_a_429_with_the_time_to_wait(curl: Curl, gateway: Gateway):
    gateway.provider.script = dict.fromkeys(("first", "second"), fake.refuse(429, "slow down", retry_after="7"))
    said = curl("chat/completions", model="auto", messages=MESSAGES)
    assert (said.status, said.headers["retry-after"]) == (429, "7")
    assert said.json()["error"] == {
        "message": "fake/second: slow down",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }


def test_an_error_makes_curl_fail_where_it_is_told_to(curl: Curl):
    assert curl("chat/completions", "--fail", model="nope", messages=MESSAGES).returned == 22


@pytest.mark.parametrize("method", [["-X", "GET"], ["-X", "PUT"], ["-X", "DELETE"]], ids=lambda words: words[1])
@pytest.mark.parametrize("path", FORMS)
def test_another_method_is_a_405_that_says_which_is_allowed(curl: Curl, path: str, method: list[str]):
    said = curl(path, *method)
    assert (said.status, said.headers["allow"]) == (405, "POST")
    assert f"There is no {method[1]} /v1/{path} here" in said.json()["error"]["message"]


@pytest.mark.parametrize("path", FORMS)
def test_only_the_head_of_a_form_is_a_405_without_a_body(curl: Curl, path: str):
    said = curl(path, "--head")
    assert (said.status, said.headers["allow"], said.body, said.returned) == (405, "POST", b"", 0)


def test_the_models_are_listed_and_found_one_by_one(curl: Curl):
    listed = {model["id"]: model for model in curl("models").json()["data"]}
    assert {"auto", "claude", "fake/first"} <= set(listed)
    assert curl("models/fake/first").json() == listed["fake/first"]
    assert curl("models/nope").status == 404


def test_what_curl_sends_without_a_media_type_is_refused_with_the_one_to_name(curl: Curl):
    said = curl("chat/completions", "-d", json.dumps({"model": "auto", "messages": MESSAGES}))
    assert said.status == 400
    assert "Content-Type: application/json" in said.json()["error"]["message"]
