"""What the edge tells its operator: one structured line a request, never its content; JSON, or pretty on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import msgspec

Tell = Callable[[str, str, Mapping[str, object]], None]


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
    global _tell  # noqa: PLW0603 - there is one standard error, and one way to write to it
    if sys.stderr.isatty():
        _tell = _pretty()


def listen(hear: Tell) -> None:
    """Have all that is logged from now on be told to somebody else too, who counts it."""
    global _hear  # noqa: PLW0603 - as above
    _hear = hear


def event(name: str, **fields: object) -> None:
    """Log something in the life of the process, or one request."""
    _tell(name, "info", fields)
    if _hear is not None:
        _hear(name, "info", fields)


def problem(name: str, **fields: object) -> None:
    """Log something that an operator should look at."""
    _tell(name, "warning", fields)
    if _hear is not None:
        _hear(name, "warning", fields)


def _write(name: str, level: str, fields: Mapping[str, object]) -> None:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    line = {**fields, "event": name, "level": level, "timestamp": now}
    try:
        encoded = msgspec.json.encode(line, enc_hook=repr)
    except UnicodeEncodeError:
        # Half a surrogate pair, as a file's name may hold it.
        encoded = json.dumps(line, default=repr).encode()
    try:
        log = sys.stderr.buffer
        log.write(encoded + b"\n")
        log.flush()
    except (OSError, ValueError):
        # Lost, as above.
        return


def _pretty() -> Tell:
    # Only a terminal needs what takes a tenth of a second to import.
    import structlog  # noqa: PLC0415

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Log())),
        cache_logger_on_first_use=True,
    )
    log: Any = structlog.get_logger()

    def tell(name: str, level: str, fields: Mapping[str, object]) -> None:
        getattr(log, level)(name, **fields)

    return tell


_tell: Tell = _write
_hear: Tell | None = None
