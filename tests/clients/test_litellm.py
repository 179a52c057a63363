"""LiteLLM, the client inside Aider, in the version that Aider pins: its own forms over the edge's."""

import json
import os
import subprocess
from typing import Any

import pytest

from tests.clients.conftest import CLAUDE, GEMINI, Gateway
from tests.fakes import anthropic, gemini
from tests.fakes import openai_chat as chat
from tests.fakes import openai_forms as forms
from tests.fakes import provider as fake
from tests.processes import ROOT

PYTHON = ROOT / ".venv-aider" / "bin" / "python"
SCRIPT = ROOT / "tests" / "clients" / "litellm_client.py"

Got = dict[str, Any]

WORDS = "words, in some pieces"
BEHAVIOURS = {
    "first": chat.replying(WORDS),
    CLAUDE: anthropic.replying(anthropic.text(WORDS), usage={"cache_read_input_tokens": 7}),
    GEMINI: gemini.replying(gemini.text(WORDS)),
    "tools": chat.replying(
        None, chat.tool_call("read", {"path": "a.py"}, "call_a"), chat.tool_call("read", {"path": "b.py"}, "call_b")
    ),
    "images": chat.counting_images,
    "schema": chat.structured({"city": "Bern"}),
    "plain": chat.replying("hello there"),
    "thoughts": chat.replying("yes", reasoning="it may well be so"),
    "refused": fake.refuse(400, "temperature is too high"),
    "limited": fake.refuse(429, "slow down", retry_after="7"),
    "dead": fake.refuse(500, "out of order"),
    "broken": fake.cut_after(1, abort=False),
}


@pytest.fixture(scope="module")
def got(running_gateway: Gateway) -> Got:
    """What LiteLLM got in each case, by the case's name in its script."""
    if not PYTHON.exists():
        pytest.skip(f"LiteLLM is not installed at {PYTHON}; `make aider` installs it")
    running_gateway.provider.reset()
    # Models that are not in the script answer each path in its own form.
    running_gateway.provider.script = dict(BEHAVIOURS)
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [str(PYTHON), str(SCRIPT), running_gateway.url]
    done = subprocess.run(
        command,
        env={**env, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", ["chat", "stream"])
def test_text_arrives_whole_with_its_usage(got: Got, case: str):
    answer = got[case]
    assert answer["choices"][0]["message"]["content"] == WORDS
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (11, 7)
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 4


@pytest.mark.parametrize("case", ["claude", "claude_stream", "gemini", "gemini_stream"])
def test_a_translated_answer_arrives_whole_with_its_usage(got: Got, case: str):
    answer = got[case]
    assert answer["choices"][0]["message"]["content"] == WORDS
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (9, 3)


def test_the_asynchronous_client_gets_the_same(got: Got):
    assert got["later"] == {"whole": WORDS, "streamed": WORDS}


@pytest.mark.parametrize("case", ["tools", "tools_stream"])
def test_two_tools_are_called_at_once(got: Got, case: str):
    calls = got[case]["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], json.loads(call["function"]["arguments"])) for call in calls] == [
        ("call_a", {"path": "a.py"}),
        ("call_b", {"path": "b.py"}),
    ]


def test_an_image_reaches_the_model(got: Got):
    assert got["image"]["choices"][0]["message"]["content"] == "1 images"


def test_an_answer_meets_the_schema_that_was_asked_for(got: Got):
    assert json.loads(got["schema"]["choices"][0]["message"]["content"]) == {"city": "Bern"}


def test_two_answers_come_with_the_probability_of_each_token(got: Got):
    choices = got["several"]["choices"]
    assert [choice["message"]["content"] for choice in choices] == ["hello there"] * 2
    assert [token["logprob"] for token in choices[1]["logprobs"]["content"]] == [-0.25, -0.25]


@pytest.mark.parametrize("case", ["thoughts", "thoughts_stream"])
def test_thoughts_come_beside_the_words(got: Got, case: str):
    message = got[case]["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("yes", "it may well be so")


def test_a_response_arrives_whole_and_by_its_events(got: Got):
    whole = got["responses"]["whole"]
    assert (whole["status"], whole["output"][0]["content"][0]["text"]) == ("completed", "hello there")
    assert (whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]) == (36, 8)
    events = got["responses"]["events"]
    assert "response.output_text.delta" in events
    assert events[-1] == "response.completed"


def test_a_legacy_completion_goes_on(got: Got):
    assert got["completions"]["choices"][0]["text"] == "hello there"
    assert got["completions"]["usage"]["total_tokens"] == 8


def test_texts_become_vectors(got: Got):
    assert [tuple(one["embedding"]) for one in got["embeddings"]["data"]] == [forms.VECTOR] * 2
    assert got["embeddings"]["usage"]["prompt_tokens"] == 16


@pytest.mark.parametrize("case", ["messages", "messages_stream"])
def test_anthropics_form_is_served_too(got: Got, case: str):
    answer = got[case]
    assert answer["choices"][0]["message"]["content"] == WORDS
    assert answer["usage"]["cache_read_input_tokens"] == 7
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (16, 3)


@pytest.mark.parametrize(
    ("case", "status", "kind", "words"),
    [
        ("unknown", 404, "NotFoundError", "Ask for a profile (auto, auto-weak"),
        ("refused", 400, "BadRequestError", "fake/refused: temperature is too high"),
        ("limited", 429, "RateLimitError", "fake/limited: slow down"),
        ("dead", 503, "ServiceUnavailableError", "the last one tried said: fake/dead: out of order"),
    ],
)
def test_a_refusal_arrives_as_the_error_that_its_callers_know(got: Got, case: str, status: int, kind: str, words: str):
    assert (got[case]["status"], got[case]["kind"]) == (status, kind)
    assert words in got[case]["message"]


def test_a_stream_that_breaks_off_raises_and_never_ends_cleanly(got: Got):
    assert got["broken"]["said"] == "grüß"
    assert got["broken"]["kind"] == "APIConnectionError"
    assert "answer of fake/broken broke off before it was complete" in got["broken"]["message"]
