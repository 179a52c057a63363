"""A keys file in any state: it is read, or refused in one sentence that repeats no digest."""

import re

from edge_gateway.access.entries import InvalidKeys, key_of, parse

DIGEST = "0123456789abcdef" * 4
SEEDS = (
    f'[keys.alice]\nsha256 = "{DIGEST}"\nmodels = ["auto*"]\nparallel = 3\nbudget_usd_per_day = 1.5\n'.encode(),
    f'[keys.alice]\nsha256 = "{DIGEST}"\nrevoked = true\ncreated = 2026-01-01\ntenant = "team"\n'.encode(),
    f'keys = {{ a = {{ sha256 = "{DIGEST}" }}, b = {{ sha256 = "{DIGEST}" }} }}\n'.encode(),
    f'[keys."{DIGEST}"]\n[keys.alice.x]\n"{DIGEST}" = [[1]]\n'.encode(),
)
_DIGESTS = re.compile(r"[0-9a-fA-F]{64}")


def one_input(data: bytes) -> None:
    """The bytes are the file."""
    text = data.decode("utf-8", "replace")
    try:
        entries = parse(text, "keys.toml")
    except InvalidKeys as problem:
        told = str(problem)
        assert told.startswith("keys.toml")
        assert "\n" not in told
        # A name may be as long as a digest; it is said because it is a name.
        assert not [kept for kept in _DIGESTS.findall(text) if kept in told.replace(f"keys.{kept}", "")]
        return
    for name, entry in entries.items():
        assert key_of(name, entry).name == name
        assert _DIGESTS.fullmatch(entry.sha256)
