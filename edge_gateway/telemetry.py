"""What the edge tells its operator: one structured line a request, never its content; JSON, or pretty on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, TextIO, cast

import msgspec
import structlog

_log = structlog.get_logger()


class _Log(io.TextIOBase):
    """Standard error, but a line that cannot be written, to a full disk or a closed pipe, is lost and harms no request."""

    def write(self, text: str) -> int:
        """Write a line, or lose it."""
        with contextlib.suppress(OSError, ValueError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        """Send off what is written."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


class _BytesLog(io.RawIOBase):
    """The same for lines that are bytes already."""

    def write(self, line: Any) -> int:
        """Write a line at once, or lose it."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
        return len(line)


def configure() -> None:
    """Send log lines to standard error."""
    pretty = sys.stderr.isatty()
    log = (
        structlog.WriteLoggerFactory(file=cast(TextIO, _Log()))
        if pretty
        else structlog.BytesLoggerFactory(file=cast(BinaryIO, _BytesLog()))
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(_encoded),
        ],
        logger_factory=log,
        cache_logger_on_first_use=True,
    )


def event(name: str, **fields: object) -> None:
    """Log something in the life of the process, or one request."""
    _log.info(name, **fields)


def problem(name: str, **fields: object) -> None:
    """Log something that an operator should look at."""
    _log.warning(name, **fields)


def _encoded(line: object, default: Callable[[Any], Any]) -> bytes:
    try:
        return msgspec.json.encode(line, enc_hook=default)
    except UnicodeEncodeError:
        # Half a surrogate pair, as a file's name may hold it.
        return json.dumps(line, default=default).encode()
