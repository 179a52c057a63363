"""B01 to B23: what is wrong with HTTP itself, and what is only odd."""

import random

from tests.bad_input.asking import ALICES, BODY, CHAT, HOST, JSON_TYPE, chunk, chunked, head, post
from tests.bad_input.case import Case, Expected, Seen, closed, either, http, refused, served
from tests.bad_input.house import BODY_SECONDS, HEADER_SECONDS, House
from tests.bad_input.wire import HalfClose, Hang, Pause, exchange

USUAL = (HOST, ALICES, JSON_TYPE)
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = chunk(BODY) + b"0\r\n\r\n"
# What a bound may be passed by on a busy machine.
SLACK = 4.0
RANDOM = random.Random(20).randbytes(4096).replace(b"\n", b" ")
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(190)) + b"\r\n\r\n"
BAD = refused(400, closes=True)


def _framed(id_: str, what: str, *lines: bytes, body: bytes = BODY, expected: Expected = BAD) -> Case:
    """A request with the usual headers and these."""
    return Case(id_, what, http(head(*USUAL, *lines) + body, to_close=expected.closes), expected)


def _in_order(_house: House, seen: Seen) -> str:
    asked = [b"model_not_found", b"hi", b'"list"']
    told = [word in answer.body for word, answer in zip(asked, seen.answers, strict=False)]
    return "" if told == [True] * 3 else f"not in order: {told}"


def _continued(_house: House, seen: Seen) -> str:
    return "" if seen.interim == [100] else f"interim answers {seen.interim}"


def _leaves_with_a_half_sent_body(house: House, seconds: float) -> Seen:
    exchange(house.edge_port, [head(*USUAL, b"Content-Length: 500") + BODY, Pause(0.2), Hang()], seconds)
    return Seen("client gone", closed=True)


