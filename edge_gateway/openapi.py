"""Describes the edge's API as OpenAPI: the served paths, and of each request what the edge itself reads.

It is not served: `edge_gateway.app` tells it to tests and to whoever writes a client. All else in a request goes on as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from edge_gateway.errors import GATEWAY_TIMEOUT, TOO_MANY, UNAVAILABLE
from edge_gateway.forms import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES

Schema = dict[str, Any]
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"oneOf": [_TEXT, {"type": "array", "items": {}}]}
_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0, "maximum": 2**31 - 1}
_FLAG: Schema = {"type": ["boolean", "null"]}
_PARTS: Schema = {
    "type": "array",
    "items": {"type": "object", "properties": {"type": _TEXT, "text": {"type": ["string", "null"]}}},
}
_CONTENT: Schema = {"oneOf": [_TEXT, _PARTS]}
_MESSAGES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "object", "required": ["role", "content"], "properties": {"role": _TEXT, "content": _CONTENT}},
}
_TOOLS: Schema = {"type": ["array", "null"], "items": {"type": "object"}}
_SHARED: Schema = {
    "model": {**_TEXT, "description": "A profile, or provider/model."},
    "stream": _FLAG,
    "temperature": {},
}
# By the form's path: what has to be there, and what is read.
_BODIES: Mapping[str, tuple[list[str], Schema]] = {
    CHAT.path: (
        ["model", "messages"],
        {
            "messages": _MESSAGES,
            "max_tokens": _COUNT,
            "max_completion_tokens": _COUNT,
            "n": {},
            "logprobs": {},
            "tools": _TOOLS,
            "response_format": {"type": ["object", "null"], "properties": {"type": _TEXT}},
        },
    ),
    RESPONSES.path: (
        ["model", "input"],
        {
            "input": {
                "oneOf": [{**_TEXT, "minLength": 1}, {"type": "array", "minItems": 1, "items": {"type": "object"}}]
            },
            "instructions": {"type": ["string", "null"]},
            "max_output_tokens": _COUNT,
            "tools": _TOOLS,
            "text": {"type": ["object", "null"]},
            "previous_response_id": {"type": ["string", "null"]},
        },
    ),
    MESSAGES.path: (
        ["model", "messages", "max_tokens"],
        {
            "messages": _MESSAGES,
            "system": {"oneOf": [_CONTENT, {"type": "null"}]},
            "max_tokens": _COUNT,
            "tools": _TOOLS,
        },
    ),
    COMPLETIONS.path: (["model", "prompt"], {"prompt": _TEXTS, "max_tokens": _COUNT, "n": {}, "best_of": {}}),
    EMBEDDINGS.path: (["model", "input"], {"input": _TEXTS}),
}
_ERRORS: Mapping[int, str] = {
    400: "The request cannot be served as it stands; `error.code` says why.",
    401: "No key, or none that is valid here.",
    403: "The key may not ask for that, or its budget is spent.",
    404: "There is no such model or path.",
    408: "The request came too slowly.",
    TOO_MANY: "A limit of the key's or of the provider's; retry-after says when to try again.",
    UNAVAILABLE: "No model could answer, or the gateway has too much to do; retry-after says when to try again.",
    GATEWAY_TIMEOUT: "No model answered in time.",
}
_ERROR: Schema = {
    "oneOf": [
        {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["message", "type", "param", "code"],
                    "properties": {"message": _TEXT, "type": _TEXT, "param": {}, "code": {"type": ["string", "null"]}},
                }
            },
        },
        {
            "type": "object",
            "description": "Anthropic's form, under /messages.",
            "required": ["type", "error"],
            "properties": {"type": {"const": "error"}, "error": {"type": "object", "required": ["type", "message"]}},
        },
    ]
}


def document(routes: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The description of these routes, each a method and a path as the app knows it."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path in sorted(routes):
        shown = _PARAMETER.sub(r"{\1}", path)
        paths.setdefault(shown, {})[method.lower()] = _operation(method, path)
    return {
        "openapi": "3.1.0",
        "info": {"title": "edge_gateway", "version": "1"},
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
        },
        "security": [{"key": []}, {}],
    }


def _operation(method: str, path: str) -> dict[str, Any]:
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in _PARAMETER.findall(path)]
    told: dict[str, Any] = {"description": "The answer, in the provider's own bytes for a form of API."}
    told["content"] = {"application/json": {}} | ({"text/event-stream": {}} if method == "POST" else {})
    made: dict[str, Any] = {"parameters": parameters, "responses": {"200": told}}
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    made["responses"] |= {str(status): {"description": words, **error} for status, words in _ERRORS.items()}
    if method == "POST":
        body = _body(path)
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return made


def _body(path: str) -> Schema:
    """What is read of a request to this path; a base URL with a query takes chat completions."""
    longest = max((form for form in _BODIES if path.endswith(form)), key=len, default=CHAT.path)
    required, read = _BODIES[longest]
    return {"type": "object", "required": required, "properties": {**_SHARED, **read}, "additionalProperties": True}
