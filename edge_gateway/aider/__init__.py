"""Understands Aider from a request's text alone: what it is for, its edit format, how the previous reply fared.

The marks are the wording of Aider's own messages in its releases from 0.40 to 0.86. Whatever is not recognised is a
chat: a wrong guess would cost more than none.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_gateway.aider import files, messages, outcome, prompts
from edge_gateway.aider.understanding import ChatFile, PreviousOutcome, Purpose, Understanding
from edge_gateway.chat_request import ChatRequest, Turn

__all__ = ["ChatFile", "PreviousOutcome", "Purpose", "Understanding", "understand"]

# Characters below which a provider keeps no prompt: Anthropic's least is 1,024 tokens.
_WORTH_CACHING = 3_500
# Turns that are looked at for that.
_FIRST = 100
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
            stable_turns=_stable_of_talk(turns) if purpose is Purpose.CHAT else 0,
        )
    # What is sent to keep a cache warm ends with the files: nobody asks anything there.
    asks = purpose is not Purpose.CACHE_PING and current > 0
    text = messages.without_reminder(turns[current].text, turns[0].text) if asks else ""
    previous, failures = outcome.previous_outcome(turns, current, text) if asks else (PreviousOutcome.NONE, 0)
    chat_files, map_characters, files_at = files.shown(turns)
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
        stable_turns=_stable(turns, files_at, current if asks else len(turns)) if purpose is not Purpose.EDITOR else 0,
    )


def _stable(turns: Sequence[Turn], files_at: int, current: int) -> int:
    """Up to the files, which the next request shows behind this turn; not worth it where that is short."""
    stable = files_at if files_at >= 0 else current
    return stable if sum([len(turn.text) for turn in turns[: min(stable, _FIRST)]]) >= _WORTH_CACHING else 0


def _stable_of_talk(turns: Sequence[Turn]) -> int:
    """All of it, once the talk has gone on."""
    gone_on = any(turn.role == "assistant" for turn in turns[:_FIRST])
    return _stable(turns, -1, len(turns)) if gone_on else 0
