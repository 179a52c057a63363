"""Turns a ranking into ONE inline Portkey config a dispatch: a fallback chain over the ranked models, for one of two routes.

Portkey's /v1/proxy route keeps a body's unknown fields and its answer's bytes, but speaks no provider's own form; its other
routes translate, and drop what they do not know. So a chain of providers that all speak the client's form takes the first; a
chain with another provider in it takes the second, unless that would drop a field of the request.
"""

from edge_gateway.portkey.config.emitters import FAILOVER_STATUSES, Emitter, Features, Hosted, OpenSource
from edge_gateway.portkey.config.guardrails import unheeded
from edge_gateway.portkey.config.plan import MAX_TARGETS, Bounds, Plan, fitting, plan
from edge_gateway.portkey.config.plans import Plans

__all__ = [
    "FAILOVER_STATUSES",
    "MAX_TARGETS",
    "Bounds",
    "Emitter",
    "Features",
    "Hosted",
    "OpenSource",
    "Plan",
    "Plans",
    "fitting",
    "plan",
    "unheeded",
]
