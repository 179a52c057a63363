"""Follows a router's decisions for as long as somebody looks, over its restarts, without a gap or a repetition."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from console.router import RouterProblem, connected
from console.router.decisions import listed
from console.router.plain import plain
from router_client import DecisionFilter, DecisionSummary, Router

# Seconds between two attempts to reach a router that is gone.
AGAIN = 0.5
# A router lists what it has written, which takes it 0.2 s as shipped.
WRITTEN = 0.5
# Decisions that may have been made between two watches, and how many are remembered not to be shown again.
BETWEEN, REMEMBERED = 200, 2000
# Seconds in which a watch has begun.
BEGIN = 5.0
# What no waiting mends.
FINAL = frozenset({"UNAUTHENTICATED", "UNIMPLEMENTED", "PERMISSION_DENIED"})

Show = Callable[[str, Mapping[str, Any]], None]


class Following:
    """What has been shown so far, and of which moment it was."""

    def __init__(self, wanted: DecisionFilter, show: Show, tell: Callable[[str], None]) -> None:
        """`show` gets every decision and report, `tell` a sentence when the router goes and when it is back."""
        self._wanted = wanted
        self._show = show
        self._tell = tell
        self._shown: deque[str] = deque(maxlen=REMEMBERED)
        self._latest: datetime | None = None
        self._began = False
        self._gone = False
        self._failed_before = False

    def run(self, address: str, environment: Mapping[str, str]) -> None:
        """Follow until interrupted; RouterProblem when the router is not there at the start, or will never let us in."""
        while True:
            try:
                with connected(address, environment) as router:
                    self._watch(router)
            except RouterProblem as problem:
                if not self._began or (problem.error is not None and problem.error.status in FINAL):
                    raise
                # A connection that has reached its age ends too; only a second failure in a row is worth a word.
                self._note_absence(address)
                time.sleep(AGAIN if self._gone else 0)

    def _watch(self, router: Router) -> None:
        with router.watch(tenant=self._wanted.tenant, profile=self._wanted.profile, timeout=BEGIN) as events:
            if self._gone:
                self._tell("It is back.")
            self._catch_up(router)
            self._began, self._gone, self._failed_before = True, False, False
            for event in events:
                self._take("decision" if isinstance(event, DecisionSummary) else "outcome", plain(event))

    def _note_absence(self, address: str) -> None:
        if self._failed_before and not self._gone:
            self._gone = True
            self._tell(f"The router at {address} does not answer; waiting for it.")
        self._failed_before = True

    def _catch_up(self, router: Router) -> None:
        """Show what was decided while nobody watched; the watch has begun, so nothing is missed between the two."""
        if not self._began:
            self._latest = datetime.now().astimezone()
            return
        time.sleep(WRITTEN)
        for one in reversed(listed(router, replace(self._wanted, since=self._latest), BETWEEN)):
            self._take("decision", one)

    def _take(self, kind: str, event: Mapping[str, Any]) -> None:
        if kind == "decision":
            if event["decision_id"] in self._shown:
                return
            self._shown.append(event["decision_id"])
            if event["time"]:
                self._latest = datetime.fromisoformat(event["time"])
        if self._wants(kind, event):
            self._show(kind, event)

    def _wants(self, kind: str, event: Mapping[str, Any]) -> bool:
        """Conversation and model are no matter of the contract's watch."""
        if kind == "outcome":
            return not (self._wanted.model or self._wanted.conversation_id) or event["decision_id"] in self._shown
        return self._wanted.model in ("", event["model"]) and self._wanted.conversation_id in (
            "",
            event["conversation_id"],
        )
