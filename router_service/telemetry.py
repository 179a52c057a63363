"""What the router tells its operator: one structured line a call, without the prompt; JSON, or pretty on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import traceback
from typing import Any, TextIO, cast

import msgspec
import structlog

from router_service.domain import Decision

# Kept, for a logger that is asked for anew is put together anew for each line.
_LOG = structlog.get_logger()
# What JSON has no word for is shown as Python shows it.
_ENCODER = msgspec.json.Encoder(enc_hook=repr)


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
    renderer: Any = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(_json)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Log())),
        cache_logger_on_first_use=True,
    )


def _json(line: object, **_options: object) -> str:
    try:
        return _ENCODER.encode(line).decode()
    except (ValueError, OverflowError):
        # A lone surrogate, or a number beyond 64 bits.
        return json.dumps(line, default=repr)


def decided(decision: Decision, milliseconds: float) -> None:
    """Log one decision."""
    consultation = decision.consultation
    _LOG.info(
        "decided",
        decision_id=decision.id,
        model=decision.model,
        source=str(decision.source),
        purpose=str(decision.request.purpose),
        profile=decision.request.profile,
        candidates=len(decision.ranking),
        removed=len(decision.removed),
        not_diamond_problem=consultation.problem if consultation else "",
        not_diamond_ms=round(consultation.elapsed_seconds * 1000, 1) if consultation else None,
        ms=round(milliseconds, 2),
    )


def refused(rpc: str, reason: str, milliseconds: float) -> None:
    """Log one refused call."""
    _LOG.warning("refused", rpc=rpc, reason=reason, ms=round(milliseconds, 2))


def mistaken(rpc: str, error: Exception) -> None:
    """Log a mistake of ours: what kind and where. Its text may hold a prompt's."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    where = [f"{frame.filename}:{frame.lineno}" for frame in frames]
    _LOG.error("mistaken", rpc=rpc, error=type(error).__name__, where=where)


def problem(name: str, **fields: object) -> None:
    """Log something that an operator should look at."""
    _LOG.warning(name, **fields)


def event(name: str, **fields: object) -> None:
    """Log something in the life of the process."""
    _LOG.info(name, **fields)
