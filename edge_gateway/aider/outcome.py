"""Reads how the previous reply fared, and how many before it failed, from the turns of a request."""

from __future__ import annotations

from collections.abc import Sequence

from edge_gateway.aider import commands, messages
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
# Messages that are looked back over: a row of failures that is longer says no more.
_FAR = 100


def previous_outcome(turns: Sequence[Turn], current: int, text: str) -> tuple[PreviousOutcome, int]:
    """How the reply before the current turn fared, and how many replies up to it failed in a row.

    `current`: the position of that turn; `text`: what it says, without a reminder.
    """
    # A model that takes no system message has nodded at the prompt; that is no reply.
    prompted = 2 if turns[0].role == "user" and messages.is_acknowledgement(turns[1].text) else 1
    oldest = max(prompted, current - _FAR)
    latest, asked = _reply_before(turns, current, text, oldest)
    outcome, failures = latest, int(latest in FAILED)
    while asked >= 0 and (outcome in FAILED or outcome in _UNDECIDED):
        outcome, asked = _reply_before(turns, asked, turns[asked].text, oldest)
        failures += outcome in FAILED
    return latest, failures


def _reply_before(turns: Sequence[Turn], at: int, text: str, oldest: int) -> tuple[PreviousOutcome, int]:
    """How the reply before a turn fared, and the turn that asked for that reply, -1 when there is none."""
    objection = _objection(turns, at, text)
    reported: PreviousOutcome | None = None
    position = at - 1
    while position >= oldest:
        turn = turns[position]
        before = turns[position - 1].text if position and turns[position - 1].role == "user" else ""
        if turn.role == "assistant" and turn.text.strip():
            found = messages.acknowledged(before, turn.text) if before else Block.OTHER
            if found is Block.OTHER:
                return _fared(turns, position, objection, reported, text)
            if found is Block.EXAMPLES_END:
                break
            # What was said last counts: a command that failed after edits were applied.
            reported = reported or _report(found, before, text if position == at - 1 else "")
            position -= 1
        elif turn.role == "assistant" and before.strip():
            # The reply was a call of a function: it has no text.
            return _fared(turns, position, objection, reported, text)
        elif turn.role == "user" and turn.text.strip():
            break
        position -= 1
    # There is no reply that a complaint could speak of, a command's or, from /lint, one about the user's own code.
    return _without_a_reply(objection) or _without_a_reply(reported) or PreviousOutcome.NONE, -1


def _fared(
    turns: Sequence[Turn], reply: int, objection: PreviousOutcome | None, reported: PreviousOutcome | None, text: str
) -> tuple[PreviousOutcome, int]:
    """What is to be told of a reply, given what was said since, and the turn that asked for it."""
    asked = _asked(turns, reply)
    if objection is PreviousOutcome.LINT_FAILED and asked >= 0 and _is_the_next_file(turns, asked, reply, text):
        objection = None
    interrupted = PreviousOutcome.INTERRUPTED if messages.is_interrupted(turns[reply].text) else None
    return objection or reported or interrupted or PreviousOutcome.NONE, asked


def _is_the_next_file(turns: Sequence[Turn], asked: int, reply: int, text: str) -> bool:
    """Whether a linter's complaint is about a file the reply had nothing to do with: /lint goes from file to file."""
    before, now = messages.linted(turns[asked].text), messages.linted(text)
    if not before or not now or before & now:
        return False
    return not any(name.rpartition("/")[2] in turns[reply].text for name in now)


def _without_a_reply(outcome: PreviousOutcome | None) -> PreviousOutcome | None:
    """What holds even where the request shows no reply, because Aider says it of nothing else."""
    return outcome if outcome is PreviousOutcome.UNDONE or outcome in _REPORTED.values() else None


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
        # A test's report is a turn only when it failed, and since 0.80 it then stands in the history as well. A report
        # that is a turn alone is an older release's, of a test that failed or of a command that the user had sent.
        certain = (
            at > 1 and messages.is_acknowledgement(turns[at - 1].text) and turns[at - 2].text.strip() == text.strip()
        )
        return objection if certain else _report(Block.COMMAND, text)
    return objection


def _report(found: Block, text: str, answer: str = "") -> PreviousOutcome | None:
    if found is Block.COMMAND:
        return PreviousOutcome.COMMAND_FAILED if commands.tells_of_failure(text, answer) else None
    return _REPORTED.get(found)
