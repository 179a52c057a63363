"""Tells a decision's trace as a person would: what was chosen and why, what came next, what was removed, how it fared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from console.moments import shown_time
from console.savings import dollars

SOURCES = {
    "not_diamond": "Not Diamond recommended it",
    "local": "the local policy chose it",
    "pinned": "the conversation stays on its model",
    "escalated": "a stronger model after a failed reply",
    "cached": "Not Diamond had recommended it for the same question",
    "only_candidate": "no other candidate was left",
    "requested": "the caller named it",
}


def story(trace: Mapping[str, Any]) -> tuple[str, str]:
    """What stands before the ranking, and what stands after it."""
    decision = trace["decision"]
    source = decision["source"]
    lines = [
        f"{decision['model']} for {trace['purpose'] or 'chat'}: {SOURCES.get(source, source or 'nobody says why')}.",
        f"Why: {decision['reason']}",
        "",
        _asked(trace),
        f"Decision {decision['decision_id']}, {shown_time(trace['time'])}{_whose(trace)}.",
        "",
    ]
    after = [*_removed(trace["removed"]), *_consulted(trace), *_pinned(trace["pin"]), *_before(trace["previous_reply"])]
    after += [*_learnt(trace["learning"]), *_beside(trace), *_fared(trace["outcomes"])]
    return "\n".join(lines), "\n".join(after)


def ranking(trace: Mapping[str, Any]) -> Table:
    """The models that were left, best first: the order in which they are asked when one fails."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("model", overflow="fold")
    for heading in ("quality", "cost"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for place, entry in enumerate(trace["decision"]["ranking"], start=1):
        quality = "-" if entry["quality"] is None else f"{entry['quality']:.2f}"
        table.add_row(str(place), entry["model"], quality, dollars(entry["expected_cost_usd"]), entry["reason"])
    return table


def _asked(trace: Mapping[str, Any]) -> str:
    needs = trace["requirements"] or {}
    told = [f"{needs.get('input_tokens') or 0:,} input tokens"]
    told += [f"room for {needs['output_tokens']:,} more"] if needs.get("output_tokens") else []
    told += [what for name, what in (("vision", "images"), ("tools", "tools"), ("json", "JSON")) if needs.get(name)]
    asked = f"profile {trace['profile']}" if trace["profile"] else "candidates or a model by name"
    policy = f" (decided by the policy of {trace['policy']})" if trace["policy"] not in ("", trace["profile"]) else ""
    return f"Asked for: {asked}{policy}, trade-off {trace['cost_quality_tradeoff']} (0 quality, 10 cost), {', '.join(told)}."


def _whose(trace: Mapping[str, Any]) -> str:
    parts = ("tenant", trace["tenant"]), ("key", trace["caller"]), ("conversation", trace["conversation_id"])
    return "".join(f", {name} {value}" for name, value in parts if value)


def _removed(removed: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each reason; what many models lacked is said once."""
    models: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in removed:
        models[entry["filter"], entry["detail"].replace(entry["model"], "it")].append(entry["model"])
    if not models:
        return []
    return ["", "Removed:", *(f"  {what}: {why} ({', '.join(names)})" for (what, why), names in models.items())]


def _consulted(trace: Mapping[str, Any]) -> list[str]:
    asked = trace["not_diamond"]
    if asked is None:
        return ["", "Not Diamond was not asked."]
    took = "from its earlier answer" if asked["cached"] else f"in {asked['elapsed'] or 0:.2f} s"
    said = f"recommended {asked['model']}" if asked["model"] else "gave no usable recommendation"
    problem = f": {asked['problem']}" if asked["problem"] else ""
    unknown = f"; it does not know {', '.join(asked['not_offered'])}" if asked["not_offered"] else ""
    return ["", f"Not Diamond {said}, {took}{problem}{unknown}."]


def _pinned(pin: Mapping[str, Any] | None) -> list[str]:
    if pin is None:
        return []
    return [f"The conversation was on {pin['model']} and {'stayed' if pin['kept'] else 'left it'}: {pin['reason']}."]


def _before(previous: Mapping[str, Any] | None) -> list[str]:
    if previous is None or previous["outcome"] in ("", "none"):
        return []
    by = f" of {previous['model']}" if previous["model"] else ""
    row = previous["consecutive_failures"]
    counted = f", the {row}. failure in a row" if row > 1 else ""
    return [f"The reply{by} before: {previous['outcome'].replace('_', ' ')}{counted}."]


def _learnt(learning: Mapping[str, Any] | None) -> list[str]:
    if learning is None:
        return []
    acted = "acted on" if learning["mode"] == "on" else "only told"
    line = f"Learnt from {learning['outcomes']:.0f} outcomes ({acted}): {learning['model']} would lead"
    line += (
        f", {learning['prior_model']} without them." if learning["model"] != learning["prior_model"] else " either way."
    )
    return [line, *([f"Not acted on: {learning['distrust']}"] if learning["distrust"] else [])]


def _beside(trace: Mapping[str, Any]) -> list[str]:
    told = []
    if (shadow := trace["shadow"]) is not None:
        told.append(f"The policy of {shadow['profile']}, tried beside it, would have chosen {shadow['model']}.")
    if baseline := trace["decision"]["baseline_model"]:
        told.append(f"The baseline, {baseline}, would cost {dollars(trace['decision']['baseline_cost_usd'])}.")
    return told


def _fared(outcomes: Sequence[Mapping[str, Any]]) -> list[str]:
    if not outcomes:
        return ["", "Nothing has been reported of a reply."]
    lines = ["", "Reported:"]
    for report in outcomes:
        tokens = (
            f", {report['input_tokens']:,} tokens in and {report['output_tokens']:,} out"
            if report["output_tokens"]
            else ""
        )
        changed = f", sent with {', '.join(report['adaptations'])}" if report["adaptations"] else ""
        by = f" by {report['served_model']}" if report["served_model"] else ""
        lines.append(f"  {report['outcome'].replace('_', ' ') or 'unknown'}{by}{tokens}{_cost(report)}{changed}")
    return lines


def _cost(report: Mapping[str, Any]) -> str:
    return "" if report["cost_usd"] is None else f", {dollars(report['cost_usd'])}"
