"""Writes the replies that hold no edits: plans, answers, commit messages, summaries, small talk."""

import re
from collections.abc import Iterable

from demo.conversation import PLAN_MARK, Conversation
from demo.models import DemoModel

_COMMIT_LIMIT = 72
_QUOTE_LIMIT = 120
_ABILITIES = (
    'I follow `rename X to Y`, `replace "A" with "B"`, `create FILE saying "TEXT"` and '
    "`add a docstring to F`; anything else I quote in a comment."
)


def plan(request: str, conversation: Conversation, model: DemoModel) -> str:
    """The architect's plan, which repeats the request for the editor."""
    files = _listed(conversation.files) or "no file yet"
    return f"{model.introduction}: my plan is the request itself, for {files}.\n\n{PLAN_MARK} {request}\n"


def answer(conversation: Conversation, model: DemoModel) -> str:
    """An answer to a question about the code."""
    if model.terse:
        return f"{model.introduction}: I cannot answer questions about code.\n"
    files = _listed(conversation.files) or "no file"
    return (
        f'{model.introduction}: I was asked "{_clipped(conversation.said)}" and see {files} in the chat, '
        f"but I cannot understand code. {_ABILITIES}\n"
    )


def files_to_change(conversation: Conversation, model: DemoModel) -> str:
    """The list that Aider's context mode asks for: the chat files, all a script can tell."""
    files = "\n".join(f"- {path}" for path in conversation.files) or "- none in the chat"
    return (
        f"{model.introduction}.\n\n"
        f"## ALL files we need to modify, with their relevant symbols:\n\n{files}\n\n"
        "## Relevant symbols from OTHER files:\n\n- none\n"
    )


def small_talk(conversation: Conversation, model: DemoModel) -> str:
    """A reply to a message that is not from a code editor."""
    if model.terse:
        return f"{model.introduction}: noted.\n"
    return f'{model.introduction}: you said "{_clipped(conversation.said)}". In Aider {_ABILITIES}\n'


def nothing_to_change(wanted: Iterable[object], conversation: Conversation, model: DemoModel) -> str:
    """Why an edit request changed nothing."""
    files = _listed(conversation.files) or "no file"
    asked = "; ".join(str(instruction) for instruction in wanted)
    return f"{model.introduction}: I looked in {files} to {asked}, and found nothing left to change.\n"


def commit_message(diff: str) -> str:
    """One conventional line for the diff."""
    diff = diff.rpartition("# Diffs:")[2]
    paths = list(dict.fromkeys(re.findall(r"^\+\+\+ b/(.+)$", diff, re.MULTILINE)))
    gone = re.findall(r"^--- a/(.+)\n\+\+\+ /dev/null$", diff, re.MULTILINE)
    names = _listed(paths or gone) or "files"
    renamed = _renamed(diff)
    if gone and not paths:
        message = f"chore: remove {names}"
    elif "--- /dev/null" in diff:
        message = f"feat: add {names}"
    elif renamed:
        message = f"refactor: rename {renamed[0]} to {renamed[1]} in {names}"
    elif '+    """' in diff or all(path.endswith((".md", ".rst", ".txt")) for path in paths):
        message = f"docs: update {names}"
    else:
        message = f"chore: update {names}"
    return message if len(message) <= _COMMIT_LIMIT else message[: _COMMIT_LIMIT - 1] + "…"


def summary(transcript: str, model: DemoModel) -> str:
    """What was asked and which files came up, told in the user's voice as Aider wants it."""
    asked = re.findall(r"^# USER\s*\n(?!I (?:committed|ran|made) |# )(.+)", transcript, re.MULTILINE)
    quoted = "; then ".join(f'"{_clipped(each)}"' for each in asked) or "about this project"
    paths = re.findall(r"^(\S+\.\w+)\n(?:`{3,}|<\w+>)", transcript, re.MULTILINE)
    named = f" You named {_listed(dict.fromkeys(paths))}." if paths else ""
    return f"I asked you {quoted}.{named} ({model.title}, a scripted demo model, wrote this summary.)\n"


def _renamed(diff: str) -> tuple[str, str] | None:
    """The one name that became another, if that is all that happened."""
    old, new = (re.findall(rf"^[{sign}](?![{sign}]{{2}} )(.*)$", diff, re.MULTILINE) for sign in "-+")
    before, after = (re.findall(r"\w+|\S", "\n".join(lines)) for lines in (old, new))
    if len(before) != len(after):
        return None
    swaps = {pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]}
    only = swaps.pop() if len(swaps) == 1 else None
    return only if only and all(name.isidentifier() for name in only) else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _clipped(text: str) -> str:
    line = " ".join(text.replace("`", "'").split())
    return line if len(line) <= _QUOTE_LIMIT else line[: _QUOTE_LIMIT - 1] + "…"
