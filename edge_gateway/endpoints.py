"""The HTTP surface: each form of API and the models under every base URL that clients use, and health."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.routing import Route

from edge_gateway.clients import Clients
from edge_gateway.errors import unknown_model
from edge_gateway.forms import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES
from edge_gateway.listing import listing
from edge_gateway.router_client.client import RouterClient
from edge_gateway.routing import Routing
from edge_gateway.serving import Serving, ServingAfterQuery

# What stands before a form's path: clients append it to base URLs with and without a version, and with a session.
BASES = ("/v1", "")
IN_SESSION = "/s/{session}"

# A redirect would name whatever host the request names.
surface = APIRouter(redirect_slashes=False)

_AFTER_QUERY = ServingAfterQuery()
_SERVED: dict[str, Serving | ServingAfterQuery] = {
    base + form.path: Serving(form) for form in (CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS) for base in BASES
}
for _path, _serving in _SERVED.items():
    for _base in ("", IN_SESSION):
        surface.routes.append(Route(_base + _path, _serving, methods=["POST"]))
for _path in ("/v1", "/"):
    surface.routes.append(Route(_path, _AFTER_QUERY, methods=["POST"]))


def find_serving(path: str) -> tuple[Serving | ServingAfterQuery, dict[str, str]] | None:
    """The endpoint that serves a POST to this path, and the parameters in it; the same as the surface's routes say."""
    if (serving := _SERVED.get(path)) is not None:
        return serving, {}
    if path in ("/v1", "/"):
        return _AFTER_QUERY, {}
    if path.startswith("/s/"):
        session, slash, rest = path[len("/s/") :].partition("/")
        if session and (serving := _SERVED.get(slash + rest)) is not None:
            return serving, {"session": session}
    return None


async def models(request: Request) -> Response:
    """The profiles, and the models that can be asked for by name."""
    return JSONResponse({"object": "list", "data": _listed(request)})


async def model(request: Request, name: str) -> Response:
    """One of them."""
    found = next((entry for entry in _listed(request) if entry["id"] == name), None)
    if found is None:
        routing: Routing = request.app.state.routing
        raise unknown_model(name, routing.profiles())
    return JSONResponse(found)


for _base in (*BASES, *(IN_SESSION + base for base in BASES)):
    surface.add_api_route(f"{_base}/models", models, methods=["GET"], response_model=None)
    surface.add_api_route(f"{_base}/models/{{name:path}}", model, methods=["GET"], response_model=None)


@surface.get("/healthz")
async def healthz() -> Response:
    """The process runs."""
    return JSONResponse({"status": "ok"})


@surface.get("/readyz")
async def readyz(request: Request) -> Response:
    """Requests can be served, without a router too; `decisions` says whether it answered when it was asked last."""
    router: RouterClient = request.app.state.router
    decisions = "router" if router.answers else "default order until the router answers"
    return JSONResponse({"status": "ok", "decisions": decisions, "providers": sorted(request.app.state.providers)})


def _listed(request: Request) -> list[dict[str, Any]]:
    state = request.app.state
    clients: Clients = state.clients
    routing: Routing = state.routing
    key = clients.identify(request.headers)
    permits = key.permits if key else lambda _: True
    return listing(state.router.offer, routing.profiles(), state.providers, permits, int(state.started))
