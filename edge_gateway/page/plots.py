"""Works out the page's figures and the geometry of its plots; the templates draw them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from statistics import median

from edge_gateway.page.views import Row, Sum
from edge_gateway.page.words import NOTHING, count, dollars, percent, seconds, short

# Bars of a plot, and characters of a name beside one.
MOST_BARS, NAME = 5, 30
# Purposes whose replies ask for no edits, so that nothing of them can be applied.
TALK = frozenset({"ask", "context", "chat"})
# The bounds of the spans to the first token, in seconds.
SPANS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# What other models would have cost is said only where nearly all replies' tokens are known.
NEARLY_ALL = 0.9
NINETEEN_TWENTIETHS = 0.95


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it stands for, its length in percent of the longest, and what is written at its end."""

    name: str
    length: float
    said: str
    detail: str = ""
    strong: bool = True

    @property
    def short_name(self) -> str:
        """The name as far as there is room for it."""
        return short(self.name, NAME)


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of bars with its sentence, which stands for it where it cannot be seen."""

    title: str
    sentence: str
    bars: tuple[Bar, ...]
    columns: tuple[str, str, str]
    upright: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What the page says at a glance, and its plots."""

    decisions: int
    glance: tuple[tuple[str, str, str], ...]
    plots: tuple[Plot, ...]


def figures(sums: Iterable[Sum], rows: Sequence[Row]) -> Figures:
    """The figures of these sums, and of the latest replies' waits."""
    kept = tuple(sums)
    waits = sorted(row.first_token for row in rows if row.first_token)
    plots = (_share(kept), _costs(kept), _applied(kept), _waits(waits))
    return Figures(sum(row.decisions for row in kept), _glance(kept, waits), plots)


def _glance(sums: Sequence[Sum], waits: Sequence[float]) -> tuple[tuple[str, str, str], ...]:
    cost, strongest = sum(row.cost for row in sums), sum(row.strongest for row in sums)
    saved = _saved(cost, strongest) if _tells(sums) else "the strongest model alone is not known"
    judged, applied = _judged(sums)
    return (
        (
            "Decisions",
            f"{sum(row.decisions for row in sums):,}",
            count(sum(row.replies for row in sums), "reply", "replies"),
        ),
        ("Spent", dollars(cost), saved),
        ("Applied first time", percent(applied / judged if judged else None), f"of {count(judged, 'judged turn')}"),
        ("First token", seconds(median(waits) if waits else None), f"median of the latest {len(waits):,}"),
    )


def _share(sums: Sequence[Sum]) -> Plot:
    replies: Counter[str] = Counter()
    for row in sums:
        replies[row.model] += row.replies
    total = replies.total()
    ordered = [(name, number) for name, number in replies.most_common() if number]
    most = MOST_BARS - 1 if len(ordered) > MOST_BARS else MOST_BARS
    shown, rest = ordered[:most], ordered[most:]
    if rest:
        shown.append((count(len(rest), "other model"), sum(number for _, number in rest)))
    bars = tuple(Bar(name, _length(number, total), percent(number / total), f"{number:,}") for name, number in shown)
    said = (
        f"{ordered[0][0]} gave {percent(ordered[0][1] / total)} of {count(total, 'reply', 'replies')}."
        if ordered
        else ""
    )
    return Plot("Share by model", said, bars, ("Model", "Share", "Replies"))


def _costs(sums: Sequence[Sum]) -> Plot:
    title, columns = "Cost against the baselines", ("Choice", "Cost", "Against routing")
    cost = sum(row.cost for row in sums)
    if not _tells(sums):
        return Plot(title, "", (), columns)
    others = [
        ("Strongest model alone", sum(row.strongest for row in sums)),
        ("Cheapest model alone", sum(row.cheapest for row in sums)),
    ]
    longest = max(cost, *(amount for _, amount in others))
    bars = [Bar("As routed", _length(cost, longest), dollars(cost), NOTHING)]
    bars += [
        Bar(name, _length(other, longest), dollars(other), _times(other, cost), strong=False) for name, other in others
    ]
    sentence = f"The same tokens at list prices: routing cost {dollars(cost)}, {_saved(cost, others[0][1])}."
    return Plot(title, sentence, tuple(bars), columns)


def _applied(sums: Sequence[Sum]) -> Plot:
    known: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in sums:
        if row.purpose not in TALK:
            known[row.model][0] += row.judged
            known[row.model][1] += row.applied_first
    ordered = sorted(
        ((name, both[0], both[1]) for name, both in known.items() if both[0]), key=itemgetter(1), reverse=True
    )
    bars = tuple(
        Bar(name, 100 * first / judged, percent(first / judged), f"{first:,} of {judged:,}")
        for name, judged, first in ordered[:MOST_BARS]
    )
    judged, applied = _judged(sums)
    said = f"Of {count(judged, 'turn')} whose first reply is judged, {applied:,} had it applied." if judged else ""
    return Plot("Applied first time, by model", said, bars, ("Model", "Applied", "Turns"))


def _waits(waits: Sequence[float]) -> Plot:
    numbers = [0] * (len(SPANS) + 1)
    for wait in waits:
        numbers[sum(wait >= bound for bound in SPANS)] += 1
    longest = max(numbers)
    names = [f"under {SPANS[0]:g} s"]
    names += [f"{low:g} to {high:g} s" for low, high in pairwise(SPANS)]
    names.append(f"{SPANS[-1]:g} s and more")
    bars = tuple(
        Bar(name, _length(number, longest), f"{number:,}", percent(number / len(waits)))
        for name, number in zip(names, numbers, strict=True)
        if waits
    )
    said = ""
    if waits:
        late = waits[min(len(waits) - 1, int(NINETEEN_TWENTIETHS * len(waits)))]
        said = (
            f"Half of the latest {len(waits):,} began within {_whole(median(waits))}, 19 of 20 within {_whole(late)}."
        )
    return Plot("Time to first token", said, bars, ("Span", "Replies", "Share"), upright=True)


def _judged(sums: Sequence[Sum]) -> tuple[int, int]:
    """Turns that asked for edits and are judged, and those of them that had the first reply applied."""
    edits = [row for row in sums if row.purpose not in TALK]
    return sum(row.judged for row in edits), sum(row.applied_first for row in edits)


def _tells(sums: Sequence[Sum]) -> bool:
    """Whether enough replies' tokens are known to compare what they cost."""
    reported, replies = sum(row.reported for row in sums), sum(row.replies for row in sums)
    return bool(reported) and reported >= NEARLY_ALL * replies


def _saved(cost: float, other: float) -> str:
    if not other or abs(other - cost) < other / 200:
        return "as much as the strongest alone"
    share = percent(abs(other - cost) / other)
    return f"{share} {'less' if cost < other else 'more'} than the strongest alone"


def _whole(span: float) -> str:
    """A span that no line's end takes apart."""
    return seconds(span).replace(" ", "\N{NO-BREAK SPACE}")


def _times(other: float, cost: float) -> str:
    return f"{other / cost:.1f} times" if cost else NOTHING


def _length(part: float, longest: float) -> float:
    return 100 * part / longest if longest else 0.0
