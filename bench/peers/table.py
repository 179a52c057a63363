"""The comparison as a table, for people at a terminal and for a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.peers.summary import Figure, added, ratio

NOTHING = "-"
OURS, CONCURRENT = ("fresh", "leased"), "c16"
Figures = Mapping[str, Mapping[str, Figure]]
# A peer that is not there, or whose answers were wrong, is named below the table.
Part = Mapping[str, Any]
Cell = Callable[[Mapping[str, Figure], Mapping[str, Figure]], float | None]


def _plain(load: str, name: str) -> Cell:
    def cell(own: Mapping[str, Figure], direct: Mapping[str, Figure]) -> float | None:
        value = own.get(load, {}).get(name)
        return None if value is None else float(value)

    return cell


def _added(load: str, name: str) -> Cell:
    return lambda own, direct: added(own.get(load), direct.get(load), name)


def _kept_up(own: Mapping[str, Figure], direct: Mapping[str, Figure]) -> float | None:
    """Memory of an open stream, where all of them were open at once."""
    figure = own.get("open", {})
    if figure.get("most_open", 0) < 0.98 * direct.get("open", {}).get("most_open", 1000):
        return None
    value = figure.get("stream_kb")
    return None if value is None else float(value)


COLUMNS: tuple[tuple[str, Cell], ...] = (
    ("added p50 ms", _added("c1", "p50_ms")),
    ("added p99 ms", _added("c1", "p99_ms")),
    ("req/s c1", _plain("c1b", "per_second")),
    ("req/s c16", _plain("c16", "per_second")),
    ("CPU ms", _plain("c16", "cpu_ms")),
    ("req/s c64", _plain("c64", "per_second")),
    ("CPU ms, 41 kB", _plain("41kB", "cpu_ms")),
    ("400 kB", _plain("400kB", "cpu_ms")),
    ("stream of 50", _plain("burst", "cpu_ms")),
    ("paced", _plain("paced", "cpu_ms")),
    ("added first byte ms", _added("paced", "first_ms")),
    ("CPU µs an event", _plain("flow", "event_us")),
    ("kB an open stream", _kept_up),
    ("RSS MB", _plain("c64", "rss_mb")),
)


def rows(titles: Mapping[str, str], figures: Figures) -> list[list[str]]:
    """The heading, and a row a peer, in the order of the titles; a dash where there is no figure, no column without any."""
    direct = figures.get("direct", {})
    told = [
        [title, *(shown(cell(own, direct)) for _, cell in COLUMNS)]
        for name, title in titles.items()
        if (own := figures.get(name))
    ]
    table = [["", *(name for name, _ in COLUMNS)], *told]
    kept = [column for column in range(len(table[0])) if not column or any(row[column] != NOTHING for row in told)]
    return [[row[column] for column in kept] for row in table]


def ratios(titles: Mapping[str, str], figures: Figures) -> list[list[str]]:
    """Each peer's CPU as a multiple of ours, and our requests a second as a multiple of the peer's; nothing without ours."""
    ours = [name for name in OURS if CONCURRENT in figures.get(name, {})]
    told = [["", *(what.format(name) for name in ours for what in ("CPU, times {}'s", "req/s of {}, times its"))]]
    for name, title in titles.items():
        if name in (*OURS, "direct") or CONCURRENT not in figures.get(name, {}):
            continue
        its = figures[name][CONCURRENT]
        cells = []
        for own in (figures[one][CONCURRENT] for one in ours):
            cells += [ratio(own["cpu_ms"], its["cpu_ms"]), ratio(its["per_second"], own["per_second"])]
        told.append([title, *map(shown, cells)])
    return told if ours and len(told) > 1 else []


def listed(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Rows of names and values as a table; a row may lack some."""
    names = list(dict.fromkeys(name for row in found for name in row))
    return [names, *([_value(row.get(name)) for name in names] for row in found)]


def remarks(part: Part) -> list[str]:
    """Who was left out, whose answers were wrong, and where requests failed."""
    told = [f"{name}: left out: {why}" for name, why in part["absent"].items()]
    for name, loads in part["wrong"].items():
        told += [f"{name}, {load}: not counted: {why}" for load, why in loads.items()]
    for name, loads in part["figures"].items():
        failed = {load: own for load, own in loads.items() if own["errors"]}
        told += [
            f"{name}, {load}: {own['errors']} failed or late, first: {_kind(own['first_error'])}"
            for load, own in failed.items()
        ]
    return told


def _kind(error: str) -> str:
    """What an error begins with: of an answer its first line."""
    return error.partition("  ")[0].strip() or "no answer in time"


def _value(value: Any) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, str | int) else shown(value)


def shown(value: float | None) -> str:
    """Three digits, and never more exact than it is."""
    if value is None:
        return NOTHING
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def text(told: Sequence[Sequence[str]]) -> str:
    """For a terminal: the heading goes over two lines where it is long."""
    widths = [max(len(row[column]) for row in told) for column in range(len(told[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in told
    )


def markdown(told: Sequence[Sequence[str]]) -> str:
    """For a page."""
    lines = ["| " + " | ".join(row) + " |" for row in told]
    return "\n".join([lines[0], "|---" + "|--:" * (len(told[0]) - 1) + "|", *lines[1:]])
