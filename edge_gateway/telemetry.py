"""What the edge tells its operator: one structured line a request, never its content; JSON, or pretty on a terminal."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any, TextIO, cast

import structlog


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


def configure() -> None:
    """Send log lines to standard error."""
    pretty = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Log())),
        cache_logger_on_first_use=True,
    )


def event(name: str, **fields: object) -> None:
    """Log something in the life of the process, or one request."""
    structlog.get_logger().info(name, **fields)


def problem(name: str, **fields: object) -> None:
    """Log something that an operator should look at."""
    structlog.get_logger().warning(name, **fields)
