"""Measured figures, read from bench/results: `1.55<!-- = peers pinned.figures.fresh.c16.cpu_ms as .2f -->`."""

from __future__ import annotations

import contextlib
import io
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from bench.peers import report, table

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"
PLACE = re.compile(r"[\w.,/?:-]+(?P<mark><!-- = (?P<file>[a-z_]+) (?P<path>\S+)(?: as (?P<format>\S+))? -->)")
STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


def fill(text: str) -> str:
    """The text with today's figure at each place; KeyError names a place that has none."""
    return PLACE.sub(lambda place: _shown(place["file"], place["path"], place["format"] or "") + place["mark"], text)


def peers() -> str:
    """The tables of the comparison, as `python -m bench.peers --page` prints them."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        report.show(report.read(), table.markdown)
    return printed.getvalue().strip() + "\n"


def figure(file: str, path: str) -> Any:
    """One value: names, [number], and [name=value,…] for the first row of which that holds; A~B is A less B."""
    if "~" in path:
        more, less = (figure(file, part) for part in path.split("~"))
        return more - less
    value = _read(file)
    for within, name in STEP.findall(path):
        try:
            value = _row(value, within) if within else value[name]
        except (LookupError, TypeError, StopIteration):
            raise KeyError(f"bench/results/{file}.json has no {path} (at {within or name})") from None
    return value


def _row(rows: Any, wanted: str) -> Any:
    if "=" not in wanted:
        return rows[int(wanted)]
    pairs = [part.split("=") for part in wanted.split(",")]
    return next(row for row in rows if all(str(row[name]) == value for name, value in pairs))


@cache
def _read(file: str) -> Any:
    return json.loads((RESULTS / f"{file}.json").read_text())


def _shown(file: str, path: str, form: str) -> str:
    value = figure(file, path)
    if form:
        return format(value, form)
    return table.shown(value) if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
