"""G12 to G15: other protocols on the router's port, streams by the thousand, floods of frames, calls without an end."""

import ssl
import struct
import warnings
from collections.abc import Callable, Iterator

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.bad_input.asking import post
from tests.bad_input.case import Act, Case, Expected, Seen
from tests.bad_input.frames import PREFACE, SELECT, WATCH, Connection, Stream, data, framed
from tests.bad_input.house import CONNECTION_SECONDS, MOST_CALLS, House
from tests.bad_input.rpc import ALLOWED, alive, answered, called, open_channel, request
from tests.bad_input.wire import exchange, handshake
from tests.processes import NEVER, wait_until

MANY = 10_000
# How a call too many is refused: RESOURCE_EXHAUSTED, or, where one connection alone has too many, HTTP/2's REFUSED_STREAM
# and ENHANCE_YOUR_CALM.
EXHAUSTED, REFUSED = "8", frozenset({7, 11})
# Calls under way when a connection grows too old have this long to finish (router_service.wiring.GRACE), and gRPC spreads
# the ages of connections by a tenth.
GRACE, SLACK = 10.0, 6.0
# How soon another client is answered while one floods, on a busy machine.
OTHERS_SECONDS = 20.0


def _http1(secure: bool) -> Act:
    """An HTTP/1.1 request to the gRPC port, or one in the clear to the port with TLS."""

    def act(house: House, seconds: float) -> Seen:
        port = house.secure_port if secure else house.router_port
        came = exchange(port, [post()], seconds, to_close=True)
        problems = [] if came.closed else ["the connection was not closed"]
        return Seen("closed", closed=came.closed, late=came.late, problems=problems + alive(house, secure=secure))

    return act


def _plaintext(house: House, seconds: float) -> Seen:
    """gRPC in the clear to the port with TLS."""
    with Connection(house.secure_port) as connection:
        connection.begin()
        connection.send(connection.call(1, SELECT, request()))
        ended = connection.read_until(lambda come: come.closed, seconds)
        answered_ = bool(connection.streams)
    problems = [] if ended and not answered_ else ["it was not closed, or was answered"]
    return Seen("closed" if ended else "open", closed=ended, problems=problems + alive(house, secure=True))


def _tls(version: ssl.TLSVersion) -> Act:
    """A handshake in an old version, which this side would agree to."""

    def act(house: House, seconds: float) -> Seen:
        context = ssl.create_default_context(cafile=str(house.authority))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
        agreed = handshake(house.secure_port, context, seconds)
        problems = [] if agreed.startswith("refused") else [f"agreed to {agreed}"]
        return Seen(agreed, problems=problems + alive(house, secure=True))

    return act


def _ten_thousand_streams(house: House, seconds: float) -> Seen:
    """Calls that go on, 10,000 at once over one connection: all but so many are refused, and none hangs."""
    with Connection(house.router_port) as connection:
        connection.begin()
        for number in range(1, 2 * MANY, 2):
            connection.send(connection.call(number, WATCH, b""))
        settled = connection.read_until(
            lambda come: len(come.streams) == MANY and all(one.headers or one.over for one in come.streams.values()),
            seconds,
        )
        refused = sum(map(_is_refused, connection.streams.values()))
    seen = Seen(f"{MANY - refused} go on, {refused} refused", late=not settled)
    # The edge's own calls are a few more.
    if not MOST_CALLS - 20 <= MANY - refused <= MOST_CALLS:
        seen.problems.append(f"{MANY - refused} go on where {MOST_CALLS} may")
    _taken_again(house)
    return seen


def _one_call_too_many(house: House, seconds: float) -> Seen:
    """As many calls as may be over one connection, and one more over another."""
    with Connection(house.router_port) as connection:
        connection.begin()
        for number in range(1, 2 * MOST_CALLS, 2):
            connection.send(connection.call(number, WATCH, b""))
        connection.read_until(
            lambda come: (
                len(come.streams) == MOST_CALLS and all(one.headers or one.over for one in come.streams.values())
            ),
            seconds,
        )
        with open_channel(house, secure=False) as channel:
            seen = called(channel, request(), SELECT, (), seconds, streaming=False)
    _taken_again(house)
    return seen


def _is_refused(stream: Stream) -> bool:
    return stream.headers.get("grpc-status") == EXHAUSTED or stream.reset in REFUSED


def _taken_again(house: House) -> None:
    """With a connection its calls end, and others have their turn."""
    wait_until(lambda: not alive(house), "calls are taken again")


def _resets(connection: Connection) -> Iterator[bytes]:
    for number in range(1, 2 * MANY, 2):
        yield connection.call(number, SELECT, request()) + RstStreamFrame(number, error_code=8).serialize()


def _pings(_connection: Connection) -> Iterator[bytes]:
    yield from (PingFrame(0, struct.pack(">Q", number)).serialize() for number in range(2 * MANY))


def _settings(_connection: Connection) -> Iterator[bytes]:
    for number in range(2 * MANY):
        yield SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 65_535 + number % 2}).serialize()


def _empty_frames(connection: Connection) -> Iterator[bytes]:
    yield connection.headers(1, SELECT)
    yield from (data(1, b"", end=False) for _ in range(2 * MANY))


def _priorities(_connection: Connection) -> Iterator[bytes]:
    yield from (PriorityFrame(number, depends_on=0, stream_weight=1).serialize() for number in range(1, 2 * MANY, 2))


def _headers_without_end(_connection: Connection) -> Iterator[bytes]:
    """Headers that go on and on: 20,000 continuations of a kilobyte, and never the last."""
    block = Encoder().encode([(":method", "POST"), (":scheme", "http"), (":path", SELECT), (":authority", "localhost")])
    yield HeadersFrame(1, data=block).serialize()
    more = b"".join(Encoder().encode([(f"x-{number}", "y" * 100)], huffman=False) for number in range(10))
    yield from (ContinuationFrame(1, data=more).serialize() for _ in range(2 * MANY))


