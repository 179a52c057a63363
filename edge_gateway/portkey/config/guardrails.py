"""Which guardrails the open-source gateway heeds: one that it does not know lets everything pass without a word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# What its own plug-in checks, and the other plug-ins that it ships switched on (measured on 1.15.2).
CHECKS = frozenset(
    [
        "regexMatch",
        "sentenceCount",
        "wordCount",
        "characterCount",
        "jsonSchema",
        "jsonKeys",
        "contains",
        "validUrls",
        "webhook",
        "log",
        "containsCode",
        "alluppercase",
        "alllowercase",
        "endsWith",
        "modelwhitelist",
        "modelRules",
        "jwt",
        "requiredMetadataKeys",
        "addPrefix",
        "notNull",
        "allowedRequestTypes",
    ]
)
PLUGINS = frozenset(
    [
        "portkey",
        "qualifire",
        "aporia",
        "sydelabs",
        "pillar",
        "patronus",
        "pangea",
        "promptsecurity",
        "panw-prisma-airs",
        "walledai",
    ]
)
# What stands beside the checks of a guardrail.
_SETTINGS = frozenset(["id", "deny", "on_fail", "on_success", "async"])


def unheeded(guardrails: Iterable[str | dict[str, Any]]) -> str:
    """What is wrong with the first guardrail that the open-source gateway would pass by, as a sentence; empty for none."""
    for guardrail in guardrails:
        if isinstance(guardrail, str):
            return f"{guardrail!r} is an id, which only hosted Portkey knows: set PORTKEY_API_KEY, or write the check itself"
        checks = [name for name in guardrail if name not in _SETTINGS]
        if not checks:
            return 'a guardrail without a check; name one, such as "default.contains"'
        for name in checks:
            plugin, _, check = name.partition(".")
            if plugin not in PLUGINS and (plugin != "default" or check not in CHECKS):
                known = ", ".join(f"default.{one}" for one in sorted(CHECKS))
                return f"the open-source gateway has no check {name!r}; it has {known}"
    return ""
