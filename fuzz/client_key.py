"""A request's headers: nobody is let in who does not hold the key, and all others are refused alike."""

import tempfile
from pathlib import Path

from starlette.datastructures import Headers

from edge_gateway.access.entries import digest
from edge_gateway.access.keys import Keys
from edge_gateway.access.refusals import invalid_key, missing_key
from edge_gateway.errors import UNAUTHORIZED, GatewayError

KEY = "amr-" + "k" * 12
NAMES = (b"authorization", b"x-api-key", b"api-key", b"Authorization", b"cookie", b"x-forwarded-authorization")
SEEDS = (
    b"\x00Bearer amr-kkkkkkkkkkkk",
    b"\x01amr-kkkkkkkkkkkk",
    b"\x00bearer  amr-kkkkkkkkkkkk \n\x00Bearer amr-kkkkkkkkkkkk",
    b"\x02amr-kkkkkkkkkkkk\n\x04key=amr-kkkkkkkkkkkk",
    b"\x00Basic YW1yLWtra2tra2tra2tra2s6\n\x01amr-kkkkkkkkkkk",
)
_ANSWERS = {missing_key().message, invalid_key().message}


def _keys() -> Keys:
    path = Path(tempfile.mkdtemp(prefix="fuzz-")) / "keys.toml"
    path.write_text(f'[keys.alice]\nsha256 = "{digest(KEY)}"\n')
    return Keys(path, lambda _name, _fields: None, clock=lambda: 0.0)


_keys_of_one = _keys()


def one_input(data: bytes) -> None:
    """A line for each header: a byte that says which, and its value."""
    raw = [(NAMES[line[0] % len(NAMES)], line[1:]) for line in data.split(b"\n") if line]
    try:
        found = _keys_of_one.find(Headers(raw=raw))
    except GatewayError as error:
        assert error.status == UNAUTHORIZED
        assert error.message in _ANSWERS
        return
    assert found.name == "alice"
    # Blanks around a key are nobody's business, those of other alphabets neither.
    assert any(value.decode("latin-1").strip().endswith(KEY) for name, value in raw if name.lower() in NAMES[:3])
