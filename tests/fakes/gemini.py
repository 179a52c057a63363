"""Google's Gemini API as behaviours for FakeProvider: generateContent and streamGenerateContent, and their errors."""

import re

from aiohttp import web

from tests.fakes.behaviours import JSON, Behaviour, encoded, header_names, pieces, whole

MODEL = "gemini-3-pro"
STATUSES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_MODEL = re.compile(r"/models/([^/:]+):(?:streamGenerateContent|generateContent)$")


def model_in(path: str) -> str:
    """The model that a Gemini path asks; empty for any other path."""
    found = _MODEL.search(path)
    return found[1] if found else ""


def text(words: str) -> JSON:
    """A part of text."""
    return {"text": words}


def thought(words: str) -> JSON:
    """A part of thoughts, as they come when they are asked for."""
    return {"text": words, "thought": True}


def function_call(name: str, arguments: JSON) -> JSON:
    """A part that calls a function; Gemini gives the call no id."""
    return {"functionCall": {"name": name, "args": arguments}, "thoughtSignature": "c2lnbmVk"}


def content(*parts: JSON, finish_reason: str | None = "STOP", usage: JSON | None = None) -> JSON:
    """A whole answer, or a piece of one when it has no finish reason."""
    candidate: JSON = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish_reason:
        candidate["finishReason"] = finish_reason
    counts: JSON = {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12, **(usage or {})}
    counts["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": counts["promptTokenCount"]}]
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": MODEL, "responseId": "mAb3aJ7kBqe-"}


def contents(*parts: JSON, finish_reason: str = "STOP", usage: JSON | None = None) -> tuple[JSON, ...]:
    """The answer as it is streamed: text in pieces, a function call whole, the finish reason with the last."""
    split: list[JSON] = []
    for part in parts:
        split.extend({**part, "text": piece} for piece in pieces(part["text"])) if "text" in part else split.append(
            part
        )
    last = len(split) - 1
    return tuple(
        content(part, finish_reason=finish_reason if index == last else None, usage=usage)
        for index, part in enumerate(split)
    )


def framed(chunks: tuple[JSON, ...], sse: bool) -> tuple[bytes, ...]:
    """As ?alt=sse has it, events that end in CRLF, or else one JSON array that comes in pieces."""
    if sse:
        return tuple(b"data: %s\r\n\r\n" % encoded(chunk) for chunk in chunks)
    # The real one's line ends, by which clients part the elements: LF after each, CRLF only after a comma.
    heads = (b"[", *(b",\r\n" for _ in chunks[1:]))
    return (*(head + encoded(chunk) + b"\n" for head, chunk in zip(heads, chunks, strict=True)), b"]")


PLAIN = encoded(content(text("hello there")))
EVENTS = framed(contents(text("hello there")), sse=True)


def error(status: int, words: str, headers: dict[str, str] | None = None, *, listed: bool = False) -> web.Response:
    """An error in Google's form; a stream without alt=sse sends it in a list."""
    body: JSON = {"error": {"code": status, "message": words, "status": STATUSES.get(status, "UNKNOWN")}}
    if status == web.HTTPTooManyRequests.status_code:
        body["error"]["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
    return whole(encoded([body] if listed else body), status, headers)


def objection(request: web.Request, body: JSON) -> web.Response | None:
    """What the real one refuses before any model is asked."""
    if not (request.query.get("key") or request.headers.get("x-goog-api-key")):
        return error(403, "Method doesn't allow unregistered callers. Please use API Key to call this API.")
    if not body.get("contents"):
        return error(400, "* GenerateContentRequest.contents: contents is not specified")
    return None


def replying(*parts: JSON, finish_reason: str = "STOP", usage: JSON | None = None) -> Behaviour:
    """This answer, plain or streamed as the path asks."""
    plain = encoded(content(*parts, finish_reason=finish_reason, usage=usage))
    return _answering(plain, contents(*parts, finish_reason=finish_reason, usage=usage))


def cut_after(count: int, *, abort: bool) -> Behaviour:
    """A stream that stops after some pieces: by a reset, or by a clean end without a finish reason."""
    return _answering(PLAIN, contents(text("hello there"))[:count], abort=abort, closed=False)


def refuse(status: int, words: str = "refused", **headers: str) -> Behaviour:
    """An error for whoever is known."""

    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        listed = _streams(request) and not _sse(request)
        return objection(request, body) or error(status, words, header_names(headers), listed=listed)

    return behave


def _streams(request: web.Request) -> bool:
    return request.path.endswith(":streamGenerateContent")


def _sse(request: web.Request) -> bool:
    return request.query.get("alt") == "sse"


def _answering(plain: bytes, streamed: tuple[JSON, ...], *, abort: bool = False, closed: bool = True) -> Behaviour:
    async def behave(request: web.Request, body: dict) -> web.StreamResponse:
        refused = objection(request, body)
        if refused is not None:
            return refused
        if not _streams(request):
            return whole(plain)
        sse = _sse(request)
        response = web.StreamResponse(headers={"content-type": "text/event-stream" if sse else "application/json"})
        await response.prepare(request)
        frames = framed(streamed, sse)
        for frame in frames if closed or sse else frames[:-1]:
            await response.write(frame)
        if abort:
            request.transport.abort()
        return response

    return behave


answer = _answering(PLAIN, contents(text("hello there")))
