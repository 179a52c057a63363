"""Finds variables that nobody reads, and which one was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

# Names that begin so are meant for this system.
OURS = ("EDGE_", "ROUTER_", "NOT_DIAMOND", "NOTDIAMOND", "DEMO_")
# How alike two names must be, 0 to 1, for one to be the other misspelt.
ALIKE, NEARLY_THE_SAME = 0.8, 0.92
# Programs beside ours read these out of the same file or shell.
OTHERS = (
    "OTEL_", "AIDER_", "LITELLM_", "COMPOSE_", "DOCKER_", "PORTKEY_UPSTREAM_", "OPENAI_ORG", "OPENAI_PROJECT",
    "OPENAI_API_BASE", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "SSL_CERT_", "REQUESTS_CA_BUNDLE", "NODE_", "PYTHON", "PATH", "HOME", "LANG", "LC_", "TZ",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stray:
    """A variable that nobody reads; `meant` is empty where no known one is like it."""

    name: str
    meant: str


def strays(names: Iterable[str], known: Collection[str], *, of_file: bool) -> list[Stray]:
    """Those of the names that nobody reads: of a file all, of the shell only what is plainly meant for this system."""
    found = []
    for name in names:
        if name in known or name.upper().startswith(OTHERS):
            continue
        meant = _nearest(name, known, ALIKE if of_file or name.startswith(OURS) else NEARLY_THE_SAME)
        if of_file or meant or name.startswith(OURS):
            found.append(Stray(name, meant))
    return found


def _nearest(name: str, known: Collection[str], least: float) -> str:
    """The known name that is most like this one, underscores and case aside."""
    plain = {_plain(one): one for one in sorted(known)}
    if (same := plain.get(_plain(name))) is not None:
        return same
    close = difflib.get_close_matches(_plain(name), list(plain), n=1, cutoff=least)
    return plain[close[0]] if close else ""


def _plain(name: str) -> str:
    return name.upper().replace("_", "").replace("-", "")
