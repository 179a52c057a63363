"""The headers that tell Portkey of one request: its trace, what it is for, and what of the client's goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from edge_gateway import conversations
from edge_gateway.call import Call
from edge_gateway.decisions import Decision

# What a client of Anthropic's form says of versions. Hosted Portkey passes it on under names of its own; the open-source
# gateway heeds those in no inline config (1.15.2), so that it is also told to forward them as they are.
_ANTHROPIC = ("anthropic-version", "anthropic-beta")
_TOKENS = re.compile(r"[A-Za-z0-9.,_ -]{1,500}")
_encoded = msgspec.json.Encoder().encode
# Portkey takes no longer value in its metadata.
LONGEST = 128


def portkey_said(call: Call, decision: Decision, *, cached: bool) -> Mapping[str, str]:
    """The headers for one request.

    The decision's id is the trace's, never metadata: Portkey's cache counts metadata into what makes two requests the same.
    `cached`: its cache is on, so metadata holds only what stays the same, and each caller has a namespace.
    """
    metadata = {"purpose": call.headers["x-router-purpose"], "profile": call.profile}
    if not cached:
        metadata |= {
            "source": decision.source,
            "conversation": call.headers.get("x-router-conversation-id", ""),
        }
    if call.key_name:
        metadata["_user"] = call.key_name
    said = {
        "x-portkey-trace-id": decision.id,
        "x-portkey-metadata": _encoded({name: value[:LONGEST] for name, value in metadata.items() if value}).decode(),
    }
    if cached:
        said["x-portkey-cache-namespace"] = conversations.caller(call.request_headers, call.peer).hex()
    versions = versions_of(call.request_headers)
    if versions:
        said |= versions | {f"x-portkey-{name}": value for name, value in versions.items()}
        said["x-portkey-forward-headers"] = ",".join(versions)
    return said


def versions_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The client's headers that the model gets too, and answers by."""
    versions = {name: headers.get(name, "") for name in _ANTHROPIC}
    return {name: value for name, value in versions.items() if _TOKENS.fullmatch(value)}
