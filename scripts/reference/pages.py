"""The pages with what is made from the code in its place, so that they read the same in the repository and as a site."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.reference.figures import fill
from scripts.reference.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]
# What stands between such a mark and the next `<!-- end -->` is made anew.
MADE = re.compile(r"^(?P<mark><!-- made: (?P<name>[a-z-]+) -->)$.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^(?P<mark><!-- file: (?P<path>\S+) -->)$.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)
PEERS = re.compile(
    r"^(?P<mark><!-- The tables of bench/results/peers\.json[^>]*begin -->)$.*?^<!-- end -->$", re.MULTILINE | re.DOTALL
)
LANGUAGES = {".py": "python", ".mjs": "javascript", ".toml": "toml"}


def pages() -> list[Path]:
    """Every page that may hold such places."""
    readme = ROOT / "README.md"
    return [readme, *sorted((ROOT / "docs").rglob("*.md"))]


def fresh(text: str) -> str:
    """A page's text as of today's code and results."""
    text = MADE.sub(lambda found: f"{found['mark']}\n\n{TABLES[found['name']]().strip()}\n\n<!-- end -->", text)
    text = FILE.sub(_file, text)
    text = PEERS.sub(lambda found: f"{found['mark']}\n{TABLES['peers']()}<!-- end -->", text)
    return fill(text)


def stale() -> list[Path]:
    """The pages that say what the code no longer does."""
    return [page for page in pages() if fresh(page.read_text()) != page.read_text()]


def write() -> list[Path]:
    """Bring them up to date; those that were not."""
    found = stale()
    for page in found:
        page.write_text(fresh(page.read_text()))
    return found


def _file(found: re.Match[str]) -> str:
    path = ROOT / found["path"]
    return f"{found['mark']}\n```{LANGUAGES[path.suffix]}\n{path.read_text().rstrip()}\n```\n<!-- end -->"
