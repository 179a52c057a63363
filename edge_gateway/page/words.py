"""How the page writes times, amounts and names."""

from __future__ import annotations

from datetime import UTC, datetime

from edge_gateway.page.views import UNKNOWN

NOTHING = "–"  # noqa: RUF001 - what is not known
LARGE, SMALL, LEAST_SHARE = 1.0, 0.0001, 0.01
BAD = frozenset({"edit_failed", "lint_failed", "command_failed", "undone", "provider_failed"})
DOUBTFUL = frozenset({"no_edits", "interrupted"})


def dollars(amount: float | None) -> str:
    """An amount to read: cents for a dollar and more, four places for small ones."""
    if amount is None:
        return NOTHING
    if 0 < amount < SMALL:
        return "<$0.0001"
    return f"${amount:,.2f}" if amount >= LARGE or amount == 0 else f"${amount:.4f}"


def seconds(span: float | None) -> str:
    """A span to read."""
    if not span:
        return NOTHING
    if span < 1:
        return f"{span * 1000:.0f} ms"
    return f"{span:.1f} s" if span < 10 else f"{span:,.0f} s"  # noqa: PLR2004 - two digits tell enough


def percent(share: float | None) -> str:
    """A share of 1 to read."""
    if share is None:
        return NOTHING
    return "<1%" if 0 < share < LEAST_SHARE else f"{share:.0%}"


def figure(number: float | None) -> str:
    """An estimate or a score to read."""
    return NOTHING if number is None else f"{number:.3f}"


def label(name: str) -> str:
    """A name of the contract's as words."""
    return NOTHING if name in UNKNOWN else name.replace("_", " ")


def tone(outcome: str) -> str:
    """Whether an outcome is good, bad, doubtful, or says neither."""
    if outcome == "applied":
        return "good"
    if outcome in BAD:
        return "bad"
    return "doubtful" if outcome in DOUBTFUL else "plain"


def clock(time: float, now: float) -> str:
    """A time of day, with the day where it is not today's (UTC)."""
    then, today = datetime.fromtimestamp(time, UTC), datetime.fromtimestamp(now, UTC)
    return f"{then:%H:%M:%S}" if then.date() == today.date() else f"{then.day} {then:%b %H:%M}"


def moment(time: float) -> str:
    """A time in full (UTC)."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"


def stamp(time: float) -> str:
    """A time for machines."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")


def short(text: str, most: int = 14) -> str:
    """The beginning of a long name."""
    return text if len(text) <= most else text[: most - 1] + "…"


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
