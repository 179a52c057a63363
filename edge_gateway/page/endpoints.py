"""The page's addresses: the list, its live news, one decision, the figures, and the dry run."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from edge_gateway.page.asking import Viewer, viewer
from edge_gateway.page.calls import Refused, RouterAway
from edge_gateway.page.guard import STILL_GOOD
from edge_gateway.page.house import House
from edge_gateway.page.live import Watcher
from edge_gateway.page.views import Explanation, Profile, Trial
from edge_gateway.page.wire import PURPOSES

STATIC = Path(__file__).with_name("static")
KINDS = {".css": "text/css", ".mjs": "text/javascript", ".svg": "image/svg+xml"}
# Who watches at once at most; each is a connection of the edge's.
MOST_WATCHERS = 20
# Seconds without news after which a watcher is shown that the edge is there, and in which news gather.
SILENCE, GATHER = 15.0, 0.25
# Seconds after which a watcher has to ask anew.
LONGEST_WATCH = 300.0
# Milliseconds after which a browser asks again.
RETRY, RETRY_WHEN_FULL = 1000, 10_000
# Characters of a prompt in the form, and bytes of the whole of it.
MOST_TEXT, MOST_BODY = 20_000, 256 * 1024
NOT_FOUND, TOO_LARGE, BUSY = 404, 413, 503


class Pages:
    """What is answered at each address."""

    def __init__(self, house: House, operators: frozenset[str], available: Callable[[], Sequence[str]]) -> None:
        """`operators`: keys that see everybody's decisions; `available`: the providers that can be reached."""
        self._house = house
        self._operators = operators
        self._available = available
        self._files = {path.name: path.read_bytes() for path in STATIC.iterdir()}

    def app(self) -> Starlette:
        """The application; the guard stands before it."""
        routes = [
            Route("/", self.home),
            Route("/figures", self.figures),
            Route("/events", self.events),
            Route("/decisions/{id}", self.decision),
            Route("/decisions/{id}/part", self.part),
            Route("/route", self.blank),
            Route("/route", self.trial, methods=["POST"]),
            Route("/static/{name}", self.static),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: self._problem})
        # A redirect would name whatever host the request names.
        app.router.redirect_slashes = False
        return app

    async def home(self, request: Request) -> Response:
        """The list, with its figures."""
        return HTMLResponse(await self._house.home(request.query_params, self._viewer(request)))

    async def figures(self, request: Request) -> Response:
        """The figures alone."""
        return HTMLResponse(await self._house.figures(request.query_params, self._viewer(request)))

    async def events(self, request: Request) -> Response:
        """The list's news as server-sent events."""
        if len(self._house.live) >= MOST_WATCHERS:
            # As many watch as may at once. After any other status than 200 a browser would not come again.
            return Response(f"retry: {RETRY_WHEN_FULL}\n\n", media_type="text/event-stream")
        wanted = self._house.wanted(request.query_params, self._viewer(request))
        may_watch = request.scope.get(STILL_GOOD, lambda: True)

        async def stream() -> AsyncIterator[str]:
            with self._house.live.watching(wanted) as watcher:
                yield f"retry: {RETRY}\n\n"
                async for event in self._news(watcher, may_watch):
                    yield event

        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)

    async def decision(self, request: Request) -> Response:
        """One decision, as a page of its own."""
        try:
            explained = await self._explained(request)
        except RouterAway:
            return await self._said("The router does not answer", "Try again in a moment.", BUSY)
        return HTMLResponse(await self._house.rendering.page("decision.html", here="", explained=explained))

    async def part(self, request: Request) -> Response:
        """One decision, to be shown in another page."""
        try:
            explained = await self._explained(request)
        except RouterAway:
            return HTMLResponse("<p>The router does not answer. Try again in a moment.</p>")
        except HTTPException as gone:
            return HTMLResponse(f"<p>{gone.detail}</p>")
        return HTMLResponse(await self._house.rendering.page("explanation.html", explained=explained))

    async def blank(self, request: Request) -> Response:
        """The form of a dry run."""
        return await self._tried(self._asked(request, {}), None, "")

    async def trial(self, request: Request) -> Response:
        """A dry run: the form, and what the router decides."""
        asked = self._asked(request, parse_qs((await _body(request)).decode("utf-8", "replace")))
        if not asked.text.strip():
            return await self._tried(asked, None, "Write a prompt first.")
        if not self._viewer(request).may_ask(asked.profile):
            return await self._tried(asked, None, f"Your key may not ask for {asked.profile}.")
        try:
            return await self._tried(asked, await self._house.calls.route(asked), "")
        except RouterAway:
            return await self._tried(asked, None, "The router does not answer. Try again in a moment.")
        except Refused as refusal:
            return await self._tried(asked, None, str(refusal))

    async def static(self, request: Request) -> Response:
        """The stylesheet, the script, the icon."""
        body = self._files.get(request.path_params["name"])
        if body is None:
            raise HTTPException(NOT_FOUND)
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        kind = KINDS[Path(request.path_params["name"]).suffix]
        return Response(body, headers=headers, media_type=kind)

    async def _news(self, watcher: Watcher, may_watch: Callable[[], bool]) -> AsyncIterator[str]:
        """News as events, until the time is over or the key is good no more."""
        until = time.monotonic() + LONGEST_WATCH
        while time.monotonic() < until:
            changed = await watcher.wait(SILENCE)
            if not may_watch():
                return
            if not changed:
                yield ": still here\n\n"
                continue
            news = watcher.take()
            if news.state:
                yield f"event: state\ndata: {news.state}\n\n"
            if news.rows:
                written = await self._house.rendering.rows(news.rows)
                told = [
                    {"id": row.id, "time": row.time, "html": html} for row, html in zip(news.rows, written, strict=True)
                ]
                yield f"event: rows\ndata: {json.dumps(told)}\n\n"
            if news.ended:
                return
            await watcher.rest(GATHER)

    async def _explained(self, request: Request) -> Explanation:
        unknown = HTTPException(NOT_FOUND, "The router knows no such decision, or no longer keeps it.")
        try:
            explained = await self._house.calls.explain(request.path_params["id"])
        except Refused:
            raise unknown from None
        if not self._viewer(request).may_see(explained.row):
            raise unknown
        return explained

    def _asked(self, request: Request, form: dict[str, list[str]]) -> Trial:
        def said(name: str, usual: str) -> str:
            return form.get(name, [usual])[0]

        who = self._viewer(request)
        purpose = said("purpose", "code")
        return Trial(
            text=said("text", "").replace("\r\n", "\n")[:MOST_TEXT],
            shown=self._house.routing_characters,
            profile=said("profile", "auto"),
            purpose=purpose if purpose in PURPOSES else "code",
            tenant=who.own_tenant,
            caller=who.caller,
            providers=tuple(self._available()),
        )

    async def _tried(self, asked: Trial, explained: Explanation | None, problem: str) -> Response:
        try:
            profiles = await self._house.calls.profiles()
        except (RouterAway, Refused):
            profiles = (Profile(asked.profile, ""),)
            problem = problem or "The router does not answer just now."
        shown = {"asked": asked, "explained": explained, "problem": problem, "profiles": profiles, "purposes": PURPOSES}
        return HTMLResponse(await self._house.rendering.page("route.html", here="route", most=MOST_TEXT, **shown))

    def _viewer(self, request: Request) -> Viewer:
        return viewer(request.scope, self._operators)

    async def _problem(self, _: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == NOT_FOUND:
            detail = str(getattr(error, "detail", ""))
            text = "Nothing is served at this address." if detail in ("", "Not Found") else detail
            return await self._said("Not found", text, status)
        headers = dict(getattr(error, "headers", None) or {})
        return PlainTextResponse(f"{getattr(error, 'detail', 'An error of the edge.')}\n", status, headers)

    async def _said(self, title: str, text: str, status: int) -> Response:
        return HTMLResponse(await self._house.rendering.page("problem.html", here="", title=title, text=text), status)


async def _body(request: Request) -> bytes:
    """A form's body; what is too large is not read to its end."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MOST_BODY:
                raise HTTPException(TOO_LARGE, f"The form is larger than {MOST_BODY} bytes.")
            parts.append(part)
    except ClientDisconnect:
        raise HTTPException(400, "The form did not come whole.") from None
    return b"".join(parts)
