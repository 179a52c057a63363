"""Whether a peer's answers are right: what the mock said, whole, with the headers that are due."""

from __future__ import annotations

import http.client
import json
import socket

from bench.peers.bodies import CONVERSATION, NUMBER
from bench.peers.loads import Load
from bench.peers.peer import Running


def wrong(running: Running, load: Load, number: int) -> str:
    """What is wrong with the answer to the request of this number; empty when it is right.

    A conversation that goes on is asked twice, with the next number too.
    """
    asked = running.requests(load)[:2]
    for turn, request in enumerate(asked):
        filled = request.replace(NUMBER.encode(), b"%010d" % (number + turn))
        filled = filled.replace(CONVERSATION.encode(), b"%010d" % number)
        if said := _answered(running, filled, load, expecting=turn == len(asked) - 1):
            return said
    return ""


def _answered(running: Running, request: bytes, load: Load, *, expecting: bool) -> str:
    try:
        with socket.create_connection(("127.0.0.1", running.ports[0]), 30) as client:
            client.sendall(request)
            answer = http.client.HTTPResponse(client, method="POST")
            answer.begin()
            content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {type(error).__name__}"
    if answer.status != 200:
        return f"status {answer.status}: {content[:200].decode(errors='replace')}"
    for name, value in running.expects.items():
        if expecting and answer.headers.get(name) != value:
            return f"{name} is {answer.headers.get(name)}, not {value}"
    try:
        said = _text(content, load)
    except (ValueError, LookupError, TypeError) as error:
        return f"no chat completion: {type(error).__name__}"
    return "" if said == load.reply.text else f"it says {said[:60]!r}, not {load.reply.text[:60]!r}"


def _text(content: bytes, load: Load) -> str:
    """What the model is said to have answered; nothing for a stream that has no end."""
    if not load.reply.events:
        return str(json.loads(content)["choices"][0]["message"]["content"])
    data = [line[5:].strip() for line in content.decode().splitlines() if line.startswith("data:")]
    if not data or data[-1] != "[DONE]":
        return ""
    chunks = [json.loads(one) for one in data[:-1]]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
