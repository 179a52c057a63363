"""Writes one comment line in the syntax of a file, where the file allows one."""

import re
from pathlib import PurePosixPath

_SYNTAX = {
    ("# ", ""): "py pyi sh bash zsh rb pl r yml yaml toml cfg conf ini mk tf ex exs jl nix txt gitignore env",
    ("// ", ""): "js jsx mjs cjs ts tsx c h cc cpp hpp cs go java kt kts rs scala swift dart proto php zig",
    ("<!-- ", " -->"): "md markdown html htm xml svg vue svelte rst",
    ("/* ", " */"): "css scss less",
    ("-- ", ""): "sql lua hs elm ada",
    ("; ", ""): "lisp clj el scm asm",
    ("% ", ""): "tex erl",
}
_BY_EXTENSION = {extension: marks for marks, names in _SYNTAX.items() for extension in names.split()}
_BY_NAME = dict.fromkeys(("makefile", "dockerfile", "gemfile", "rakefile", "procfile"), ("# ", ""))
# What must stay first in its file: a shebang, an encoding line, an XML or PHP opening, a doctype.
_MUST_STAY_FIRST = re.compile(r"#!|#.*coding[:=]|<\?|<!doctype", re.IGNORECASE)


def allows_comments(path: str) -> bool:
    """Whether we know how to write a comment in that file (JSON, for one, has none)."""
    return _marks(path) is not None


def comment_line(path: str, text: str) -> str:
    """The text as one comment line, unable to end the comment early."""
    before, after = _marks(path) or ("", "")
    safe = " ".join(text.split())
    if after:
        safe = safe.replace("--", "- -").replace("*/", "* /")
    return f"{before}{safe}{after}\n"


def insert_at_top(content: str, line: str) -> str:
    """The content with the line as high as the file bears it."""
    lines = content.splitlines(keepends=True)
    position = 0
    while position < len(lines) and position < 2 and _MUST_STAY_FIRST.match(lines[position]):  # noqa: PLR2004
        position += 1
    return "".join([*lines[:position], line, *lines[position:]])


def _marks(path: str) -> tuple[str, str] | None:
    name = PurePosixPath(path).name.lower()
    return _BY_NAME.get(name) or _BY_EXTENSION.get(name.rpartition(".")[2])
