"""Asks the edge with OpenAI's own SDK: `python -m examples.python.openai_sdk [BASE_URL] [PROMPT]`, from the root.

EDGE_API_KEY is sent where the edge asks for keys (`make keys`); without them any word will do.
"""
# ruff: noqa: T201 - an example shows what it got

from __future__ import annotations

import os
import sys

import openai


def main(base_url: str = "http://127.0.0.1:8080/v1", prompt: str = "Write a haiku on routing.") -> int:
    """Print a streamed answer, and who gave it and why; 1 when there is none."""
    # The edge goes to the next model by itself: a client that tries again as well would only multiply that.
    client = openai.OpenAI(base_url=base_url, api_key=os.environ.get("EDGE_API_KEY", "local"), max_retries=0)
    try:
        answer = client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": prompt}], stream=True
        )
        for chunk in answer.parse():
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="", flush=True)
    except openai.APIError as error:
        # A stream that breaks off ends here too, never as if it were whole.
        print(f"no answer: {error}", file=sys.stderr)
        return 1
    print(f"\nserved by {answer.headers['x-served-model']}: {answer.headers['x-router-reason']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
