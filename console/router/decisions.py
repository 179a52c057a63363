"""Asks the router for decisions: a dry one, a past one with its whole trace, a list."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

from console.router.plain import plain
from router_client import DecisionFilter, Message, Purpose, Question, Router

PURPOSES = tuple(str(purpose) for purpose in Purpose if purpose)
# Characters of a prompt that are shown to the router, as many as an edge shows it.
SHOWN = 8000
# Decisions a page, the most that the router gives.
PAGE = 1000


def decide(router: Router, question: Question, prompt: str) -> dict[str, Any]:
    """Have the router decide without any request to a model, and return the decision's whole trace."""
    shown = (Message("user", prompt[:SHOWN]),) if prompt else ()
    asked = replace(question, messages=shown, metadata={"asked_by": "explain"})
    return explain(router, router.select(asked).decision_id)


def explain(router: Router, decision_id: str) -> dict[str, Any]:
    """The whole trace of a past decision."""
    trace: dict[str, Any] = plain(router.explain(decision_id))
    return trace


def listed(router: Router, wanted: DecisionFilter, most: int) -> list[dict[str, Any]]:
    """At most so many past decisions, latest first."""
    return [plain(one) for one in islice(router.list_decisions(wanted, page_size=min(PAGE, most)), most)]
