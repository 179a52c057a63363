"""Remembers plans: they depend on little of a request, and the same ones are needed again and again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge_gateway.adaptations import Adaptations, Asked, Changes
from edge_gateway.forms import Form
from edge_gateway.portkey.config.emitters import Emitter
from edge_gateway.portkey.config.plan import Bounds, Plan, fitting, plan
from edge_gateway.providers import Providers

# Plans and rankings that are remembered, each; a few rankings and kinds of requests are what there is.
MOST = 500
# Bytes of a request that may be remembered with its plan: a temperature and a number of tokens are shorter.
MOST_TAKEN = 64


class Plans:
    """The plans for one kind of Portkey, its providers and rules."""

    def __init__(self, providers: Providers, rules: Adaptations, emitter: Emitter) -> None:
        self._providers = providers
        self._rules = rules
        self._emitter = emitter
        # What changes in a body of each kind of request, and by that and what is taken out of it the plans without a body.
        self._changes: dict[tuple[object, ...], Changes] = {}
        self._plans: dict[tuple[object, ...], Plan] = {}

    def fitting(self, ranking: Sequence[str], asked: Asked) -> tuple[str, ...]:
        """As `plan.fitting`."""
        return fitting(ranking, self._providers, asked)

    def plan(self, form: Form, raw: bytes, models: Sequence[str], asked: Asked, bounds: Bounds) -> Plan:
        """As `plan.plan`."""
        kind = (form.name, *models, asked.shape, bounds)
        changes = self._changes.get(kind)
        if changes is not None:
            members = changes.members(raw)
            known = self._plans.get((kind, changes.taken(members)))
            if known is not None:
                return msgspec.structs.replace(known, body=changes.body(raw, members, asked.stable))
        made = plan(form, raw, models, self._providers, asked, self._rules, self._emitter, bounds)
        self._remember(kind, made, raw)
        return made

    def _remember(self, kind: tuple[object, ...], made: Plan, raw: bytes) -> None:
        """Of what the client wrote a remembered plan holds the fields that are taken out of its body, and they are short."""
        if made.changes is None:
            return
        taken = made.changes.taken(made.changes.members(raw))
        if sum(map(len, taken)) > MOST_TAKEN:
            return
        if len(self._plans) >= MOST:
            self._plans.clear()
            self._changes.clear()
        self._changes[kind] = made.changes
        self._plans[kind, taken] = msgspec.structs.replace(made, body=b"")
