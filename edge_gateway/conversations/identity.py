"""Who calls, and which conversation the client says it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Aider can set the first with --set-env OPENAI_PROJECT_ID=…; others send the second.
_PROJECT, _SESSION = "openai-project", "x-session-id"
# A real project of OpenAI's: a team shares it.
_REAL_PROJECT = "proj_"
_KEYS = ("authorization", "x-api-key", "api-key")
# Enough to tell tenants apart, and too little to find a key by.
_TENANT_DIGITS = 12


def identify(headers: Mapping[str, str], base_url_session: str) -> str:
    """The conversation's id: from the base URL, else from a header, else empty; an unusable id counts as none."""
    project = headers.get(_PROJECT, "")
    stated = (base_url_session, "" if project.startswith(_REAL_PROJECT) else project, headers.get(_SESSION, ""))
    return next((text for text in stated if _ID.fullmatch(text)), "")


def caller(headers: Mapping[str, str], peer: str) -> bytes:
    """A digest that tells callers apart: of the key that came along, else of the peer's address."""
    key = _key(headers)
    return _digest("key", key) if key else _digest("peer", peer)


def tenant(headers: Mapping[str, str]) -> str:
    """What the router is to keep callers apart by, the same at every edge: from the key; empty without one."""
    key = _key(headers)
    return f"key-{_digest('key', key).hex()[:_TENANT_DIGITS]}" if key else ""


def _key(headers: Mapping[str, str]) -> str:
    return next((value for name in _KEYS if (value := headers.get(name, ""))), "")


def _digest(kind: str, text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, person=kind.encode()).digest()
