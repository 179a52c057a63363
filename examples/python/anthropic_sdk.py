"""Asks the edge with Anthropic's own SDK: `python -m examples.python.anthropic_sdk [BASE_URL] [PROMPT]`, from the root.

EDGE_API_KEY is sent where the edge asks for keys (`make keys`); without them any word will do.
"""
# ruff: noqa: T201 - an example shows what it got

from __future__ import annotations

import os
import sys

import anthropic


def main(base_url: str = "http://127.0.0.1:8080", prompt: str = "Write a haiku on routing.") -> int:
    """Print an answer in Anthropic's form, and who gave it and why; 1 when there is none."""
    # The edge goes to the next model by itself: a client that tries again as well would only multiply that.
    client = anthropic.Anthropic(base_url=base_url, api_key=os.environ.get("EDGE_API_KEY", "local"), max_retries=0)
    try:
        answer = client.messages.with_raw_response.create(
            model="auto", max_tokens=500, messages=[{"role": "user", "content": prompt}]
        )
    except anthropic.APIError as error:
        print(f"no answer: {error}", file=sys.stderr)
        return 1
    print("".join(block.text for block in answer.parse().content if block.type == "text"))
    print(f"served by {answer.headers['x-served-model']}: {answer.headers['x-router-reason']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