def _a_window_too_wide(_connection: Connection) -> Iterator[bytes]:
    yield from (WindowUpdateFrame(0, window_increment=2**31 - 1).serialize() for _ in range(10))


def _a_frame_too_large(_connection: Connection) -> Iterator[bytes]:
    yield (2**24 - 1).to_bytes(3, "big") + b"\x00\x00" + (1).to_bytes(4, "big") + bytes(65_536)


def _unknown_frames(_connection: Connection) -> Iterator[bytes]:
    yield from (b"\x00\x00\x04\xfa\x00\x00\x00\x00\x00zzzz" for _ in range(2 * MANY))


def _header_bomb(_connection: Connection) -> Iterator[bytes]:
    """One header of 4 kB into the table of headers, then named 4,000 times in a few kilobytes."""
    encoder = Encoder()
    usual = encoder.encode([(":method", "POST"), (":scheme", "http"), (":path", SELECT), (":authority", "localhost")])
    large = encoder.encode([("x-large", "y" * 3000)], huffman=False)
    # 0x80 | 62: the newest entry of the table.
    yield HeadersFrame(1, data=usual + large + b"\xbe" * 4000, flags=["END_HEADERS", "END_STREAM"]).serialize()


def _flood(frames: Callable[[Connection], Iterator[bytes]], *, dropped: bool) -> Act:
    """Send frames as fast as they are taken; meanwhile another client is answered, and afterwards too.

    `dropped`: the server has to drop the connection.
    """

    def act(house: House, seconds: float) -> Seen:
        with Connection(house.router_port) as connection:
            connection.begin()
            batch = b""
            for frame in frames(connection):
                batch += frame
                if len(batch) > 65_536:
                    connection.send(batch)
                    batch = b""
                if connection.closed:
                    break
            connection.send(batch)
            problems = alive(house)
            connection.read_until(lambda come: come.dropped, NEVER if dropped else 2.0)
            seen = Seen("dropped" if connection.dropped else "kept", problems=problems + alive(house))
            if dropped and not connection.dropped:
                seen.problems.append("the connection was not dropped")
        return seen

    return act


def _unfinished(*sent: bytes, begin: bool = True) -> Act:
    """A connection on which a call, or a frame, never comes to its end: it is closed when it has grown too old."""

    def act(house: House, seconds: float) -> Seen:
        with Connection(house.secure_port, house.authority) as connection:
            if begin:
                connection.begin()
                connection.send(connection.headers(1, SELECT, ALLOWED))
            connection.send(b"".join(sent))
            ended = connection.read_until(lambda come: come.closed, seconds)
        return Seen("closed" if ended else "open", late=not ended, problems=alive(house, secure=True))

    return act


def _unfinished_with_a_deadline(house: House, seconds: float) -> Seen:
    with Connection(house.router_port) as connection:
        connection.begin()
        connection.send(connection.headers(1, SELECT, [("grpc-timeout", "1S")]))
        over = connection.read_until(lambda come: 1 in come.streams and come.streams[1].over, seconds)
        status = connection.streams[1].headers.get("grpc-status", "reset") if 1 in connection.streams else "nothing"
    problems = [] if status in ("4", "1", "reset") else [f"status {status}"]
    return Seen(f"status {status}", late=not over, problems=problems + alive(house))


AGED = CONNECTION_SECONDS * 1.1 + GRACE + SLACK
ALIVE = Expected(forwarded=0)
KEPT = "gRPC may keep the connection: what counts is that others are answered meanwhile, and that nothing is held afterwards"
CASES = (
    Case("G12", "HTTP/1.1 to the gRPC port", _http1(secure=False), ALIVE, 10),
    Case("G12", "HTTP/1.1 in the clear to the port with TLS", _http1(secure=True), ALIVE, 10),
    Case("G12", "gRPC in the clear to the port with TLS", _plaintext, ALIVE, 10),
    *(
        Case("G12", f"TLS {version.name}", _tls(version), ALIVE)
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    ),
    Case("G13", "10,000 streams at once", _ten_thousand_streams, ALIVE, 60),
    Case("G13", "one call too many", _one_call_too_many, answered("RESOURCE_EXHAUSTED")),
    *(
        Case("G14", what, _flood(frames, dropped=dropped), ALIVE, OTHERS_SECONDS, KEPT * (not dropped))
        for what, frames, dropped in (
            ("10,000 calls, each reset at once", _resets, False),
            ("20,000 pings, no answer read", _pings, False),
            ("20,000 settings, no answer read", _settings, False),
            ("20,000 empty frames of data", _empty_frames, False),
            ("10,000 priorities", _priorities, False),
            ("20,000 frames of a kind that is not there", _unknown_frames, False),
            ("headers without end", _headers_without_end, True),
            ("a window wider than may be", _a_window_too_wide, False),
            ("a frame larger than may be", _a_frame_too_large, True),
            ("a header of 3 kB named 4,000 times", _header_bomb, False),
        )
    ),
    Case("G15", "headers and no message", _unfinished(), ALIVE, AGED),
    Case("G15", "half a message", _unfinished(data(1, framed(bytes(100))[:20], end=False)), ALIVE, AGED),
    Case("G15", "half a frame", _unfinished(b"\x00\x00\x08\x06\x00"), ALIVE, AGED),
    Case("G15", "half a preface", _unfinished(PREFACE[:10], begin=False), ALIVE, AGED),
    Case("G15", "headers, a deadline and no message", _unfinished_with_a_deadline, ALIVE, 1 + SLACK),
)
