"""Finds the key that a request carries among those of the keys file, which is read anew when it changes."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge_gateway.access.entries import InvalidKeys, Key, digest, key_of, parse
from edge_gateway.access.refusals import invalid_key, missing_key
from edge_gateway.stamps import stamp

Tell = Callable[[str, Mapping[str, object]], None]

# Seconds between two looks at the file, and for which a file just written rests before it is read: an editor may not be done.
INTERVAL = 1.0
SETTLED = 0.2
# The characters of a bearer token (RFC 6750), and more of them than any key has.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,256}={0,2}")
# OpenAI's clients send the first, Anthropic's the second, Azure's the third.
_BEARER = "authorization"
_HEADERS = (_BEARER, "x-api-key", "api-key")


class Keys:
    """The keys of a file, revoked ones excepted."""

    def __init__(
        self,
        path: Path,
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """InvalidKeys names the file and what cannot be used in it; later problems are told, as an event with fields.

        `clock` counts the seconds between two looks, `wall_clock` tells how long ago the file was written.
        """
        self._path = path
        self._tell = tell
        self._clock = clock
        self._wall_clock = wall_clock
        self._seen = stamp(path)
        self._looked = clock()
        self._keys = _read(path)

    def find(self, headers: Mapping[str, str]) -> Key:
        """The key that the headers carry; a GatewayError (401) when they carry none that is valid here."""
        self._refresh()
        carried = _carried(headers)
        if carried is None:
            raise missing_key()
        offered = digest(carried)
        found = None
        # Every entry is compared, found or not, so the time does not tell which.
        for kept, key in self._keys:
            if hmac.compare_digest(offered, kept):
                found = key
        if found is None:
            raise invalid_key()
        return found

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._looked < INTERVAL:
            return
        self._looked = now
        seen = stamp(self._path)
        if seen == self._seen or (seen and 0 <= self._wall_clock() - seen[0] / 1e9 < SETTLED):
            return
        self._seen = seen
        try:
            self._keys = _read(self._path)
        except InvalidKeys as error:
            # Half an edit must not lock everyone out: the keys before it stay valid until the file is right.
            self._tell("keys_refused", {"problem": str(error), "serving": "the keys before"})
        else:
            self._tell("keys_loaded", {"keys": len(self._keys)})


def read(path: Path) -> str:
    """The text of a keys file; InvalidKeys when there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidKeys(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidKeys(f"{path} is not text") from None


def _read(path: Path) -> Sequence[tuple[str, Key]]:
    entries = parse(read(path), str(path))
    return [(entry.sha256, key_of(name, entry)) for name, entry in entries.items() if not entry.revoked]


def _carried(headers: Mapping[str, str]) -> str | None:
    """The key in the first of the headers that is there, None without one; a GatewayError when it cannot be a key."""
    # A mapping of HTTP headers may hold a name more than once.
    carried = [(name, value) for header, value in headers.items() if (name := header.lower()) in _HEADERS]
    for name in _HEADERS if carried else ():
        values = [value for header, value in carried if header == name]
        if not values:
            continue
        text = values[0].strip()
        if name == _BEARER:
            scheme, _, text = text.partition(" ")
            text = text.strip() if scheme.lower() == "bearer" else ""
        if len(values) != 1 or not _TOKEN.fullmatch(text):
            raise invalid_key()
        return text
    return None
