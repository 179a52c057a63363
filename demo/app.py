"""Serves the demo models over HTTP in the forms of OpenAI's and Anthropic's APIs, and does nothing else."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from demo import forms
from demo.completion import Completion, JsonObject, RequestError, clip_to_tokens, estimate_tokens
from demo.conversation import read_conversation
from demo.models import MODELS, DemoModel, find_model
from demo.reply import compose

# A long file in many chunks must not take minutes because each chunk waits a little.
_LONGEST_PAUSES = 2.0


def create_app(pace: float = 1.0) -> FastAPI:
    """The application; `pace` scales every pause."""
    app = FastAPI(title="Scripted demo models", docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        completion, pause = _answered(_with_messages(body := _checked(await request.body())), pace)
        if body.get("stream"):
            options = body.get("stream_options")
            wants_usage = isinstance(options, dict) and options.get("include_usage") is True
            return StreamingResponse(_events(completion, wants_usage, pause), media_type="text/event-stream")
        await asyncio.sleep(pause * len(completion.pieces()))
        return JSONResponse(completion.whole())

    @app.post("/v1/messages")
    async def messages(request: Request) -> Response:
        body = forms.from_messages(_with_messages(_checked(await request.body())))
        return await _in_form(body, pace, forms.message, forms.message_events)

    @app.post("/v1/responses")
    async def responses(request: Request) -> Response:
        body = forms.from_responses(_checked(await request.body()))
        return await _in_form(body, pace, forms.response, forms.response_events)

    @app.get("/v1/models")
    async def models() -> JsonObject:
        return {"object": "list", "data": [_described(name) for name in MODELS]}

    @app.get("/healthz")
    async def healthz() -> JsonObject:
        return {"status": "ok"}

    _answer_errors(app)
    return app


async def _in_form(
    body: JsonObject,
    pace: float,
    whole: Callable[[Completion], JsonObject],
    events: Callable[[Completion], Iterable[JsonObject]],
) -> Response:
    """The reply in a form whose events name themselves."""
    completion, pause = _answered(body, pace)
    if body.get("stream"):
        return StreamingResponse(_named_events(events(completion), pause), media_type="text/event-stream")
    await asyncio.sleep(pause * len(completion.pieces()))
    return JSONResponse(whole(completion))


def _answered(body: JsonObject, pace: float) -> tuple[Completion, float]:
    """The reply, and the seconds between two of its pieces."""
    model = _chosen(body)
    completion = _complete(body, model)
    return completion, min(model.pause * pace, _LONGEST_PAUSES / max(1, len(completion.pieces())))


def _checked(raw: bytes) -> JsonObject:
    """The body as an object, or the error that says what is wrong with it."""
    try:
        body: Any = json.loads(raw)
    except (ValueError, RecursionError):
        raise RequestError(400, "The request body is not valid JSON.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise RequestError(400, "The request body must be a JSON object.")
    return body


def _with_messages(body: JsonObject) -> JsonObject:
    """The body with its messages, or the error that says what is wrong with them."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise RequestError(400, "'messages' must be a list of at least one message object.", param="messages")
    return body


def _chosen(body: JsonObject) -> DemoModel:
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise RequestError(400, "'model' must name a model.", param="model")
    model = find_model(name)
    if model is None:
        known = ", ".join(MODELS)
        message = f"The demo has no model '{name}'. It knows: {known} (also with demo/ before the name)."
        raise RequestError(404, message, param="model", code="model_not_found")
    return model


def _complete(body: JsonObject, model: DemoModel) -> Completion:
    limits = (body.get("max_completion_tokens"), body.get("max_tokens"))
    limit = next((each for each in limits if isinstance(each, int) and each > 0), None)
    text, finish_reason = clip_to_tokens(compose(read_conversation(body), model), limit)
    return Completion(
        id=f"chatcmpl-{uuid.uuid4().hex}",
        created=int(time.time()),
        model=model.name,
        text=text,
        prompt_tokens=estimate_tokens(json.dumps(body["messages"], ensure_ascii=False)),
        finish_reason=finish_reason,
    )


async def _events(completion: Completion, include_usage: bool, pause: float) -> AsyncIterator[str]:
    for chunk in completion.chunks(include_usage):
        yield f"data: {json.dumps(chunk)}\n\n"
        if pause:
            await asyncio.sleep(pause)
    yield "data: [DONE]\n\n"


async def _named_events(events: Iterable[JsonObject], pause: float) -> AsyncIterator[str]:
    for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
        if pause and event["type"].endswith("delta"):
            await asyncio.sleep(pause)


def _described(name: str) -> JsonObject:
    return {"id": name, "object": "model", "created": 0, "owned_by": "scripted-demo"}


def _answer_errors(app: FastAPI) -> None:
    """Every error leaves as an error object, whoever raised it."""

    @app.exception_handler(RequestError)
    async def wrong_request(_: Request, error: RequestError) -> Response:
        return JSONResponse(error.body(), status_code=error.status)

    @app.exception_handler(HTTPException)
    async def wrong_address(request: Request, error: HTTPException) -> Response:
        wrong = RequestError(error.status_code, f"{request.method} {request.url.path}: {error.detail}.")
        return JSONResponse(wrong.body(), status_code=error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def our_fault(_: Request, error: Exception) -> Response:
        wrong = RequestError(500, f"The demo failed on this request, by our fault ({type(error).__name__}).")
        return JSONResponse(wrong.body(), status_code=500)
