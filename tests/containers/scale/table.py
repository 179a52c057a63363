"""Who answered what, window by window: the load's records joined with the containers' logs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.containers.scale.changes import SETTLE, Window
from tests.containers.scale.load import Sent

HEADINGS = ("change", "", "requests", "errors", "decided in default order", "slowest ms", "by router", "by edge")
Row = dict[str, Any]


def rows(
    windows: Sequence[Window], sent: Sequence[Sent], routers: Mapping[str, str], edges: Mapping[str, str]
) -> list[Row]:
    """A row a window, of what was sent in it; `routers`, `edges`: for a decision, the number of the replica that made it."""
    told = []
    for window in windows:
        here = [one for one in sent if window.start <= one.at < window.end]
        told.append(
            {
                "change": window.change,
                "when": window.when,
                "seconds": round(window.end - window.start, 1),
                "requests": len(here),
                "errors": sum(bool(one.problem) for one in here),
                "problems": dict(Counter(one.problem for one in here if one.problem)),
                "default_order": sum(one.source == "edge_default" for one in here),
                "slowest_ms": round(1000 * max((one.seconds for one in here), default=0)),
                "routers": _shares(here, routers),
                "edges": _shares(here, edges),
            }
        )
    return told


def _shares(sent: Sequence[Sent], makers: Mapping[str, str]) -> dict[str, int]:
    counted = Counter(makers[one.decision] for one in sent if one.decision in makers)
    return dict(sorted(counted.items(), key=lambda pair: int(pair[0])))


def cells(row: Row) -> list[str]:
    """As the tables have it."""
    shares = [" · ".join(f"{name}: {count}" for name, count in row[who].items()) for who in ("routers", "edges")]
    numbers = [row["requests"], row["errors"], row["default_order"], row["slowest_ms"]]
    return [row["change"] if row["when"] == "before" else "", row["when"], *map(str, numbers), *shares]


def markdown(told: Sequence[Row]) -> str:
    """For a page."""
    table = [list(HEADINGS), ["---", "---", *["--:"] * 4, "---", "---"], *map(cells, told)]
    return "\n".join("| " + " | ".join(row) + " |" for row in table)


def page(found: Mapping[str, Any]) -> str:
    """The whole of deploy/kubernetes/scale.md."""
    each, asked = found["per_request"], 100 * found["decided"] / found["requests"]
    setting = (
        f"As `python -m tests.containers.scale` saw it on {found['date']}: containers on one machine of two cores (its load "
        f"average at the end: {found['load_average']}), Redis and PostgreSQL shared, the demo models behind the "
        f"open-source gateway. {found['rate']:.0f} requests a second, {found['streams']} a stream, each over a connection of "
        "its own, and none tried again by its client. Routers have clients connect anew every "
        f"{found['connection_age_seconds']} s (30 as shipped). "
        f'"During" is from the beginning of the change until {SETTLE:.0f} s after its end.'
    )
    outcome = (
        f"{found['requests']:,} requests, {found['errors']} errors. The routers decided {asked:.1f}%; the others went by the "
        f"default order, because no router answered in time. Of the routers' decisions {found['not_in_the_ledger']} are "
        f"missing in the ledger (a killed router loses what it has not yet written). A request took "
        f"{each['redis_commands']} commands of Redis (those inside of scripts counted) and {each['ledger_rows']} rows of the "
        "ledger."
    )
    return "\n\n".join(["# Scaled under load", setting, markdown(found["rows"]), outcome]) + "\n"
