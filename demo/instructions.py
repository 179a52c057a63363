"""Finds the instructions that the demo models follow in a text, quotes optional and case ignored."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Rename:
    """Give a name another name, whole words only."""

    old: str
    new: str
    where: str = ""

    def __str__(self) -> str:
        return f"rename `{self.old}` to `{self.new}`"


@dataclass(frozen=True)
class Replace:
    """Put one text in the place of another."""

    old: str
    new: str
    where: str = ""
    guessed: bool = False
    """Read from words without quotes, which may be plain talk ("replace the loop with a function")."""

    def __str__(self) -> str:
        return f"replace `{self.old}` with `{self.new}`"


@dataclass(frozen=True)
class Create:
    """Make a file; without a text it holds a remark that quotes the request."""

    path: str
    text: str | None
    request: str

    def __str__(self) -> str:
        return f"create {self.path}"


@dataclass(frozen=True)
class AddDocstring:
    """Document one Python function or class."""

    name: str
    where: str = ""

    def __str__(self) -> str:
        return f"add a docstring to `{self.name}`"


@dataclass(frozen=True)
class Remark:
    """Quote the request in a comment: the honest answer of a script to what it does not understand."""

    request: str

    def __str__(self) -> str:
        return "leave a comment that quotes your request, which I do not understand"


Instruction = Rename | Replace | Create | AddDocstring | Remark

_QUOTED = r"""`[^`\n]*`|"[^"\n]*"|'[^'\n]*'|“[^”\n]*”"""
_LONG_QUOTED = r"""`[^`]*`|"[^"]*"|“[^”]*”|'[^'\n]*'"""
_NAME = r"[\w$]+(?:[.-][\w$]+)*(?:\(\))?"
_PATH = r"(?!/)(?:[\w.-]+/)*[\w-][\w.-]*\.\w+"
_KIND = r"(?:function|method|class|variable|constant|parameter|argument|attribute|field|module)"
_WHERE = rf"(?:\s+in\s+(?P<where>{_QUOTED}|{_PATH}))?"
_PHRASE_END = r"""(?=\s*(?:$|[.,;:!?"'`)\]]|(?:in|and|then|so|for|because|everywhere|please)\b))"""

_Maker = Callable[[re.Match[str]], "Instruction | None"]


def find_instructions(text: str) -> list[Instruction]:
    """Every instruction in the text, in its order, each once."""
    return list(dict.fromkeys(_walk(text)))


def _walk(text: str) -> Iterator[Instruction]:
    position = 0
    while True:
        searched = ((pattern.search(text, position), make) for pattern, make in _PATTERNS)
        found = [(match, make) for match, make in searched if match]
        if not found:
            return
        # The leftmost wins and its text is spent, so that a quoted "rename a to b" is not read again.
        match, make = min(found, key=lambda each: each[0].start())
        instruction = make(match)
        if instruction is not None:
            yield instruction
        position = max(match.end(), match.start() + 1)


def _bare(word: str | None) -> str:
    """The word without the quotes or the `()` around it."""
    if not word:
        return ""
    return word[1:-1] if word[0] in "`\"'“" and len(word) > 1 else word.removesuffix("()")


def _rename(match: re.Match[str]) -> Instruction | None:
    old, new = _bare(match["old"]), _bare(match["new"])
    # "rename the function to plus" and "rename it to plus" do not say which name is meant.
    if not old or not new or re.fullmatch(rf"{_KIND}|it|this|that|them", match["old"], re.IGNORECASE):
        return None
    return Rename(old, new, _bare(match["where"]))


def _replace(match: re.Match[str]) -> Instruction | None:
    old = _bare(match["old"])
    return Replace(old, _bare(match["new"]), _bare(match["where"])) if old else None


def _replace_guessed(match: re.Match[str]) -> Instruction:
    old, new = match["old"].strip("`\"'“”"), match["new"].strip("`\"'“”")
    return Replace(old, new, _bare(match["where"]), guessed=True)


def _create(match: re.Match[str]) -> Instruction | None:
    path = _bare(match["path"])
    if not path or ".." in path or path.startswith(("/", "~")):
        return None
    text = match["text"]
    return Create(path, None if text is None else _bare(text.strip()), match.group().strip())


def _docstring(match: re.Match[str]) -> Instruction:
    return AddDocstring(_bare(match["name"]), _bare(match["where"]))


_FLAGS = re.IGNORECASE | re.MULTILINE
_PATTERNS: tuple[tuple[re.Pattern[str], _Maker], ...] = (
    (
        re.compile(
            rf"\brename\s+(?:the\s+)?(?:{_KIND}\s+)?(?P<old>{_QUOTED}|{_NAME})(?:\s+{_KIND})?"
            rf"\s+(?:to|as|into)\s+(?P<new>{_QUOTED}|{_NAME}){_WHERE}{_PHRASE_END}",
            _FLAGS,
        ),
        _rename,
    ),
    (
        re.compile(
            rf"\b(?:replace|change)\s+(?P<old>{_QUOTED})\s+(?:with|by|to)\s+(?P<new>{_QUOTED}){_WHERE}",
            _FLAGS,
        ),
        _replace,
    ),
    (
        re.compile(
            rf"\breplace\s+(?P<old>\S[^\n]*?)\s+(?:with|by)\s+(?P<new>\S[^\n]*?){_WHERE}[.!?]?\s*$",
            _FLAGS,
        ),
        _replace_guessed,
    ),
    (
        re.compile(
            r"\b(?:create|(?:make|write|add)(?=\s+(?:an?\s+)?(?:new\s+)?file\b))\s+(?:an?\s+)?(?:new\s+)?"
            rf"(?:file\s+)?(?:called\s+|named\s+)?(?P<path>{_QUOTED}|{_PATH})"
            # Words without quotes are the text after "saying", but talk about the file after "with".
            r"(?:\s+(?:(?P<saying>saying|that\s+says|which\s+says)|with|containing)"
            r"(?:\s+the)?(?:\s+(?:text|contents?|line|words?))?:?"
            rf"\s+(?P<text>{_LONG_QUOTED}|(?(saying)[^\n]+|(?!)))|[^\n]*)",
            _FLAGS,
        ),
        _create,
    ),
    (
        re.compile(
            rf"\badd\s+(?:an?\s+)?docstring\s+(?:to|for)\s+(?:the\s+)?(?:{_KIND}\s+)?"
            rf"(?P<name>{_QUOTED}|{_NAME})(?:\s+{_KIND})?{_WHERE}",
            _FLAGS,
        ),
        _docstring,
    ),
)
