"""What is kept of the prompt's text: nothing unless a setting says so."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from msgspec.structs import replace

from router_service.domain import Decision, Message

# Characters of each message that "clipped" keeps.
LONGEST_CLIP = 500


class Contents(StrEnum):
    """How much of each message is kept; a hash tells equal texts, and lets short ones be guessed."""

    NONE = "none"
    HASH = "hash"
    CLIPPED = "clipped"


def keep(decision: Decision, contents: Contents) -> Decision:
    """The decision with as much of its messages as may be kept."""
    messages = () if contents is Contents.NONE else tuple(_keep(turn, contents) for turn in decision.request.messages)
    return replace(decision, request=replace(decision.request, messages=messages))


def _keep(turn: Message, contents: Contents) -> Message:
    if contents is Contents.CLIPPED:
        return replace(turn, text=turn.text[:LONGEST_CLIP])
    digest = hashlib.sha256(turn.text.encode("utf-8", "surrogatepass")).hexdigest()
    return replace(turn, text=f"sha256:{digest}")
