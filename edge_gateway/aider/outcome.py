"""Reads how the previous reply fared, and how many before it failed, from the turns of a request."""

from __future__ import annotations

from collections.abc import Sequence

from edge_gateway.aider import messages
from edge_gateway.aider.messages import Block
from edge_gateway.aider.understanding import PreviousOutcome
from edge_gateway.chat_request import Turn

FAILED = frozenset(
    {
        PreviousOutcome.EDIT_FAILED,
        PreviousOutcome.LINT_FAILED,
        PreviousOutcome.COMMAND_FAILED,
        PreviousOutcome.UNDONE,
    }
)
# They say that a reply mended nothing, without saying that it failed.
_UNDECIDED = frozenset({PreviousOutcome.NO_EDITS, PreviousOutcome.INTERRUPTED})
_REPORTED = {
    Block.APPLIED: PreviousOutcome.APPLIED,
    Block.NO_EDITS: PreviousOutcome.NO_EDITS,
}


def previous_outcome(turns: Sequence[Turn], current: int, text: str) -> tuple[PreviousOutcome, int]:
    """How the reply before the current turn fared, and how many replies up to it failed in a row.

    `current`: the position of that turn; `text`: what it says, without a reminder.
    """
    latest, asked = _reply_before(turns, current, text)
    outcome, failures = latest, int(latest in FAILED)
    while asked >= 0 and (outcome in FAILED or outcome in _UNDECIDED):
        outcome, asked = _reply_before(turns, asked, turns[asked].text)
        failures += outcome in FAILED
    return latest, failures


def _reply_before(turns: Sequence[Turn], at: int, text: str) -> tuple[PreviousOutcome, int]:
    """How the reply before a turn fared, and the turn that asked for that reply, -1 when there is none."""
    objection = said = _objection(turns, at, text)
    position = at - 1
    while position >= 0:
        turn = turns[position]
        if turn.role == "assistant" and turn.text.strip():
            before = turns[position - 1] if position and turns[position - 1].role == "user" else None
            found = messages.acknowledged(before.text, turn.text) if before else Block.OTHER
            if before is None or found is Block.OTHER:
                interrupted = PreviousOutcome.INTERRUPTED if messages.is_interrupted(turn.text) else None
                return said or interrupted or PreviousOutcome.NONE, _asked(turns, position)
            if found is Block.EXAMPLES_END:
                break
            # What was said last counts: a command that failed after edits were applied.
            said = said or _report(found, before.text)
            position -= 1
        elif turn.role == "user" and turn.text.strip():
            break
        position -= 1
    # There is no reply that a command of the user's own could speak of.
    reported = said if said in _REPORTED.values() else None
    return objection or reported or PreviousOutcome.NONE, -1


def _asked(turns: Sequence[Turn], reply: int) -> int:
    """The position of the turn that a reply answers, -1 when there is none."""
    position = reply - 1
    while position >= 0:
        turn = turns[position]
        if turn.role == "user" and turn.text.strip() not in ("", messages.CTRL_C):
            return position
        position -= 1
    return -1


def _objection(turns: Sequence[Turn], at: int, text: str) -> PreviousOutcome | None:
    objection = messages.reflection(text)
    if objection is PreviousOutcome.COMMAND_FAILED:
        # Since 0.80 a command's report is a turn only when it failed, and then it stands in the history as well.
        certain = at > 1 and turns[at - 2].text.strip() == text.strip()
        return objection if certain else _report(Block.COMMAND, text)
    return objection


def _report(found: Block, text: str) -> PreviousOutcome | None:
    if found is Block.COMMAND:
        passed = messages.has_plainly_passed(messages.command_output(text) or "")
        return None if passed else PreviousOutcome.COMMAND_FAILED
    return _REPORTED.get(found)
