"""The pages, and the blocks of code in them with what their marks say: what is run where, and what it has to show.

A mark is an HTML comment on the line before a block:

    <!-- run: demo; shows TEXT -->     in this folder, beside the demo system
    <!-- run: aider; shows TEXT -->    in a git repository of its own, after the page's earlier blocks with this mark
    <!-- run: folder -->               in an empty folder
    <!-- load: router -->              a file for ROUTER_CONFIG, or for EDGE_CONFIG with `edge`
    <!-- file: PATH -->                a file of the repository, which is tested as such
    <!-- not run: WHY -->
"""

import re
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import ROOT

README = ROOT / "README.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
MARKED = ("bash", "python", "toml")
BLOCK = re.compile(
    r"(?:^(?P<before> *)<!-- (?P<mark>(?:run|load|file|not run): [^\n]*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of code; `what`, `where` and `shows` are its mark's."""

    page: Path
    line: int
    language: str
    text: str
    what: str
    where: str
    shows: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in BLOCK.finditer(text):
        what, _, rest = (found["mark"] or "").partition(": ")
        where, *shows = rest.split("; shows ") if what == "run" else (rest,)
        line = text[: found.start()].count("\n") + 1
        yield Block(page, line, found["language"], textwrap.dedent(found["text"]), what, where, tuple(shows))


EVERY = tuple(block for page in PAGES for block in blocks(page))


def marked(what: str, where: str = "") -> list[Block]:
    """The blocks with this mark."""
    return [block for block in EVERY if block.what == what and where in ("", block.where)]


def needs_its_programs(block: Block) -> None:
    """Leave a test out where a bare machine has not what the block's reader needs."""
    for program in ("curl", "openssl"):
        if re.search(rf"(^|\$\(){program} ", block.text, re.MULTILINE) and not shutil.which(program):
            pytest.skip(f"there is no {program} here, which {block} needs")
