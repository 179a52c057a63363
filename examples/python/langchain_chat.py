"""Asks the edge with LangChain: `python -m examples.python.langchain_chat [BASE_URL] [PROMPT] [ROUTER]`, from the root.

EDGE_API_KEY is sent where the edge asks for keys (`make keys`); without them any word will do. With ROUTER, its HOST:PORT, how
the reply fared is told to the router as well.
"""
# ruff: noqa: T201 - an example shows what it got

from __future__ import annotations

import os
import sys

import openai
from langchain_openai import ChatOpenAI

from router_client import Outcome, Report, Router, RouterError


def main(
    base_url: str = "http://127.0.0.1:8080/v1", prompt: str = "Write a haiku on routing.", router: str = ""
) -> int:
    """Print a streamed answer, and who gave it and why; 1 when there is none."""
    model = ChatOpenAI(
        model="auto",
        base_url=base_url,
        api_key=lambda: os.environ.get("EDGE_API_KEY", "local"),
        # The edge goes to the next model by itself: a client that tries again as well would only multiply that.
        max_retries=0,
        # Who answered stands in the headers.
        include_response_headers=True,
    )
    headers: dict[str, str] = {}
    try:
        for chunk in model.stream(prompt):
            headers |= chunk.response_metadata.get("headers", {})
            print(chunk.text, end="", flush=True)
    except openai.APIError as error:
        # A stream that breaks off ends here too, never as if it were whole.
        print(f"no answer: {error}", file=sys.stderr)
        return 1
    print(f"\nserved by {headers['x-served-model']}: {headers['x-router-reason']}")
    return tell(router, headers) if router else 0


def tell(router: str, headers: dict[str, str]) -> int:
    """Report that the answer was of use, which the edge cannot know of a chat; 1 when the router does not take it."""
    told = Report(
        decision_id=headers["x-router-decision-id"], served_model=headers["x-served-model"], outcome=Outcome.APPLIED
    )
    try:
        with Router(router) as asked:
            asked.report(told)
    except RouterError as error:
        print(f"not reported: {error}", file=sys.stderr)
        return 1
    print("reported: it was of use")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
