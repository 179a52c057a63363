"""B39 to B51: bodies that are no JSON, or more of it than anybody needs."""

import json
from collections.abc import Callable

from tests.bad_input.asking import ALICES, BODY, HOST, JSON_TYPE, chunk, chunked, head, post, saying, with_field
from tests.bad_input.case import Case, Check, Expected, Seen, either, http, refused, served
from tests.bad_input.house import House

LIMIT = 16 * 1024 * 1024
NO_JSON = refused(400, code="invalid_request")
COMPLEX = refused(400, code="json_too_complex")
TWICE = refused(400, code="duplicate_field")
# So much is read and parsed within this time, on a busy machine too.
LARGE_SECONDS = 20.0


def reaches_portkey(body: bytes) -> Check:
    """What is served reaches Portkey byte for byte."""

    def check(house: House, seen: Seen) -> str:
        if seen.statuses != [200]:
            return ""
        came = [asked.body for asked in house.tap.asked]
        return "" if came == [body] else f"Portkey got {[one[:80] for one in came]}"

    return check


def _content(text: str) -> Check:
    def check(house: House, _seen: Seen) -> str:
        said = house.provider.seen[0].body["messages"][0]["content"]
        return "" if said == text else f"the provider got {said!r}"

    return check


def _odd(id_: str, what: str, body: bytes, expected: Expected) -> Case:
    return Case(id_, what, http(post(body)), expected)


def _large(id_: str, what: str, body: Callable[[], bytes], expected: Expected) -> Case:
    """What is large is written when it is sent."""
    return Case(id_, what, http(lambda _house: [post(body())]), expected, LARGE_SECONDS)


def _kept(id_: str, what: str, body: bytes) -> Case:
    """What is odd and harmless is served as it came."""
    return Case(id_, what, http(post(body)), served(reaches_portkey(body)), LARGE_SECONDS)


def of_length(length: int) -> bytes:
    """A request of exactly so many bytes."""
    frame = len(saying(b""))
    return saying(b"x" * (length - frame))


SURROGATES = (rb"\ud800", rb"\udc00", rb"\udc00\ud800", rb"a\ud83d", rb"\ud83d\u0041")
NOT_UTF8 = (b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"caf\xe9")
# About as deep as Python's own limit lets a parser go.
NEAR_THE_END = range(960, 1000)
NESTED = {"arrays": (b"[", b"]"), "objects": (b'{"a":', b"}")}


def _deep(depth: int, kind: str) -> bytes:
    opening, closing = NESTED[kind]
    return with_field(b'"zz":' + opening * depth + b"1" + closing * depth)


def _tools_for_another_reader(depth: int) -> bytes:
    """To a model whose cache markers are put in, so that the body is parsed once more, from further down the stack."""
    opening, closing = NESTED["arrays"]
    tools = b'"temperature":0,"tools":[{"name":"x","parameters":' + opening * depth + closing * depth + b"}]"
    return BODY.replace(b"auto", b"anthropic/claude-opus-5")[:-1] + b"," + tools + b"}"


