"""Asks an edge over HTTP, as any client may: is it ready, and what does it offer."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

SECONDS = 3.0
LARGEST = 4_000_000
# Loopback must not go through a proxy that the environment names for the internet.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back to a GET; a status of 0 when nothing did."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


NOTHING = Answer(0, {}, b"")


def get(url: str, headers: Mapping[str, str] | None = None, seconds: float = SECONDS) -> Answer:
    """What an address answers; redirects to elsewhere are not of interest here, and proxies are not asked."""
    try:
        request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - an http address of the settings
        with DIRECT.open(request, timeout=seconds) as answer:
            return Answer(answer.status, _lower(answer.headers), answer.read(LARGEST))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _lower(error.headers), error.read(LARGEST))
    except (OSError, ValueError, HTTPException):
        return NOTHING


def ready(edge: str) -> dict[str, Any] | None:
    """What an edge says of its readiness: who decides, and the providers it can reach. None where no edge answers."""
    found = get(f"{edge}/readyz").document
    return found if isinstance(found, dict) and "decisions" in found else None


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()}
