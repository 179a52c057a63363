"""Secrets and texts that are nowhere else in the world, and the search for them, whole or in pieces of eight characters."""

import random
import string
from collections.abc import Mapping
from dataclasses import dataclass, fields

PIECE = 8
_draw = random.Random(20261126)


def _word(length: int = 40) -> str:
    return "".join(_draw.choices(string.ascii_letters + string.digits, k=length))


@dataclass(frozen=True)
class Sentinels:
    """One of each kind. The provider's key has no beginning by which a pattern would know it."""

    client_key: str = "amr-" + _word(43)
    wrong_client_key: str = "amr-" + _word(43)
    provider_key: str = _word()
    portkey_key: str = _word()
    gateway_token: str = _word()
    router_token: str = _word()
    not_diamond_key: str = _word()
    redis_password: str = _word()
    prompt: str = _word(60)
    reply: str = _word(60)

    def all_but(self, *names: str) -> Mapping[str, str]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in names}


def found(sought: Mapping[str, str], where: bytes) -> list[str]:
    """The names of the secrets of which any eight characters in a row stand there."""
    text = where.decode("latin-1")
    return [name for name, secret in sought.items() if any(piece in text for piece in pieces(secret))]


def pieces(secret: str) -> set[str]:
    return {secret[start : start + PIECE] for start in range(len(secret) - PIECE + 1)}
