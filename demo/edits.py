"""Makes the edits that instructions ask for: chat files in, changed files out."""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from demo.comments import allows_comments, comment_line, insert_at_top
from demo.instructions import AddDocstring, Create, Instruction, Remark, Rename, Replace
from demo.models import DemoModel

NOTE_FILE = "demo_note.md"
_QUOTE_LIMIT = 100


@dataclass(frozen=True)
class Change:
    """One file before and after; `before` is None for a new file."""

    path: str
    before: str | None
    after: str


def follow(instructions: Iterable[Instruction], files: Mapping[str, str], model: DemoModel) -> list[Change]:
    """What the files become; files that stay as they are do not appear."""
    current = dict(files)
    for instruction in instructions:
        current.update(_follow_one(instruction, current, model))
    changes = (Change(path, files.get(path), after) for path, after in current.items())
    return [change for change in changes if change.after != change.before]


def _follow_one(instruction: Instruction, files: Mapping[str, str], model: DemoModel) -> dict[str, str]:
    match instruction:
        case Rename(old, new, where):
            # Whole words alone: renaming `add` leaves `address` as it is.
            pattern = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)")
            return _substitute(pattern, new, _within(files, where), model)
        case Replace(old, new, where):
            return _substitute(re.compile(re.escape(old)), new, _within(files, where), model)
        case Create(path, text, request):
            content = _remark(path, request, model) if text is None else text
            return {path: content.removesuffix("\n") + "\n"}
        case AddDocstring(name, where):
            return _document(name, _within(files, where), model)
        case Remark(request):
            return _leave_remark(request, files, model)


def _within(files: Mapping[str, str], where: str) -> Mapping[str, str]:
    """The files an instruction is limited to; all of them when it names none in the chat."""
    named = {path: text for path, text in files.items() if where and f"/{path}".endswith(f"/{where}")}
    return named or files


def _substitute(
    pattern: re.Pattern[str],
    new: str,
    files: Mapping[str, str],
    model: DemoModel,
) -> dict[str, str]:
    count = 0 if model.every_place else 1
    return {path: pattern.sub(lambda _: new, text, count=count) for path, text in files.items()}


def _document(name: str, files: Mapping[str, str], model: DemoModel) -> dict[str, str]:
    for path, text in files.items():
        place = _docstring_place(name, text) if path.endswith(".py") else None
        if place:
            row, column = place
            lines = text.split("\n")
            indent = lines[row][:column]
            docstring = f'{indent}"""{name}, documented by {model.title}, a scripted demo model."""'
            return {path: "\n".join([*lines[:row], docstring, *lines[row:]])}
    return {}


def _docstring_place(name: str, text: str) -> tuple[int, int] | None:
    """The row and column where the docstring of that function or class is missing."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            first = node.body[0]
            rows = [first.lineno, *(each.lineno for each in getattr(first, "decorator_list", []))]
            # A body on the line of its `def` leaves no line to put a docstring on.
            starts_line = not text.split("\n")[min(rows) - 1][: first.col_offset].strip()
            if ast.get_docstring(node) is None and starts_line:
                return min(rows) - 1, first.col_offset
    return None


def _leave_remark(request: str, files: Mapping[str, str], model: DemoModel) -> dict[str, str]:
    path = next((path for path in files if allows_comments(path)), NOTE_FILE)
    line = _remark(path, request, model)
    text = files.get(path, "")
    # Said once is enough: a second comment would not say more.
    return {} if line in text else {path: insert_at_top(text, line)}


def _remark(path: str, request: str, model: DemoModel) -> str:
    quoted = " ".join(request.split())
    if len(quoted) > _QUOTE_LIMIT:
        quoted = quoted[: _QUOTE_LIMIT - 1] + "…"
    return comment_line(path, f'{model.title} (a scripted demo model) was asked: "{quoted}"')
