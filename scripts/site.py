"""What mkdocs does beside rendering: pages are of today's code, marks go, and links that leave docs/ are mended."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts.reference.pages import fresh

ROOT = Path(__file__).resolve().parent.parent
# Pages that stand at the repository's root, where their readers look for them; their address in the site.
ROOT_PAGES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "DECISIONS.md": "project/decisions.md",
    "SECURITY.md": "project/security.md",
}
PICTURES = "bench/results/"
# What is said of blocks and places to tests and to scripts.reference.
MARK = re.compile(r"^ *<!-- (?:run|not run|load|made|file|end)\b[^\n]*? -->\n", re.MULTILINE)
FIGURE = re.compile(r"<!-- = [^\n]*? -->")
LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<to>[^)\s]+)\)")
FENCE = re.compile(r"(^ *```.*?^ *```\s*?$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add what lies outside docs/: the root's pages and the pictures of measurements."""
    for name, address in ROOT_PAGES.items():
        files.append(File.generated(config, address, abs_src_path=str(ROOT / name)))
    for picture in sorted((ROOT / PICTURES).glob("*.svg")):
        files.append(File.generated(config, f"{PICTURES}{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """The page with its tables, figures, files and links."""
    address = page.file.src_uri
    source = next((name for name, at in ROOT_PAGES.items() if at == address), f"docs/{address}")
    if source not in ROOT_PAGES:
        markdown = FIGURE.sub("", fresh(markdown))
    return "".join(_parts(MARK.sub("", markdown), source, address))


def _parts(markdown: str, source: str, address: str) -> Iterator[str]:
    """The text in pieces; code stays as it is."""
    for part in FENCE.split(markdown):
        yield part if FENCE.fullmatch(part) else LINK.sub(lambda link: mended(link, source, address), part)


def mended(link: re.Match[str], source: str, address: str) -> str:
    """A link as the site has it; `source` is the page's path in the repository, `address` the one in the site."""
    path, mark, anchor = link["to"].partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return link.group()
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if target in ROOT_PAGES:
        there = ROOT_PAGES[target]
    elif target.startswith("docs/"):
        there = target.removeprefix("docs/")
    elif target.startswith(PICTURES) and target.endswith(".svg"):
        there = target
    elif target == "README.md":
        there = "index.md"
    else:
        return _named(link["text"], target)
    relative = posixpath.relpath(there, posixpath.dirname(address) or ".")
    return f"{link['picture']}[{link['text']}]({relative}{mark}{anchor})"


def _named(text: str, target: str) -> str:
    """A file of the repository that the site does not have: its path."""
    plain = text.strip("`")
    return f"`{target}`" if plain in target or target.endswith(plain) else f"{text} (`{target}`)"
