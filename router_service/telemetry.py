"""What the router tells its operator: one structured line a call, without the prompt; JSON, or pretty on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import traceback
from typing import Any, Protocol, TextIO, cast

import msgspec
import structlog

from router_service.domain import Decision
from router_service.records import Report

# Kept, for a logger that is asked for anew is put together anew for each line.
_LOG = structlog.get_logger()
# What JSON has no word for is shown as Python shows it.
_ENCODER = msgspec.json.Encoder(enc_hook=repr)


class Listener(Protocol):
    """Who hears of each call as well, and counts it."""

    def decided(self, decision: Decision, seconds: float | None) -> None:
        """A decision; `seconds`: that it took, None where the caller made it, by a lease."""

    def refused(self, reason: str) -> None:
        """A call, or a part of one, was refused."""

    def reported(self, report: Report, model: str) -> None:
        """A report that says something new; `model`: the one whose reply it is."""

    def problem(self, name: str) -> None:
        """Something that an operator should look at."""


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


def listen(listener: Listener) -> None:
    """Have somebody hear of each call from now on."""
    global _listener  # noqa: PLW0603 - there is one log, and one who hears of it as well
    _listener = listener


def decided(decision: Decision, milliseconds: float, trace_id: str = "", *, leased: bool = False) -> None:
    """Log one decision; `trace_id`: of the trace it belongs to, if any; `leased`: its caller has made it."""
    if _listener is not None:
        _listener.decided(decision, None if leased else milliseconds / 1000)
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
        **({"trace_id": trace_id} if trace_id else {}),
    )


def refused(rpc: str, reason: str, milliseconds: float) -> None:
    """Log one refused call."""
    if _listener is not None:
        _listener.refused(reason)
    _LOG.warning("refused", rpc=rpc, reason=reason, ms=round(milliseconds, 2))


def reported(report: Report, decision: Decision) -> None:
    """Tell whoever counts of a report that says something new; it has no line of its own."""
    if _listener is not None:
        _listener.reported(report, report.served_model or decision.model)


def mistaken(rpc: str, error: Exception) -> None:
    """Log a mistake of ours: what kind and where. Its text may hold a prompt's."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    where = [f"{frame.filename}:{frame.lineno}" for frame in frames]
    _LOG.error("mistaken", rpc=rpc, error=type(error).__name__, where=where)


def problem(name: str, **fields: object) -> None:
    """Log something that an operator should look at."""
    if _listener is not None:
        _listener.problem(name)
    _LOG.warning(name, **fields)


def event(name: str, **fields: object) -> None:
    """Log something in the life of the process."""
    _LOG.info(name, **fields)


_listener: Listener | None = None
