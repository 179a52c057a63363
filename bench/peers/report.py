"""What was found: printed as tables, written as a file, drawn."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.peers import table

RESULTS = Path(__file__).resolve().parent.parent / "results"
HEADINGS = {
    "pinned": "What is measured on one core, the load and the mock on the other:",
    "free": "Free to use all cores, beside the load and the mock:",
    "router": "The router alone, over gRPC:",
    "growth": "More processes, 64 requests at a time:",
    "features": "This, with one feature after another switched off, 2 kB, 16 at a time:",
    "held": "This, with conversations in the edge's memory and rows in the router's ledger, beside one that has just begun:",
    "pace": "What each process pays a request and holds, 16 connections that pause after each answer:",
}


def read() -> dict[str, Any]:
    """The result of the last whole run."""
    found: dict[str, Any] = json.loads((RESULTS / "peers.json").read_text())
    return found


def show(found: dict[str, Any], form: Callable[[Sequence[Sequence[str]]], str] = table.text) -> None:
    """Print the tables."""
    for layout in ("pinned", "free"):
        if part := found.get(layout):
            titles = {name: f"{peer['title']} {peer['version']}".strip() for name, peer in part["peers"].items()}
            print(f"\n{HEADINGS[layout]}\n\n{form(table.rows(titles, part['figures']))}\n")
            if compared := table.ratios(titles, part["figures"]):
                print(f"Beside ours, 2 kB, 16 at a time:\n\n{form(compared)}\n")
            for line in table.remarks(part):
                print(f"- {line}")
    for name in ("router", "growth", "features", "held", "pace"):
        if rows := found.get(name):
            print(f"\n{HEADINGS[name]}\n\n{form(table.listed(rows))}")


def write(found: dict[str, Any], *, whole: bool) -> None:
    """The result as a file, and its pictures where there is something to draw with."""
    folder = RESULTS if whole else RESULTS / "local"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"written: {folder / 'peers.json'} after {found['minutes']} minutes")
    if "pinned" in found:
        try:
            from bench.peers import plot  # noqa: PLC0415 - only `make bench` and `make peers` install what it draws with
        except ImportError:
            print("no pictures: matplotlib is not installed")
            return
        plot.draw(found["pinned"], folder)
