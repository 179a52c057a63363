"""Tables and lists as Markdown has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what would end a cell or a row is kept from doing so."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines) + "\n"


def cell(text: str) -> str:
    """A text on one line, its bars told from the table's own."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """A name or a value as code; nothing where there is none."""
    return f"`{text}`" if text else ""