CASES = (
    _framed("B01", "Content-Length and Transfer-Encoding", LENGTH, CHUNKED, body=CHUNKS),
    _framed("B01", "Transfer-Encoding and Content-Length", CHUNKED, LENGTH, body=CHUNKS),
    _framed("B02", "two lengths that differ", LENGTH, b"Content-Length: 5"),
    _framed("B02", "two lengths in one header", b"Content-Length: 5, %d" % len(BODY)),
    *(
        _framed("B03", f"Content-Length {value.decode()}", b"Content-Length: " + value)
        for value in (b"-1", b"+5", b"0x10", b"5.0", b"five", b"")
    ),
    Case(
        "B04",
        "less body than promised, then the client goes",
        _leaves_with_a_half_sent_body,
        Expected(forwarded=0),
        note="nobody is there to get the 499; it stands in the log",
    ),
    Case(
        "B04",
        "less body than promised, then no more is sent",
        http([head(*USUAL, b"Content-Length: 500") + BODY, HalfClose()], to_close=True),
        closed(400, 408),
    ),
    Case(
        "B05",
        "Content-Length 10^12, ten bytes sent",
        http(head(*USUAL, b"Content-Length: 1000000000000") + b'{"model":"'),
        refused(400, code="request_too_large"),
        seconds=min(2.5, BODY_SECONDS - 0.5),
        note="400 in place of 413, which Aider retries for a minute; at once, before the body",
    ),
    _framed("B05", "Content-Length 10^30", b"Content-Length: " + b"1" + b"0" * 30),
    *(
        Case("B06", f"chunk size {size.decode()}", http(chunked(size + b"\r\n" + BODY + b"\r\n"), to_close=True), BAD)
        for size in (b"zz", b"-1", b"FFFFFFFFFFFFFFFFF", b"0x10", b"")
    ),
    Case(
        "B07",
        "a chunk's extension of 1 MB",
        http(chunked(b"%x;a=%s\r\n%s\r\n" % (len(BODY), b"x" * 2**20, BODY))),
        either(200, 400, 431),
        note="an extension means nothing, so it may be passed over; it must not be kept",
    ),
    *(
        _framed(
            "B08",
            f"Transfer-Encoding {value!r}",
            b"Transfer-Encoding: " + value,
            body=CHUNKS,
            expected=refused(400, 501),
        )
        for value in (b"xchunked", b"chunked, identity", b"gzip", b"chunked\x0b")
    ),
    _framed("B09", "a header folded over two lines", LENGTH, b"X-Folded: a\r\n b"),
    _framed("B10", "NUL in a header's value", LENGTH, b"X-Nul: a\x00b"),
    _framed("B10", "NUL in a header's name", LENGTH, b"X-\x00Nul: a"),
    Case("B11", "bare LF at line ends", http(post().replace(b"\r\n", b"\n"), to_close=True), BAD),
    Case("B11", "a bare CR in a header", http(post(BODY, b"X-Cr: a\rX-Evil: b"), to_close=True), BAD),
    _framed("B12", "a blank before the colon", LENGTH, b"X-Blank : a"),
    Case("B13", "no Host", http(post(host=())), refused(400)),
    Case("B13", "two Hosts", http(post(host=(HOST, b"Host: evil.test"))), refused(400)),
    *(
        Case("B14", f"Host {value[:20].decode()}, {who}", http(post(host=(b"Host: " + value,), auth=auth)), expected)
        for value in (b"a/#@b", b"a/../admin", b"h" * 300, b"localhost:4000/#@x", b"edge.test\\@evil.test")
        for who, auth, expected in (
            ("no key", (), refused(400, 401)),
            ("a key", (ALICES,), either(200, 400)),
        )
    ),
    Case("B15", "a header of 5 MB", http(post(BODY, b"X-Large: " + b"x" * 5 * 2**20)), refused(431)),
    Case("B15", "a header of 40 kB", http(post(BODY, b"X-Large: " + b"x" * 40_000)), refused(431)),
    Case("B15", "an address of 100 kB", http(post(path=CHAT + "?" + "x" * 100_000)), refused(400, 414, 431)),
    Case(
        "B15",
        "a header of 100 kB without end",
        http([head(HOST)[:-4] + b"\r\nX-Large: " + b"x" * 100_000]),
        refused(431),
    ),
    Case(
        "B16",
        "2,000 headers of 24 bytes",
        http(post(BODY, *(b"X-H%05d: 0123456789abcd" % n for n in range(2000)))),
        refused(431),
    ),
    Case("B16", "2,000 headers of 4 bytes", http(post(BODY, *[b"a: b"] * 2000)), either(200, 400, 431)),
    Case(
        "B17",
        "headers, a byte each 0.1 s",
        http(
            [step for byte in post()[:400] for step in (bytes([byte]), Pause(0.1))],
            to_close=True,
        ),
        closed(408),
        seconds=HEADER_SECONDS + SLACK,
    ),
    Case(
        "B18",
        "a body, a byte each 0.1 s",
        http(
            [head(*USUAL, LENGTH), *(step for byte in BODY * 9 for step in (bytes([byte]), Pause(0.1)))][
                : 2 * len(BODY)
            ],
            to_close=True,
        ),
        Expected((frozenset({408}),), frozenset({"request_too_slow"}), closes=True, forwarded=0),
        seconds=BODY_SECONDS + SLACK,
    ),
    Case(
        "B18",
        "a body in chunks, one byte each 0.2 s",
        http(
            [head(*USUAL, CHUNKED), *(step for byte in BODY for step in (chunk(bytes([byte])), Pause(0.2)))],
            to_close=True,
        ),
        Expected((frozenset({408}),), frozenset({"request_too_slow"}), closes=True, forwarded=0),
        seconds=BODY_SECONDS + SLACK,
    ),
    Case(
        "B19",
        "a connection and not a byte",
        http([], to_close=True),
        closed(408),
        HEADER_SECONDS + SLACK,
    ),
    Case(
        "B19",
        "half a request line",
        http([b"POST /v1/ch"], to_close=True),
        closed(408),
        HEADER_SECONDS + SLACK,
    ),
    *(
        Case(
            "B20",
            what,
            http(sent, to_close=True),
            closed(400, 408, 431),
            HEADER_SECONDS + SLACK,
        )
        for what, sent in (
            ("HTTP/0.9", b"GET /\r\n"),
            ("a TLS hello", TLS_HELLO),
            ("random bytes", RANDOM + b"\r\n\r\n"),
        )
    ),
    Case("B20", "HTTP/3.7", http(head(*USUAL, LENGTH, version="HTTP/3.7") + BODY, to_close=True), closed(400, 505)),
    Case("B20", "HTTP/2's preface", http(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", to_close=True), closed(400, 405, 505)),
    Case(
        "B21",
        "three requests at once, of which the first is wrong",
        http(
            post(BODY.replace(b"auto", b"nobody/none")) + post() + head(HOST, ALICES, method="GET", path="/v1/models"),
            answers=3,
        ),
        Expected(
            (frozenset({404}), frozenset({200}), frozenset({200})),
            frozenset({"model_not_found"}),
            forwarded=1,
            check=_in_order,
        ),
    ),
    Case(
        "B22",
        "an upgrade to HTTP/2",
        http(post(BODY, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")),
        served(),
    ),
    Case(
        "B22",
        "an upgrade to a websocket",
        http(
            post(
                BODY,
                b"Connection: Upgrade",
                b"Upgrade: websocket",
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                b"Sec-WebSocket-Version: 13",
            )
        ),
        either(200, 400, 403, 404, 426),
    ),
    Case(
        "B23",
        "Expect: 100-continue",
        http([head(*USUAL, LENGTH, b"Expect: 100-continue"), Pause(0.3), BODY]),
        served(_continued),
    ),
    Case(
        "B23",
        "Expect: 100-continue, but no key",
        http([head(HOST, JSON_TYPE, LENGTH, b"Expect: 100-continue"), Pause(0.3), BODY]),
        refused(401),
    ),
)
