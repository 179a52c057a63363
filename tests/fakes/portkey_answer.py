"""An answer on its way through hosted Portkey: what guardrails make of it, and how it is passed on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from tests.fakes.behaviours import encoded

SOFT, DENIED = 246, 446
RESULTS = {"before_request_hooks": [{"verdict": False}], "after_request_hooks": []}


@dataclass
class Said:
    """A target's answer, still to be read where `upstream` is set; `stops` marks an error of Portkey's own."""

    status: int
    content_type: str
    body: bytes = b""
    retry_after: str = ""
    upstream: aiohttp.ClientResponse | None = None
    stops: bool = False

    @property
    def streamed(self) -> bool:
        """Whether it comes as events."""
        return self.content_type == "text/event-stream"

    def close(self) -> None:
        """Lets go of the provider."""
        if self.upstream is not None:
            self.upstream.close()


def failure(status: int, message: str) -> Said:
    """An error of Portkey's own, in its form."""
    return Said(status, "application/json", encoded({"status": "failure", "message": message}), stops=True)


def denial() -> Said:
    """What a failed guardrail that denies has in the answer's place."""
    words = (
        "The guardrail checks defined in the config failed. You can find more information in the `hook_results` object."
    )
    error = {"message": words, "type": "hooks_failed", "param": None, "code": None}
    return Said(DENIED, "application/json", encoded({"error": error, "hook_results": RESULTS}), stops=True)


async def judged(said: Said, verdicts: Iterable[int]) -> Said:
    """What guardrails make of a success: they deny it, mark it, or leave it alone."""
    verdicts = set(verdicts)
    if said.status != web.HTTPOk.status_code or not verdicts & {SOFT, DENIED}:
        return said
    if DENIED in verdicts:
        said.close()
        return denial()
    if said.streamed or said.upstream is None:
        said.status = SOFT
        return said
    return Said(SOFT, said.content_type, encoded({**await said.upstream.json(), "hook_results": RESULTS}))


async def pass_on(said: Said, response: web.StreamResponse, keep: Callable[[bytes], None]) -> None:
    """Writes it; what the provider breaks off ends cleanly, as of the real one, and is not kept."""
    if said.upstream is None:
        await response.write(said.body)
        return
    passed = b""
    try:
        async for chunk in said.upstream.content.iter_any():
            await response.write(chunk)
            passed += chunk
    except aiohttp.ClientPayloadError:
        return
    if said.status == web.HTTPOk.status_code:
        keep(passed)
