"""Turns what the page shows into HTML; whatever comes from outside is shown as text."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edge_gateway.page import words
from edge_gateway.page.views import Row

TEMPLATES = Path(__file__).with_name("templates")


class Rendering:
    """The page's templates."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {
            name: getattr(words, name)
            for name in (
                "dollars",
                "seconds",
                "percent",
                "figure",
                "label",
                "tone",
                "moment",
                "stamp",
                "short",
                "count",
            )
        }
        self._templates.filters["path"] = lambda text: quote(text, safe="")
        self._templates.filters["clock"] = lambda at: words.clock(at, time.time())

    async def page(self, template: str, /, **shown: Any) -> str:
        """A template with what it shows, made beside the event loop, on which prompts are waiting."""
        return await asyncio.to_thread(lambda: self._templates.get_template(template).render(shown))

    async def rows(self, rows: tuple[Row, ...]) -> list[str]:
        """A list's rows, each by itself."""

        def written() -> list[str]:
            template = self._templates.get_template("row.html")
            return [template.render(row=row) for row in rows]

        return await asyncio.to_thread(written)
