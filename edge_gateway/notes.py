"""The line that tells a user which model was chosen and why, where the profile wishes it."""

from __future__ import annotations

import json

from edge_gateway.decisions import Decision


def note(decision: Decision, served: str, created: int) -> bytes:
    """A stream's first event: reasoning of ours, which Aider shows and keeps out of the history.

    `created`: seconds since the epoch.
    """
    chosen = decision.ranking[0]
    text = f"{served} answers: {decision.reason}."
    if served != chosen:
        text = f"{served} answers in place of {chosen}, whose provider failed; chosen first: {decision.reason}."
    delta = {"role": "assistant", "reasoning_content": text + "\n"}
    chunk = {
        "id": decision.id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": served,
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
