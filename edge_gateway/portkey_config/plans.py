"""Remembers plans: they depend on little of a request, and the same ones are needed again and again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge_gateway.adaptations import Adaptations, Asked
from edge_gateway.forms import Form
from edge_gateway.portkey_config.emitters import Emitter
from edge_gateway.portkey_config.plan import Bounds, Plan, fitting, plan
from edge_gateway.providers import Providers

# Plans and rankings that are remembered, each; a few rankings and kinds of requests are what there is.
MOST = 500


class Plans:
    """The plans for one kind of Portkey, its providers and rules."""

    def __init__(self, providers: Providers, rules: Adaptations, emitter: Emitter) -> None:
        self._providers = providers
        self._rules = rules
        self._emitter = emitter
        self._plans: dict[tuple[object, ...], Plan] = {}

    def fitting(self, ranking: Sequence[str], asked: Asked) -> tuple[str, ...]:
        """As `plan.fitting`."""
        return fitting(ranking, self._providers, asked)

    def plan(self, form: Form, raw: bytes, models: Sequence[str], asked: Asked, bounds: Bounds) -> Plan:
        """As `plan.plan`."""
        key = (form.name, *models, asked.shape, bounds)
        known = self._plans.get(key)
        if known is not None:
            return msgspec.structs.replace(known, body=raw)
        made = plan(form, raw, models, self._providers, asked, self._rules, self._emitter, bounds)
        if made.body is raw:
            # Nothing that the client wrote is in the plan but its bytes, which are no part of what is remembered.
            if len(self._plans) >= MOST:
                self._plans.clear()
            self._plans[key] = msgspec.structs.replace(made, body=b"")
        return made
