"""Writes HTTP requests as bytes, so that each part of them can be what it must not be."""

import json
from collections.abc import Sequence
from typing import Any

from tests.bad_input.house import ALICE

CHAT = "/v1/chat/completions"
HOST = b"Host: edge.test"
JSON_TYPE = b"Content-Type: application/json"
MESSAGES = [{"role": "user", "content": "hi"}]
BODY = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'


def bearer(key: str) -> bytes:
    return b"Authorization: Bearer " + key.encode()


ALICES = bearer(ALICE)


def head(*lines: bytes, method: str = "POST", path: str | bytes = CHAT, version: str = "HTTP/1.1") -> bytes:
    """A request's head with exactly these header lines."""
    target = path if isinstance(path, bytes) else path.encode()
    first = b"%s %s %s" % (method.encode(), target, version.encode())
    return b"\r\n".join([first, *lines]) + b"\r\n\r\n"


def post(
    body: bytes = BODY,
    *more: bytes,
    path: str | bytes = CHAT,
    method: str = "POST",
    auth: Sequence[bytes] = (ALICES,),
    host: Sequence[bytes] = (HOST,),
    media_type: Sequence[bytes] = (JSON_TYPE,),
) -> bytes:
    """A request with its body's length and, unless said otherwise, a host, a key and JSON's media type."""
    length = b"Content-Length: %d" % len(body)
    return head(*host, *auth, *media_type, length, *more, method=method, path=path) + body


def chunked(*pieces: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    """A request whose body comes in chunks, each as it is written here."""
    return head(HOST, ALICES, JSON_TYPE, b"Transfer-Encoding: chunked") + b"".join(pieces) + last


def chunk(data: bytes) -> bytes:
    """One well-formed chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def chat(**fields: Any) -> bytes:
    """A chat completion's body: a profile, a message, and these fields beside or in place of them."""
    return json.dumps({"model": "auto", "messages": MESSAGES, **fields}).encode()


def with_field(written: str | bytes) -> bytes:
    """The usual body with one more field, written byte for byte as it stands."""
    more = written if isinstance(written, bytes) else written.encode()
    return BODY[:-1] + b"," + more + b"}"


def saying(content: bytes) -> bytes:
    """The usual body with this between the content's quotes."""
    return b'{"model":"auto","messages":[{"role":"user","content":"' + content + b'"}]}'
