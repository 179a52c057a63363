"""What any OpenAI client may expect of the demo models."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize("name", ["small", "medium", "large"])
@pytest.mark.parametrize("prefix", ["", "demo/"])
def test_each_model_says_which_script_it_is(demo: Any, name: str, prefix: str) -> None:
    text = demo.ask(HELLO, prefix + name)
    assert text.startswith(f"I am demo/{name}, a scripted demo model, not an AI")


def test_small_chats_more_tersely_than_large(demo: Any) -> None:
    assert len(demo.ask(HELLO, "small")) < len(demo.ask(HELLO, "large"))


def test_a_reply_carries_usage_and_its_model(demo: Any) -> None:
    reply = demo.post({"model": "demo/small", "messages": HELLO}).json()
    usage = reply["usage"]
    assert reply["object"] == "chat.completion"
    assert reply["model"] == "small"
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert usage["prompt_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_stream_says_the_same_in_small_chunks(demo: Any) -> None:
    body = {"model": "large", "messages": HELLO}
    chunks = demo.stream(body)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-2:] == [None, "stop"]
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert len(pieces) > 4
    assert "".join(pieces) == demo.ask(HELLO, "large")
    assert not any("usage" in chunk for chunk in chunks)


def test_a_stream_ends_with_usage_when_asked(demo: Any) -> None:
    options = {"stream_options": {"include_usage": True}}
    chunks = demo.stream({"model": "large", "messages": HELLO, **options})
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_a_token_limit_cuts_the_reply_and_says_so(demo: Any) -> None:
    choice = demo.post({"model": "large", "messages": HELLO, "max_tokens": 3}).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["content"]) <= 12


def test_the_models_are_listed_and_health_is_told(demo: Any) -> None:
    assert [each["id"] for each in demo.http.get("/v1/models").json()["data"]] == ["small", "medium", "large"]
    assert demo.http.get("/healthz").status_code == 200


def test_an_unknown_model_is_a_404_that_names_the_known_ones(demo: Any) -> None:
    response = demo.post({"model": "gpt-9", "messages": HELLO})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert all(name in error["message"] for name in ("gpt-9", "small", "medium", "large"))


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {},
        {"model": "small"},
        {"model": "small", "messages": []},
        {"model": "small", "messages": "hello"},
        {"model": "small", "messages": ["hello"]},
        {"messages": HELLO},
        {"model": 7, "messages": HELLO},
    ],
)
def test_a_malformed_request_is_a_400_error_object(demo: Any, body: object) -> None:
    response = demo.post(body)
    assert response.status_code == 400
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/v1/chat/completions", 405), ("POST", "/v1/chat/completions", 400)],
)
def test_every_error_is_an_error_object(demo: Any, method: str, path: str, status: int) -> None:
    response = demo.http.request(method, path, content=b"\xff{not json")
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("content", [None, "", [], [{"type": "image_url"}], [{"type": "text", "text": 3}], 5])
def test_odd_content_is_still_answered(demo: Any, content: object) -> None:
    assert demo.ask([{"role": "user", "content": content}])
    assert demo.ask([{"role": "assistant", "content": content}])


@pytest.mark.parametrize("setting", [("DEMO_LISTEN", "here"), ("DEMO_LISTEN", "a:99999"), ("DEMO_PACE", "x")])
def test_a_wrong_setting_stops_the_start_and_is_named(setting: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "demo"]
    environment = {**os.environ, setting[0]: setting[1]}
    started = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert started.returncode == 1
    assert setting[0] in started.stderr
    assert "Traceback" not in started.stderr