CASES = (
    *(
        _odd("B39", what, body, NO_JSON)
        for what, body in (("an empty body", b""), ("blanks", b" \r\n\t"), ("a NUL", b"\x00"))
    ),
    Case("B39", "no length and no body", http(head(HOST, ALICES, JSON_TYPE)), NO_JSON),
    Case("B39", "an empty body in chunks", http(chunked()), NO_JSON),
    Case(
        "B39",
        "an empty body, Anthropic's form",
        http(post(b"", path="/v1/messages"), form="anthropic"),
        refused(400, code="invalid_request_error"),
    ),
    *(
        Case("B39", f"an empty body, {path}", http(post(b"", path=path)), NO_JSON)
        for path in ("/v1/responses", "/v1/completions", "/v1/embeddings")
    ),
    *(
        _odd("B40", body.decode(), body, refused(400))
        for body in (b"null", b"[]", b'"x"', b"1", b"true", b"{}", b"[[]]", b'{"model":null}')
    ),
    *(
        _odd("B41", what, body, NO_JSON)
        for what, body in (
            ("a letter after the end", BODY + b"x"),
            ("two documents", BODY + BODY),
            ("a comma before the end", BODY[:-1] + b",}"),
            ("a comment", b"/* hi */" + BODY),
            ("single quotes", BODY.replace(b'"', b"'")),
            ("half a document", BODY[:-10]),
            ("a NUL after the end", BODY + b"\x00"),
            ("a raw newline in a string", saying(b"a\nb")),
            ("an escape that is none", saying(rb"a\xb")),
        )
    ),
    *(
        _odd("B42", f"temperature {word}", with_field(f'"temperature":{word}'), refused(400))
        for word in ("NaN", "Infinity", "-Infinity", "nan", "+1", "01", ".5", "1.", "0x1")
    ),
    _odd("B42", "temperature 1e999", with_field('"temperature":1e999'), either(200, 400)),
    _kept("B42", "1e999 where nobody reads", with_field('"zz":1e999')),
    *(
        _odd("B43", what, BODY[:-1] + b"," + more + b"}", TWICE)
        for what, more in (
            ("model twice", b'"model":"fake/second"'),
            ("messages twice", b'"messages":[{"role":"user","content":"other"}]'),
            ("stream twice", b'"stream":false,"stream":true'),
            ("an unknown field twice", b'"zz":1,"zz":1'),
            ("model twice, once in escapes", rb'"m\u006fdel":"fake/second"'),
            ("model twice among as many fields as blanks", b'"model":"ab","a":1,"b":1,"c":1,"d":1,"e":1,"f":1'),
            (
                "model twice beside letters that escape longer",
                '"model":"ab","\u20ac\u20ac\u20ac\u20ac\u20ac":1'.encode(),
            ),
            ("model twice in another case of blanks", b' "model" : "fake/second" , "zz" : {"model":1}'),
        )
    ),
    _odd(
        "B43",
        "a name twice within a message",
        b'{"model":"auto","messages":[{"role":"user","role":"user","content":"hi"}]}',
        either(200, 400),
    ),
    *(_odd("B44", f"{text.decode()} in content", saying(text), either(200, 400)) for text in SURROGATES),
    _odd("B44", "a lone surrogate in model", BODY.replace(b"auto", rb"\ud800"), refused(400, 404)),
    _odd("B44", "a lone surrogate in a field's name", with_field(rb'"\ud800":1'), either(200, 400)),
    _odd(
        "B44",
        "a lone surrogate in a tool's name",
        with_field(rb'"tools":[{"type":"function","function":{"name":"\ud800"}}]'),
        either(200, 400),
    ),
    _odd("B44", "a lone surrogate in user", with_field(rb'"user":"\ud800"'), either(200, 400)),
    *(_odd("B45", f"{text!r} in content", saying(text), refused(400)) for text in NOT_UTF8),
    _odd("B45", "no UTF-8 in a field's name", with_field(b'"\xff":1'), refused(400)),
    _odd("B45", "no UTF-8 where nobody reads", with_field(b'"zz":"\xff"'), either(200, 400)),
    *(
        _odd("B46", encoding, BODY.decode().encode(encoding), refused(400))
        for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037")
        if BODY.decode().encode(encoding) != BODY
    ),
    *(
        _odd("B47", f"{depth:,} {kind} deep", _deep(depth, kind), COMPLEX)
        for depth in (1_000, 100_000)
        for kind in NESTED
    ),
    *(
        _odd("B47", f"{depth:,} {kind} deep", _deep(depth, kind), either(200, 400))
        for depth in (70, 900)
        for kind in NESTED
    ),
    Case(
        "B47",
        "960 to 999 deep in tools that a rule reads again",
        http(b"".join(post(_tools_for_another_reader(depth)) for depth in NEAR_THE_END), answers=len(NEAR_THE_END)),
        Expected((frozenset({200, 400}),) * len(NEAR_THE_END)),
        note="refused is what cannot be read, or not be read again: whatever Python's limit, never a 500",
    ),
    _odd("B47", "1,000 deep in a message", saying(b"").replace(b'""', b"[" * 1000 + b"]" * 1000), refused(400)),
    _odd("B47", "100,000 brackets without end", with_field(b'"zz":' + b"[" * 100_000), refused(400)),
    _kept("B47", "60 deep", _deep(58, "arrays")),
    _kept("B47", "100,000 brackets in a string", saying(b"[" * 100_000)),
    _large("B48", "3,000,000 empty objects", lambda: with_field(b'"zz":[' + b"{}," * 3_000_000 + b"{}]"), COMPLEX),
    _large(
        "B48",
        "900,000 messages",
        lambda: b'{"model":"auto","messages":[' + b'{"role":"u"},' * 900_000 + b'{"role":"u"}]}',
        COMPLEX,
    ),
    _large("B48", "1,500,000 numbers", lambda: with_field(b'"zz":[' + b"1," * 1_500_000 + b"1]"), COMPLEX),
    _large(
        "B48",
        "500,000 fields",
        lambda: with_field(b",".join(b'"k%d":1' % number for number in range(500_000))),
        COMPLEX,
    ),
    _kept("B48", "a field's name of 100,000 letters", with_field(b'"' + b"k" * 100_000 + b'":1')),
    _kept("B48", "150,000 numbers", with_field(b'"zz":[' + b"1," * 150_000 + b"1]")),
    _kept("B48", "300,000 commas in a string", saying(b",[{" * 100_000)),
    _kept("B49", "a seed of 5,000 digits", with_field('"seed":' + "1" * 5000)),
    *(_kept("B49", f"seed {number}", with_field(f'"seed":{number}')) for number in (2**64, -(2**63), 2**53 + 1)),
    _odd("B49", "max_tokens of 5,000 digits", with_field('"max_tokens":' + "1" * 5000), refused(400)),
    _odd("B50", "NUL in a message", saying(rb"a\u0000b"), served(_content("a\0b"))),
    _odd(
        "B50",
        "all control characters",
        saying(json.dumps("".join(map(chr, range(32))))[1:-1].encode()),
        served(_content("".join(map(chr, range(32))))),
    ),
    Case(
        "B51",
        "16 MiB and a byte",
        http(lambda _house: [post(of_length(LIMIT + 1))]),
        refused(400, code="request_too_large"),
        LARGE_SECONDS,
        note="400 in place of 413, which Aider retries for a minute",
    ),
    Case(
        "B51",
        "16 MiB and a byte in chunks",
        http(lambda _house: [chunked(*(chunk(b" " * 65_536) for _ in range(257)))]),
        refused(400, code="request_too_large"),
        LARGE_SECONDS,
    ),
    _large("B51", "15.9 MiB", lambda: of_length(int(LIMIT * 15.9 / 16)), served()),
    _large("B51", "16 MiB", lambda: of_length(LIMIT), served()),
)
