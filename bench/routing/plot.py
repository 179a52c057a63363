"""Draws replayed routers on the plane of cost and quality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from bench.routing import baselines
from bench.routing.study import Study

COLUMNS = 2
COLOURS = {"off": "#06c", "on": "#c60"}


def draw(studies: Sequence[Study], source: str, file: Path) -> None:
    """One panel a pool: fixed models, their hull, tables by task type where there are types, the oracle, and the routers."""
    matplotlib.rcParams["svg.hashsalt"] = "routing"
    height = -(-len(studies) // COLUMNS)
    figure, panels = pyplot.subplots(height, COLUMNS, figsize=(13, 4.2 * height), squeeze=False)
    for found, axes in zip(studies, panels.flat, strict=False):
        _panel(axes, found)
    for axes in panels.flat[len(studies) :]:
        axes.axis("off")
    figure.suptitle(f"The router's policy with a verifier that objects to P(wrong)/P(right)\n{source}", fontsize=11)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def _panel(axes: Any, found: Study) -> None:
    points = [(model.cost, 100 * model.quality) for model in found.models]
    corners = baselines.hull(points)
    axes.plot(*zip(*corners, strict=True), "-", color="#bbb", label="zero router")
    axes.scatter(*zip(*points, strict=True), color="#888", label="one model for all")
    for model in found.models:
        axes.annotate(model.model.split(" (")[0], (model.cost, 100 * model.quality), xytext=(5, -11), **_SMALL)
    axes.scatter([found.oracle_cost], [100 * found.oracle_quality], marker="*", color="#393", label="oracle")
    if found.types:
        costs, qualities = [cost for cost, _ in found.types], [100 * quality for _, quality in found.types]
        axes.plot(costs, qualities, ":", color="#939", label="table by task type, cross-validated")
    for mode, colour in COLOURS.items():
        rows = [row for row in found.rows if row.learning == mode and not row.aside]
        if not rows:
            continue
        costs = [row.comparison.cost for row in rows]
        qualities = [100 * row.comparison.quality for row in rows]
        size, filled = (8, "none") if mode == "off" else (4, colour)
        label = f"router, learning {mode}"
        axes.plot(costs, qualities, "o", markersize=size, markerfacecolor=filled, color=colour, label=label)
        for row, cost, quality in zip(rows, costs, qualities, strict=True):
            above = 5 if mode == "off" else -10
            axes.annotate(row.verifier, (cost, quality), xytext=(5, above), color=colour, **_SMALL)
    axes.set_title(found.pool, fontsize=9)
    axes.set_xlabel("US dollars a task", fontsize=8)
    axes.set_ylabel("quality, %", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, loc="upper right")


_SMALL: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6.5}
