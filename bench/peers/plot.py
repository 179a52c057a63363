"""Draws the comparison for light and dark pages: CPU a request, added first byte, throughput as concurrency grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from bench.peers.loads import LOADS
from bench.peers.summary import added

# A grey that reads on white and on black, and colours between both; this project's own stand out.
INK, OURS, THEIRS = "#808080", "#e07b00", "#4a8fd0"
OWN = ("fresh", "leased", "ours-portkey")
CURVE = ("c1b", "c16", "c64")
COLOURS = ("#e07b00", "#c04040", "#b08a00", "#4a8fd0", "#3a9a5a", "#9a6ad0", "#30a0a0", "#d060a0", "#7090b0", "#a08060")


def draw(part: Mapping[str, Any], folder: Path) -> None:
    """The pictures of one layout, as peers_*.svg in the folder."""
    settings = {"svg.hashsalt": "peers", "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK}
    with matplotlib.rc_context({**settings, "xtick.color": INK, "ytick.color": INK, "font.size": 9}):
        figures, peers = part["figures"], part["peers"]
        cpu = _values(part, lambda own: own.get("c16", {}).get("cpu_ms") or None)
        first = _values(part, lambda own: added(own.get("paced"), figures.get("direct", {}).get("paced"), "first_ms"))
        _bars(peers, cpu, "CPU ms a request of 2 kB, 16 at a time (log scale)", folder / "peers_cpu.svg", log=True)
        _bars(
            peers, first, "ms added before a paced stream's first event, 16 at a time", folder / "peers_first_byte.svg"
        )
        _curves(part, folder / "peers_throughput.svg")


def _values(part: Mapping[str, Any], of: Callable[[Mapping[str, Any]], float | None]) -> dict[str, float]:
    told = {name: of(own) for name, own in part["figures"].items() if name != "direct"}
    return {name: value for name, value in told.items() if value is not None}


def _bars(peers: Mapping[str, Any], values: Mapping[str, float], label: str, file: Path, *, log: bool = False) -> None:
    if not values:
        return
    figure, axes = pyplot.subplots(figsize=(8, 0.36 * len(values) + 0.9))
    names = list(values)[::-1]
    lengths = [values[name] if log else max(0.0, values[name]) for name in names]
    bars = axes.barh(
        [peers[name]["title"] for name in names], lengths, color=[OURS if name in OWN else THEIRS for name in names]
    )
    axes.bar_label(bars, [f"{values[name]:.3g}" for name in names], padding=3, color=INK, fontsize=8)
    if log:
        axes.set_xscale("log")
    axes.margins(x=0.12)
    _finish(figure, axes, label, file)


def _curves(part: Mapping[str, Any], file: Path) -> None:
    loads = [load for load in LOADS if load.name in CURVE]
    figure, axes = pyplot.subplots(figsize=(8, 4.6))
    drawn: Sequence[str] = [name for name in part["figures"] if name != "direct"]
    for number, name in enumerate(drawn):
        own = part["figures"][name]
        points = [(load.connections, own[load.name]["per_second"]) for load in loads if load.name in own]
        if len(points) > 1:
            colour, wide = COLOURS[number % len(COLOURS)], 2.5 if name in OWN else 1.2
            axes.plot(
                *zip(*points, strict=True), "o-", color=colour, linewidth=wide, label=part["peers"][name]["title"]
            )
    if not axes.lines:
        pyplot.close(figure)
        return
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks([load.connections for load in loads], [str(load.connections) for load in loads])
    axes.set_ylabel("requests a second (log scale)")
    axes.legend(fontsize=7, frameon=False, labelcolor=INK, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _finish(figure, axes, "requests of 2 kB at a time", file)


def _finish(figure: Any, axes: Any, label: str, file: Path) -> None:
    axes.set_xlabel(label)
    axes.grid(color=INK, alpha=0.25)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None}, transparent=True, bbox_inches="tight")
    pyplot.close(figure)
