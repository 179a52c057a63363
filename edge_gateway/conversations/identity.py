"""Who calls, and which conversation the client says it is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edge_gateway.conversations.digests import digest

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Aider can set the first with --set-env OPENAI_PROJECT_ID=…; others send the second.
_PROJECT, _SESSION = "openai-project", "x-session-id"
# A real project of OpenAI's: a team shares it.
_REAL_PROJECT = "proj_"
_KEYS = ("authorization", "x-api-key", "api-key")


def identify(headers: Mapping[str, str], base_url_session: str) -> str:
    """The conversation's id: from the base URL, else from a header, else empty; an unusable id counts as none."""
    project = headers.get(_PROJECT, "")
    stated = (base_url_session, "" if project.startswith(_REAL_PROJECT) else project, headers.get(_SESSION, ""))
    return next((text for text in stated if _ID.fullmatch(text)), "")


def caller(headers: Mapping[str, str], peer: str) -> bytes:
    """A digest that tells callers apart: of the key that came along, else of the peer's address."""
    key = next((value for name in _KEYS if (value := headers.get(name, ""))), "")
    return digest("key", key) if key else digest("peer", peer)
