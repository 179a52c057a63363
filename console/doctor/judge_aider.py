"""Judges Aider: is it there, is it one whose requests are understood, and does it ask the edge."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from console.doctor.facts import Aider
from console.doctor.findings import Finding, ok, problem, warning

# The releases whose wording the edge was taught.
OLDEST, LATEST = (0, 40), (0, 86)
INSTALL = "pip install aider-chat, or `make aider`."
ALIASES = {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1"}


def judge_aider(aider: Aider, edge: str) -> Iterator[Finding]:
    """`edge` is the address that its configurations should name."""
    yield _program(aider)
    if not aider.configurations:
        yield ok("aider configuration", "None names an address; `amr aider` writes files that do.")
        return
    for where, address in aider.configurations:
        if _place(address) == _place(edge):
            yield ok("aider configuration", f"{where} names the edge.")
        else:
            text = f"{where} names another address than the edge's {edge}/v1."
            yield warning("aider configuration", text, f"Set openai-api-base to {edge}/v1 there, or run `amr aider`.")


def _program(aider: Aider) -> Finding:
    if not aider.program:
        return warning("aider", "Aider is not installed.", f"To use it: {INSTALL}")
    if aider.version is None:
        return problem("aider", f"{aider.program} does not tell its version.", f"Install it anew: {INSTALL}")
    version = ".".join(map(str, aider.version))
    if aider.version[:2] < OLDEST:
        text = f"Aider {version} ({aider.program}) is too old: its requests are understood from 0.40 on."
        return problem("aider", text, f"Upgrade it: {INSTALL}")
    if aider.version[:2] > LATEST:
        text = f"Aider {version} ({aider.program}) is newer than what the edge was taught (0.86)."
        return warning("aider", text, "Its requests are served all the same; purposes and outcomes may be misread.")
    return ok("aider", f"Aider {version} ({aider.program}).")


def _place(address: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        port = parts.port
    except ValueError:
        # It leads nowhere.
        return "", None
    host = parts.hostname or ""
    return ALIASES.get(host, host), port or {"http": 80, "https": 443}.get(parts.scheme)
