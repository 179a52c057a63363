"""Speaks HTTP/2 frame by frame to a gRPC server: what a gRPC client would never send, and what comes back."""

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from hpack import Decoder, Encoder
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

from tests.processes import NEVER

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SELECT = "/router.v1.RouterService/SelectModel"
WATCH = "/router.v1.RouterService/WatchDecisions"


@dataclass
class Stream:
    """What came back on one stream: headers and trailers together, and the data."""

    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    reset: int | None = None
    ended: bool = False

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class Connection:
    """One connection; whatever comes in is kept by stream, and its settings are acknowledged."""

    def __init__(self, port: int, authority: Path | None = None) -> None:
        """`authority`: whose certificate a server with TLS shows."""
        plain = socket.create_connection(("127.0.0.1", port), timeout=NEVER)
        self._socket: socket.socket = plain
        if authority is not None:
            context = ssl.create_default_context(cafile=str(authority))
            context.set_alpn_protocols(["h2"])
            self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self.streams: dict[int, Stream] = {}
        self.closed = False
        self.told_to_go = False
        self._raw = b""
        self._encoder, self._decoder = Encoder(), Decoder()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def dropped(self) -> bool:
        """The server closed the connection, or said that it will."""
        return self.closed or self.told_to_go

    def begin(self) -> None:
        """The preface and the first settings."""
        self.send(PREFACE + SettingsFrame(0, settings={}).serialize())

    def send(self, raw: bytes) -> None:
        """Send bytes as they stand; a server that takes no more of them has closed the connection."""
        with self._lost():
            self._socket.settimeout(10)
            self._socket.sendall(raw)

    def headers(self, number: int, path: str, more: Iterable[tuple[str, str]] = (), *, end: bool = False) -> bytes:
        """The headers that begin a call on a stream; `end`: no message follows."""
        usual = [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
            ("te", "trailers"), ("content-type", "application/grpc"),
        ]  # fmt: skip
        # Nothing is put into the table of headers, so that the frames may go out in any order and number.
        block = self._encoder.encode([*usual, *more], huffman=False)
        return HeadersFrame(number, data=block, flags=["END_HEADERS", *(["END_STREAM"] if end else [])]).serialize()

    def call(self, number: int, path: str, message: bytes, more: Iterable[tuple[str, str]] = ()) -> bytes:
        """A whole call."""
        return self.headers(number, path, more) + data(number, framed(message), end=True)

    def read_until(self, done: Callable[["Connection"], bool], seconds: float) -> bool:
        """Read what comes until it is enough or the server closes; whether it came to that in time."""
        end = time.monotonic() + seconds
        while not done(self) and not self.closed:
            left = end - time.monotonic()
            if left <= 0:
                return False
            with self._lost():
                self._socket.settimeout(left)
                try:
                    piece = self._socket.recv(65_536)
                except TimeoutError:
                    return False
                self.closed = not piece
                self._raw += piece
                self._read()
        return True

    def _read(self) -> None:
        while len(self._raw) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self._raw[:9]))
            if len(self._raw) < 9 + length:
                return
            frame.parse_body(memoryview(self._raw[9 : 9 + length]))
            self._raw = self._raw[9 + length :]
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        stream = self.streams.setdefault(frame.stream_id, Stream()) if frame.stream_id else Stream()
        if isinstance(frame, HeadersFrame):
            stream.headers |= {str(name): str(value) for name, value in self._decoder.decode(frame.data)}
        elif isinstance(frame, DataFrame):
            stream.data += frame.data
        elif isinstance(frame, RstStreamFrame):
            stream.reset = frame.error_code
        elif isinstance(frame, GoAwayFrame):
            self.told_to_go = True
        elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self.send(SettingsFrame(0, flags=["ACK"]).serialize())
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            self.send(PingFrame(0, frame.opaque_data, flags=["ACK"]).serialize())
        stream.ended = stream.ended or "END_STREAM" in frame.flags

    @contextlib.contextmanager
    def _lost(self):
        try:
            yield
        except OSError:
            self.closed = True


def framed(message: bytes) -> bytes:
    """A message as gRPC frames it: not compressed, its length, itself."""
    return struct.pack(">BI", 0, len(message)) + message


def data(number: int, raw: bytes, *, end: bool) -> bytes:
    """A frame of data."""
    return DataFrame(number, data=raw, flags=["END_STREAM"] if end else []).serialize()
