"""Draws docs/images/architecture.svg from the imports of the two services: `python -m scripts.architecture`."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from html import escape
from pathlib import Path

import grimp

OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "architecture.svg"
WIDTH, HEIGHT = 1124, 790
BOX_WIDTH, BOX_HEIGHT, ROW = 176, 96, 118
# Module names that a line of a box has room for.
LINE = 26
STYLE = """
.ground{fill:#fbfbf8}.panel{fill:#eef4f2;stroke:#b9cbc6}.box{fill:#fff;stroke:#2f7d6d}.outside{fill:#f4efe3;stroke:#b08c3a}
text{font-family:system-ui,sans-serif;fill:#1d2b28}.name{font-size:15px;font-weight:600}.modules{font-size:10.5px;fill:#4c5f5a}
.title{font-size:17px;font-weight:700}.said{font-size:12px}.import{stroke:#2f7d6d;opacity:.4;fill:none}
.way{stroke:#b5651d;stroke-width:2.5;fill:none;marker-end:url(#tip)}.tip{fill:#b5651d}
@media (prefers-color-scheme:dark){.ground{fill:#15191c}.panel{fill:#1c2529;stroke:#3a4f4a}.box{fill:#243136;stroke:#5fb8a5}
.outside{fill:#332d1f;stroke:#c9a75a}text{fill:#e6eeec}.modules{fill:#a9bab5}.import{stroke:#5fb8a5}
.way{stroke:#e39a55}.tip{fill:#e39a55}}
"""


@dataclass(frozen=True)
class Group:
    """Modules with one task, and where their box stands."""

    service: str
    name: str
    modules: str
    column: int
    row: int

    @property
    def left(self) -> float:
        """The box's left side."""
        panel = 20 if self.service == "edge_gateway" else 640
        step = 190 if self.service == "edge_gateway" else 260
        return panel + 14 + self.column * step

    @property
    def top(self) -> float:
        """The box's upper side."""
        return 142 + self.row * ROW

    @property
    def middle(self) -> tuple[float, float]:
        """Where lines to and from the box end, behind it."""
        return self.left + BOX_WIDTH / 2, self.top + BOX_HEIGHT / 2


# Each module stands for those below it as well. What is in no group is drawn as `other`.
GROUPS = (
    Group(
        "edge_gateway",
        "door",
        "__main__ app parts server endpoints openapi serving memory",
        0,
        0,
    ),
    Group("edge_gateway", "the story", "completion", 1, 0),
    Group("edge_gateway", "who may", "clients access", 2, 0),
    Group("edge_gateway", "reading", "parsing json_guard chat_request prompt_messages forms call", 0, 1),
    Group("edge_gateway", "understanding", "aider conversations", 1, 1),
    Group(
        "edge_gateway",
        "asking the router",
        "routing router_client leases decisions",
        2,
        1,
    ),
    Group(
        "edge_gateway",
        "dispatch",
        "dispatch portkey adaptations circuits circuit_news upstream",
        0,
        2,
    ),
    Group("edge_gateway", "relay", "opening relay delivery event_stream notes cache", 1, 2),
    Group("edge_gateway", "telling", "outcomes feedback pricing", 2, 2),
    Group("edge_gateway", "ground", "settings errors providers listing telemetry stamps redis_pool", 1, 3),
    Group("edge_gateway", "watching", "metrics page tracing", 2, 3),
    Group("edge_gateway", "other", "", 0, 4),
    Group(
        "router_service",
        "door",
        "__main__ server wiring servicer authentication credentials unreadable refusals wire probe",
        0,
        0,
    ),
    Group("router_service", "the story", "selection conclusion candidates consulting policy side_by_side", 1, 0),
    Group("router_service", "Not Diamond", "not_diamond recommendations breaker clipping model_refresh", 0, 1),
    Group("router_service", "local policy", "local_policy standings ground economics observations", 1, 1),
    Group("router_service", "conversation", "conversation pins escalation leases stores", 0, 2),
    Group("router_service", "learning", "learning", 1, 2),
    Group(
        "router_service",
        "keeping, telling",
        "ledger reporting watch training metrics tracing",
        0,
        3,
    ),
    Group("router_service", "ground", "catalog domain records errors settings telemetry reload latest", 1, 3),
    Group("router_service", "other", "", 0, 4),
)


def main() -> int:
    """Write the picture; with --check say whether the one that is there shows today's imports."""
    drawn = picture()
    if "--check" in sys.argv:
        return 0 if OUT.exists() and OUT.read_text() == drawn else 1
    OUT.write_text(drawn)
    print(f"written: {OUT}")
    return 0


def picture() -> str:
    """The whole SVG."""
    graph = grimp.build_graph("edge_gateway", "router_service", cache_dir=None)
    held = {group: [] for group in GROUPS}
    for module in sorted(graph.modules):
        if "." in module and module.count(".") == 1:
            held[group_of(module)].append(module.partition(".")[2])
    lines = Counter(
        (group_of(importer), group_of(imported))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if "." in importer and "." in imported
    )
    parts = [
        _head(),
        *_imports(lines),
        *(_box(group, names) for group, names in held.items() if names),
        *_ways(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def group_of(module: str) -> Group:
    """Whose box a module is in."""
    service, _, rest = module.partition(".")
    first = rest.partition(".")[0]
    own = [group for group in GROUPS if group.service == service]
    return next((group for group in own if first in group.modules.split()), next(g for g in own if g.name == "other"))


def _head() -> str:
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t">
<title id="t">The edge gateway and the router: groups of modules, the imports between them, and the way of a request</title>
<style>{STYLE}</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" orient="auto">
<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>
<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="12"/>
<rect class="panel" x="20" y="96" width="584" height="540" rx="10"/>
<rect class="panel" x="640" y="96" width="464" height="540" rx="10"/>
<text class="title" x="34" y="126">edge_gateway: serves, never decides</text>
<text class="title" x="654" y="126">router_service: decides, never serves</text>"""


def _imports(lines: Counter[tuple[Group, Group]]) -> list[str]:
    """A line for the imports of one group from another, the thicker the more there are."""
    drawn = []
    for (importer, imported), count in sorted(lines.items(), key=lambda item: [str(group) for group in item[0]]):
        if (
            importer == imported
            or importer.service != imported.service
            or {"ground", "other"} & {importer.name, imported.name}
        ):
            continue
        (x1, y1), (x2, y2) = importer.middle, imported.middle
        drawn.append(f'<path class="import" stroke-width="{0.6 + count**0.5:.1f}" d="M{x1} {y1}L{x2} {y2}"/>')
    return drawn


def _box(group: Group, names: list[str]) -> str:
    if group.name == "other":
        return f'<text class="modules" x="{group.left}" y="{group.top + 6}">and {escape(", ".join(names))}</text>'
    wrapped = [""]
    for name in names:
        if name.startswith("__"):
            continue
        if len(wrapped[-1]) + len(name) > LINE:
            wrapped.append("")
        wrapped[-1] += f"{name} "
    rows = "".join(f'<tspan x="{group.left + 10}" dy="13">{escape(row)}</tspan>' for row in wrapped[:5])
    return (
        f'<rect class="box" x="{group.left}" y="{group.top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="7"/>'
        f'<text class="name" x="{group.left + 10}" y="{group.top + 19}">{group.name}</text>'
        f'<text class="modules" x="{group.left + 10}" y="{group.top + 22}">{rows}</text>'
    )


def _ways() -> list[str]:
    """What comes from outside and goes there; this part is drawn by hand."""
    outside = (
        ("Aider, OpenAI and Anthropic clients", 34, 24, 260),
        ("other services", 914, 24, 180),
        ("Portkey", 34, 700, 130),
        ("OpenAI, Anthropic, …, Ollama, demo models", 214, 700, 330),
        ("Not Diamond", 654, 700, 130),
        ("SQLite or PostgreSQL, Redis", 834, 700, 240),
    )
    arrows = (
        "M284 64V92",
        "M1000 64V92",
        "M99 636V696",
        "M164 720H210",
        "M719 636V696",
        "M954 636V696",
        "M604 305H636",
    )
    said = (
        ("HTTP: OpenAI's API, server-sent events", 34, 84),
        ("gRPC", 1010, 84),
        ("protos/", 602, 294),
        ("HTTP, one inline config", 110, 672),
        ("HTTPS", 730, 672),
    )
    return [
        *(_outside(*one) for one in outside),
        *(f'<path class="way" d="{arrow}"/>' for arrow in arrows),
        *(f'<text class="said" x="{x}" y="{y}">{text}</text>' for text, x, y in said),
    ]


def _outside(said: str, x: int, y: int, width: int) -> str:
    box = f'<rect class="outside" x="{x}" y="{y}" width="{width}" height="40" rx="7"/>'
    return f'{box}<text class="said" x="{x + 12}" y="{y + 25}">{said}</text>'


if __name__ == "__main__":
    sys.exit(main())
