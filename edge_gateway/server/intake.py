"""What has come of a client's requests, and since when: that tells one on its way from one too large or too slow."""

from __future__ import annotations

# Of a request's first line, headers and trailers together. Nothing that a client has to say there is longer.
MOST_HEADER_BYTES = 32 * 1024
# A body that has used up its time goes on as long as it comes at this rate on the whole.
LEAST_BYTES_A_SECOND = 1000


class Intake:
    """Of one connection's requests, one after the other. Times are time.monotonic(), None for what is not under way.

    What takes bytes tells whether there have been too many of them.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        # Since when the headers of a request are awaited, and whether some of them have come.
        self.head_since: float | None = None
        self.in_head = False
        self.body_since: float | None = None
        # What has come that brought no request further, and whether the last read has.
        self.idle_bytes = 0
        self._further = False
        # Whole headers and trailers, and pieces of the body.
        self._head_bytes = 0
        self._body_bytes = 0

    def await_head(self, now: float) -> None:
        """A request's headers are awaited from now on."""
        self.head_since, self.idle_bytes = now, 0

    def begin_read(self) -> None:
        """Bytes have come, and are parsed next."""
        self._further = False

    def end_read(self, size: int) -> bool:
        """So many bytes have been parsed. What ends a header, or brings a piece of a body, counts there."""
        if not self._further:
            self.idle_bytes += size
        return self.idle_bytes > MOST_HEADER_BYTES

    def begin_head(self) -> None:
        """A request begins."""
        self._head_bytes = self.idle_bytes = 0
        self.in_head = True

    def take_header(self, size: int) -> bool:
        """A header, a trailer or the first line is whole."""
        self._head_bytes += size
        return self._head_bytes > MOST_HEADER_BYTES

    def begin_body(self, now: float) -> None:
        """All headers are whole; the body is awaited from now on."""
        self.head_since, self.in_head = None, False
        self.body_since, self._body_bytes = now, 0
        self._go_on()

    def take_body(self, size: int) -> None:
        """A piece of the body has come."""
        self._body_bytes += size
        self._go_on()

    def end_body(self) -> None:
        """The request is whole."""
        self.body_since = None
        self._go_on()

    def await_body(self, now: float) -> None:
        """The body's time begins again: it could not come."""
        self.body_since, self._body_bytes = now, 0

    def body_late(self, now: float, most_seconds: float) -> bool:
        """Whether the body has had so much time, and does not come fast enough to get more."""
        if self.body_since is None:
            return False
        elapsed = now - self.body_since
        return elapsed > most_seconds and self._body_bytes < elapsed * LEAST_BYTES_A_SECOND

    def _go_on(self) -> None:
        self._further, self.idle_bytes = True, 0
