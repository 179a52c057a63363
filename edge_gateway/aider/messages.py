"""Knows the messages that Aider writes between the user's and the model's: files, map, acknowledgements, reflections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto

from edge_gateway.aider import commands
from edge_gateway.aider.understanding import PreviousOutcome
from edge_gateway.chat_request import Turn

_HEAD = 2_000
_GLANCE = 240
_NOD = 20
_LONGEST_REMINDER = 32_000
_SHORTEST_REMINDER = 10


class Block(Enum):
    """What a message in the user's name is, when Aider wrote it."""

    FILES = auto()
    REPO_MAP = auto()
    CONTEXT = auto()
    ADDED = auto()
    APPLIED = auto()
    NO_EDITS = auto()
    COMMAND = auto()
    EXAMPLES_END = auto()
    OTHER = auto()


_SHOWN = frozenset({Block.FILES, Block.REPO_MAP, Block.CONTEXT})
_APPLIED = ("I committed the changes with git hash", "I updated the files.", "I made those changes to the files.")
_EXAMPLES_END = "I switched to a new code base."
_NO_EDITS = "I didn't see any properly formatted edits in your reply"
_FILES = re.compile(
    r"\*added these files to the chat\*|^Here is the current content of the files?:|^These are some files we have been"
    r" discussing|^These are the \*read-write\* files|^These are files that you can edit"
)
_REPO_MAP = re.compile(r"summaries of (some |other )?files\b.{0,80}(\bgit repo|\*read-only\*)", re.DOTALL)
_CONTEXT = (
    "Here are some READ ONLY files",
    "I am not sharing ",
    "Don't try and edit any existing code without asking me",
    "Image file: ",
    "PDF file: ",
)
# A web page, or what the model's own proposals of commands printed, of which nothing says whether they succeeded.
_ADDED = ("Here is the content of ", "Output from ", "I edited the files myself.")

# A reflection's head, as Aider's coders have worded their complaints since 0.40.
_EDIT_FAILED = re.compile(
    r"# \d{1,6} SEARCH/REPLACE blocks? failed to match|UnifiedDiffNo(Match|tUnique)\b|InvalidEditBlock:"
    r"|The LLM did not conform|(Unpaired|Unmatched) \.\.\. in |Bad/missing filename\. The filename must"
    r"|No filename provided before |Started a .{1,12} block without closing|(Unexpected e|E)rror parsing patch\b"
    r"|(Unexpected e|E)rror applying action '|File referenced in patch not found"
    r"|Unknown function_call name=|Missing `\w{1,20}` parameter"
)
# The reply as far as it could be read, and under it, on the last line, what was wrong.
_MALFORMED = re.compile(r"\n\^\^\^ (Expected `|Bad/missing filename|Incomplete |Error parsing )[^\n]{0,300}\Z")
_LINT_FAILED = "# Fix any errors below"
_LINTED = re.compile(r"^## See relevant lines? below marked with .\.\n\n([^\n]{1,1024}):\n", re.MULTILINE)
_LONGEST_COMPLAINT = 64_000
_UNDONE = "I did `git reset --hard HEAD~1` to discard the last edits"
_INTERRUPTED = "I see that you interrupted my previous reply"
CTRL_C = "^C KeyboardInterrupt"

_REMINDERS = (
    "\n# *SEARCH/REPLACE block* Rules:",
    "\n# File editing rules:",
    "\n# V4A Diff Format Rules:",
    "\nTo suggest changes to a file you MUST return the entire",
)


def block(text: str) -> Block:
    """What Aider says with a message in the user's name; OTHER when it is the user who speaks."""
    head = text[:_GLANCE].lstrip()
    if head.startswith(_APPLIED):
        return Block.APPLIED
    if head.startswith(_NO_EDITS):
        return Block.NO_EDITS
    if head.startswith(_CONTEXT):
        return Block.CONTEXT
    if head.startswith(_ADDED):
        return Block.ADDED
    if head.startswith(_EXAMPLES_END):
        return Block.EXAMPLES_END
    if commands.is_report(text):
        return Block.COMMAND
    if _FILES.search(head):
        return Block.FILES
    return Block.REPO_MAP if _REPO_MAP.search(head) else Block.OTHER


def acknowledged(text: str, answer: str) -> Block:
    """What Aider says with a message in the user's name and one behind it in the model's; OTHER when it says neither."""
    if len(answer) > _GLANCE or not answer.lstrip().startswith("Ok"):
        return Block.OTHER
    found = block(text)
    # A model may well begin with Ok where it answers, but nothing is asked of it with files and a map.
    return found if found in _SHOWN or is_acknowledgement(answer) else Block.OTHER


def is_interrupted(text: str) -> bool:
    """Whether a message in the model's name says that its reply was interrupted; up to 0.72 the reply itself says so."""
    return text[:_GLANCE].lstrip().startswith(_INTERRUPTED) or text[-_GLANCE:].rstrip().endswith(CTRL_C)


def is_acknowledgement(answer: str) -> bool:
    """Whether a message in the model's name is no more than Aider's own nod."""
    return answer[:_NOD].strip() in ("Ok.", "Ok") and len(answer) < _NOD


def reflection(text: str) -> PreviousOutcome | None:
    """What went wrong with the reply before this message, when Aider itself objects to it or the user took it back."""
    start = text[:_HEAD].lstrip()
    if start.startswith(_UNDONE):
        return PreviousOutcome.UNDONE
    if start.startswith(_LINT_FAILED):
        return PreviousOutcome.LINT_FAILED
    if _EDIT_FAILED.match(start) or _MALFORMED.search(text[-_HEAD:].rstrip()):
        return PreviousOutcome.EDIT_FAILED
    return PreviousOutcome.COMMAND_FAILED if commands.is_report(text) else None


def linted(text: str) -> frozenset[str]:
    """The names of the files that a complaint of Aider's linter is about, as far as it shows their lines."""
    if not text[:_HEAD].lstrip().startswith(_LINT_FAILED):
        return frozenset()
    return frozenset(match[1] for match in _LINTED.finditer(text, 0, _LONGEST_COMPLAINT))


def without_reminder(text: str, prompt: str) -> str:
    """The user's turn without the reminder of the rules that Aider appends: the prompt ends with the same words."""
    text = text.strip()
    shared = _shared_ending(text, prompt.rstrip())
    cut = text.find("\n\n", max(0, len(text) - shared - 1))
    if cut >= 0 and len(text) - cut >= _SHORTEST_REMINDER:
        return text[:cut].rstrip()
    tail = max(0, len(text) - _LONGEST_REMINDER)
    cut = max(text.rfind(mark, tail) for mark in _REMINDERS)
    return text[:cut].rstrip() if cut >= 0 else text


def current_turn(turns: Sequence[Turn]) -> int:
    """The position of the message being answered, the last of the user's; -1 when there is none."""
    return next((at for at in range(len(turns) - 1, -1, -1) if turns[at].role == "user"), -1)


def _shared_ending(one: str, other: str) -> int:
    """How many characters two texts have in common at their ends, found by halving."""
    shared, beyond = 0, min(len(one), len(other), _LONGEST_REMINDER) + 1
    while beyond - shared > 1:
        middle = (shared + beyond) // 2
        if one.endswith(other[len(other) - middle :]):
            shared = middle
        else:
            beyond = middle
    return shared
