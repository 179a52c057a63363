"""Examples at work: the policy of examples/policies, and LangChain telling the router how its answer fared."""

import sys

import openai

from router_client import Outcome, Router
from tests.docs.conftest import Demo


def test_the_thrifty_policy_says_who_answers_and_records_what_auto_would_have_chosen(demo: Demo):
    with openai.OpenAI(api_key="local", base_url=f"http://{demo.edge}/v1", max_retries=0) as client:
        answer = client.chat.completions.with_raw_response.create(
            model="thrifty", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        first = next(iter(answer.parse()))
    served = answer.headers["x-served-model"]
    assert first.choices[0].delta.model_dump()["reasoning_content"].startswith(f"{served} answers: ")
    with Router(demo.router) as router:
        explained = router.explain(answer.headers["x-router-decision-id"])
    assert explained.profile == "thrifty"
    assert explained.shadow
    assert explained.shadow.profile == "auto"
    assert explained.shadow.model.startswith("demo/")


LANGCHAIN = [sys.executable, "-m", "examples.python.langchain_chat"]


def test_langchain_streams_says_who_answered_and_tells_the_router_that_it_was_of_use(demo: Demo):
    done = demo.run([*LANGCHAIN, f"http://{demo.edge}/v1", "hello", demo.router])
    assert done.returncode == 0, done.stderr
    assert "served by demo/" in done.stdout
    assert done.stdout.endswith("reported: it was of use\n")
    with Router(demo.router) as router:
        assert Outcome.APPLIED in [one.outcome for one in router.list_decisions()]


def test_langchain_says_that_there_is_no_answer(demo: Demo):
    done = demo.run([*LANGCHAIN, f"http://{demo.router}/v1", "hello"])
    assert done.returncode == 1
    assert done.stderr.startswith("no answer: ")
