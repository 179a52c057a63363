"""Which conversation a request belongs to, where the client says so."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Aider can set the first with --set-env OPENAI_PROJECT_ID=…; others send the second.
_HEADERS = ("openai-project", "x-session-id")


def identify(headers: Mapping[str, str], base_url_session: str) -> str:
    """The conversation's id: from the base URL, else from a header, else empty; an unusable id counts as none."""
    stated = (base_url_session, *(headers.get(name, "") for name in _HEADERS))
    return next((text for text in stated if _ID.fullmatch(text)), "")
