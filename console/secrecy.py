"""Takes secrets out of what is printed, whoever has written it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import unquote

# A variable of such a name holds a secret.
SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_\d+)?$")
# Except those that name a file.
FILE = re.compile(r"_(FILE|CERT|CA)$|^(EDGE_ROUTER_KEY|ROUTER_TLS_KEY)$")
IN_ADDRESS = re.compile(r"(?<=://)[^@\s\"']*@")
# What is shorter may stand anywhere by chance.
SHORTEST = 4
HIDDEN = "…"


def hide(text: str, environment: Mapping[str, str], also: Collection[str] = ()) -> str:
    """The text without the values of variables that hold secrets, and without what stands before the @ of an address.

    `also` names variables that hold secrets, whatever they are called.
    """
    for secret in sorted(_secrets(environment, also), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return IN_ADDRESS.sub(f"{HIDDEN}@", text)


def holds_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    return bool(SECRET.search(name)) and not FILE.search(name)


def _secrets(environment: Mapping[str, str], also: Collection[str]) -> set[str]:
    found = {value for name, value in environment.items() if name in also or holds_secret(name)}
    for value in environment.values():
        for user in re.findall(r"://([^@\s]*)@", value):
            password = user.partition(":")[2]
            found |= {password, unquote(password)}
    return {secret for secret in found if len(secret) >= SHORTEST}
