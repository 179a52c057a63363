"""Understands Aider from a request's text alone: what it is for, its edit format, how the previous reply fared.

The marks are the wording of Aider's own messages in its releases from 0.40 to 0.86. Whatever is not recognised is a
chat: a wrong guess would cost more than none.
"""

from __future__ import annotations

from edge_gateway.aider import files, messages, outcome, prompts
from edge_gateway.aider.understanding import ChatFile, PreviousOutcome, Purpose, Understanding
from edge_gateway.chat_request import ChatRequest

__all__ = ["ChatFile", "PreviousOutcome", "Purpose", "Understanding", "understand"]

_ALONE = (Purpose.COMMIT, Purpose.SUMMARY, Purpose.CHAT)


def understand(request: ChatRequest) -> Understanding:
    """Read from a request all that it says about itself."""
    turns = request.turns
    purpose = prompts.purpose(request)
    current = messages.current_turn(turns)
    continuation = turns[-1].role == "assistant" and bool(turns[-1].text.strip())
    if purpose in _ALONE:
        return Understanding(
            purpose=purpose,
            edit_format="",
            previous_outcome=PreviousOutcome.NONE,
            continuation=continuation,
            images=request.images,
            user_text=turns[current].text.strip() if current >= 0 else "",
        )
    # What is sent to keep a cache warm ends with the files: nobody asks anything there.
    asks = purpose is not Purpose.CACHE_PING and current > 0
    text = messages.without_reminder(turns[current].text, turns[0].text) if asks else ""
    previous, failures = outcome.previous_outcome(turns, current, text) if asks else (PreviousOutcome.NONE, 0)
    chat_files, map_characters = files.shown(turns)
    return Understanding(
        purpose=purpose,
        edit_format=prompts.edit_format(turns, purpose),
        previous_outcome=previous,
        failures=failures,
        continuation=continuation and asks,
        files=chat_files,
        repo_map_characters=map_characters,
        images=request.images,
        user_text=text,
    )
