"""Tells hosted Portkey how a reply fared, so that its own analytics show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_gateway import telemetry
from edge_gateway.portkey.client import portkey_headers

if TYPE_CHECKING:
    import aiohttp

# What an outcome is worth on Portkey's scale of -10 to 10, and how sure it is, 0 to 1; what stands here not is not told.
_VALUES = {
    "applied": (10, 1.0),
    "edit_failed": (-10, 1.0),
    "lint_failed": (-10, 1.0),
    # The test may have failed before, too.
    "command_failed": (-10, 0.7),
    "undone": (-10, 1.0),
}
SECONDS = 10.0


class Feedback:
    """Portkey's feedback endpoint; made inside the running event loop."""

    def __init__(self, base_url: str, api_key: str) -> None:
        """`base_url` includes the version."""
        # The client takes a third of a second to import, so only an edge that gives feedback pays for it.
        import aiohttp  # noqa: PLC0415

        self._url = base_url.rstrip("/") + "/feedback"
        self._failures = (aiohttp.ClientError, OSError, TimeoutError)
        self._session: aiohttp.ClientSession = aiohttp.ClientSession(
            headers=portkey_headers(api_key),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=SECONDS),
        )

    async def send(self, trace_id: str, outcome: str) -> None:
        """Tell how the reply with that trace id fared; a failure is logged, never raised."""
        if outcome not in _VALUES:
            return
        value, weight = _VALUES[outcome]
        body = {"trace_id": trace_id, "value": value, "weight": weight, "metadata": {"outcome": outcome}}
        try:
            async with self._session.post(self._url, json=body, allow_redirects=False) as answer:
                if not answer.ok:
                    telemetry.problem("feedback_failed", decision_id=trace_id, status=answer.status)
        except self._failures as error:
            telemetry.problem("feedback_failed", decision_id=trace_id, status=type(error).__name__)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
