"""Every error a client can get, as an OpenAI error object that Aider handles rightly.

What Aider does with a status is measured, not documented: it stops on 400, 401 and 404 and on any `invalid_request_error`,
crashes on 422, retries everything else for a minute, and opens addresses it finds in a message. So refusals that a retry
cannot mend leave here as 400, 401 or 404, failures that it can mend as 429, 503 or 504, and no message holds an address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 400, 401, 403, 404
REQUEST_TIMEOUT, TOO_MANY, HEADER_TOO_LARGE = 408, 429, 431
SERVER_ERROR, UNAVAILABLE, GATEWAY_TIMEOUT = 500, 503, 504
# The client left before it was answered; nobody sees this status but the log.
CLIENT_CLOSED = 499
MESSAGE_LIMIT = 1000
# The code of an error that no model has been asked for.
UNREACHABLE = "upstream_unavailable"
# Anthropic's words for too much input; clients know OpenAI's.
_TOO_LONG = re.compile(r"prompt is too long: (\d{1,12}) tokens > (\d{1,12})")
# What is a code, and no sentence, address or key in its place.
_CODE = re.compile(r"[A-Za-z0-9_.]{1,64}")
# What may be a key, or the part of one that a mask has left: the longest such words, and a piece that is no accident.
_WORD = re.compile(r"[A-Za-z0-9_.+/=~-]{8,}")
_PIECE = 8
_LIKE_A_KEY = re.compile(r"\b(?:(?:sk|pk|gsk|xai|key)[-_][A-Za-z0-9_*-]{6,}|AIza[A-Za-z0-9_*-]{6,})")
_REMOVED = "(key removed)"
# Portkey's words that a guardrail objected: it denied the request, or let it pass and says so.
GUARDRAIL_DENIED, GUARDRAIL_OBJECTED = 446, 246
# The open-source gateway's words, as text or within JSON, when it could not get through to a model's server.
_FETCH_FAILED = b"Message: fetch failed"
_UNREACHED = "no connection to its server came about, or it broke off"
# An upstream's refusal that no retry mends, whatever its status.
FINAL_STATUSES = frozenset({400, 402, 403, 405, 406, 410, 411, 412, 413, 414, 415, 422, 424, 431, 446, 451})


class GatewayError(Exception):
    """An error on its way to the client."""

    def __init__(
        self,
        status: int,
        kind: str,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`kind` is OpenAI's `type`; `headers` are sent with the response."""
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """The OpenAI error object."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return json.dumps({"error": error}).encode()

    def event(self) -> bytes:
        """The same as a server-sent event, for a stream that has begun."""
        return b"data: " + self.body() + b"\n\n"


def invalid_request(message: str, param: str | None = None, code: str = "invalid_request") -> GatewayError:
    """The request cannot be served as it stands."""
    return GatewayError(BAD_REQUEST, "invalid_request_error", code, message, param=param)


def unknown_model(name: str, known: Sequence[str], hint: str = "") -> GatewayError:
    """No profile and no reachable provider goes by this name."""
    text = f"There is no model {quoted(name)} here. Ask for a profile ({', '.join(known)})"
    text += " or for provider/model of a configured provider."
    return GatewayError(NOT_FOUND, "invalid_request_error", "model_not_found", f"{text} {hint}".strip(), param="model")


def no_candidate(message: str) -> GatewayError:
    """No model meets the request's requirements."""
    return invalid_request(message, code="no_candidate")


def context_exceeded(limit: int, needed: int) -> GatewayError:
    """Too much input for every model; worded as OpenAI does, because clients recognise the words."""
    text = f"This model's maximum context length is {limit} tokens. However, your messages resulted in about {needed} tokens."
    return invalid_request(text, param="messages", code="context_length_exceeded")


def forbidden(message: str, code: str, param: str | None = None) -> GatewayError:
    """The key may not do this. Aider tries a 403 again for a minute unless its type says that the request is at fault."""
    return GatewayError(FORBIDDEN, "invalid_request_error", code, message, param=param)


def unrouted_form(path: str, name: str) -> GatewayError:
    """A profile was asked for where there are no messages to choose a model by."""
    text = f"POST {path} chooses no model: ask for provider/model in place of {quoted(name)}."
    return GatewayError(NOT_FOUND, "invalid_request_error", "model_not_found", text, param="model")


def unspoken_form(path: str, name: str, speakers: Sequence[str]) -> GatewayError:
    """No provider that can be reached, or not the one asked for, takes requests of this form."""
    who = (
        f"those that can be reached are {', '.join(speakers)}"
        if speakers
        else "none is set up here (set the key of one)"
    )
    text = f"{quoted(name)} cannot be asked at POST {path}, which takes a provider that speaks this form; {who}. "
    text += "POST /v1/chat/completions takes all."
    return invalid_request(text, "model", "form_not_supported")


def stored_answer(field: str) -> GatewayError:
    """A profile was asked to go on from an answer that only the provider that gave it has."""
    text = f"{field} goes on from an answer that one provider keeps, and a profile may choose another: "
    text += "ask for provider/model, or send the history in input."
    return invalid_request(text, field, "stored_answer")


def all_resting(seconds: float) -> GatewayError:
    """Every model that could answer has just failed several times."""
    wait = max(1, round(seconds))
    text = (
        f"All models that could answer have failed repeatedly just now and are left alone. Try again in {wait} seconds."
    )
    headers = {"retry-after": str(wait)}
    return GatewayError(UNAVAILABLE, "service_unavailable", "models_resting", text, headers=headers)


def upstream_unreachable() -> GatewayError:
    """Portkey itself cannot be reached."""
    text = "The model gateway (Portkey) cannot be reached. Try again; if it stays so, check that it runs (PORTKEY_BASE_URL)."
    return GatewayError(UNAVAILABLE, "service_unavailable", UNREACHABLE, text, headers={"retry-after": "1"})


def upstream_timeout(seconds: float) -> GatewayError:
    """No model answered in time."""
    text = f"No model began its answer within {seconds:.0f} seconds. Try again."
    return GatewayError(GATEWAY_TIMEOUT, "timeout", "upstream_timeout", text)


def bad_upstream_response(what: str) -> GatewayError:
    """A model's server answered with something that is no answer."""
    text = f"The model's server answered with {what} instead of a completion. Try again."
    return GatewayError(UNAVAILABLE, "service_unavailable", "bad_upstream_response", text, headers={"retry-after": "1"})


def bad_http(what: str) -> GatewayError:
    """What came is no HTTP request that can be served."""
    return invalid_request(f"This is no HTTP request that can be served: {what}.", code="bad_http")


def header_too_large(limit: int) -> GatewayError:
    """A request line and headers beyond what is read of them."""
    text = f"The request's headers are larger than {limit} bytes; send fewer or shorter ones."
    return GatewayError(HEADER_TOO_LARGE, "invalid_request_error", "header_too_large", text)


def request_too_slow() -> GatewayError:
    """The rest of a request did not come in its time."""
    return GatewayError(
        REQUEST_TIMEOUT, "timeout", "request_too_slow", "The request did not come in time. Send it again."
    )


def too_many_connections() -> GatewayError:
    """More clients are connected than are let in at once."""
    return _busy(
        "too_many_connections", "Too many connections are open here. Try again, or use one for several requests."
    )


def overloaded() -> GatewayError:
    """More requests came than can be served in time, so this one was not begun."""
    return _busy("overloaded", "The gateway has more requests than it can serve now. Try again.")


def server_shutdown() -> GatewayError:
    """The process ends, and the answer has not begun."""
    return _busy("server_shutdown", "The gateway is being restarted. Try again.")


def stream_shutdown(model: str) -> GatewayError:
    """The process ends, and with it a stream: what came is not the whole answer."""
    text = f"The gateway is being restarted, and the answer of {model} was not complete. Do not use it; ask again."
    return GatewayError(UNAVAILABLE, "upstream_error", "server_shutdown", text)


def internal() -> GatewayError:
    """A fault of ours."""
    text = "The gateway made a mistake of its own. Try again; if it stays so, its log has the details."
    return GatewayError(SERVER_ERROR, "server_error", "internal_error", text)


def _busy(code: str, text: str) -> GatewayError:
    return GatewayError(UNAVAILABLE, "service_unavailable", code, text, headers={"retry-after": "1"})


def stream_truncated(model: str) -> GatewayError:
    """A stream ended before the model had finished: what came is not the whole answer."""
    text = f"The answer of {model} broke off before it was complete. Do not use it; ask again."
    return GatewayError(UNAVAILABLE, "upstream_error", "stream_truncated", text)


def stream_stalled(model: str, seconds: float) -> GatewayError:
    """A stream fell silent: what came is not the whole answer."""
    text = f"The answer of {model} stopped for {seconds:.0f} seconds before it was complete. Do not use it; ask again."
    return GatewayError(GATEWAY_TIMEOUT, "upstream_error", "stream_idle_timeout", text)


def stream_overdue(model: str) -> GatewayError:
    """A stream took longer than a request may take in all: what came is not the whole answer."""
    text = f"The answer of {model} was not complete in the time that a request may take in all. Do not use it; ask for less."
    return GatewayError(GATEWAY_TIMEOUT, "upstream_error", "stream_total_timeout", text)


def from_upstream(
    status: int, raw: bytes, model: str, retry_after: str | None, secrets: Sequence[str] = ()
) -> GatewayError:
    """The client's error for an upstream's: same meaning, a status that Aider handles rightly, no address, no key.

    `secrets`: the keys that were sent along, which the upstream may repeat.
    """
    message, code = _upstream_message(raw, secrets)
    if status != TOO_MANY:
        # Clients take these two words for a reason to try again, wherever they stand.
        message = re.sub(r"rate limit", "rate-limit", message, flags=re.IGNORECASE)
    told = f"{model}: {message}"
    too_long = _TOO_LONG.search(message)
    if too_long:
        return context_exceeded(limit=int(too_long.group(2)), needed=int(too_long.group(1)))
    if status == UNAUTHORIZED:
        text = f"{told} (the provider refused this gateway's key; check the provider's key variable)"
        return GatewayError(UNAUTHORIZED, "authentication_error", code or "invalid_api_key", text)
    if status == NOT_FOUND:
        return GatewayError(NOT_FOUND, "invalid_request_error", code or "model_not_found", told, param="model")
    if status == GUARDRAIL_DENIED:
        text = "A guardrail of this gateway objects to the request, so no model was asked. Change the request."
        return invalid_request(text, code="guardrail_denied")
    if "maximum context length" in message:
        # Clients look for OpenAI's words at the start of the message.
        return invalid_request(message, param="messages", code=code or "context_length_exceeded")
    if status in FINAL_STATUSES:
        return invalid_request(told, code=code or "upstream_refused")
    headers = {"retry-after": retry_after} if retry_after else {}
    if status == TOO_MANY:
        return GatewayError(TOO_MANY, "rate_limit_error", code or "rate_limit_exceeded", told, headers=headers)
    if status in (REQUEST_TIMEOUT, GATEWAY_TIMEOUT):
        text = f"{model} and the alternatives did not answer in time. Try again."
        return GatewayError(GATEWAY_TIMEOUT, "timeout", "upstream_timeout", text, headers=headers)
    headers = headers or {"retry-after": "1"}
    text = f"No model could answer; the last one tried said: {told}"
    return GatewayError(UNAVAILABLE, "service_unavailable", code or "upstream_unavailable", text, headers=headers)


def is_the_requests_fault(raw: bytes) -> bool:
    """Whether an error that a provider tells within a stream says that no other try will mend it."""
    return b'"invalid_request_error"' in raw or b'"context_length_exceeded"' in raw


def quoted(name: str) -> str:
    """A name that the client gave, as a message may repeat it."""
    return repr(scrub(name)[:100])


def scrub(text: str, secrets: Sequence[str] = ()) -> str:
    """The text without addresses, without pieces of `secrets` or what looks like a key, on one line and clipped."""
    text = text[: 4 * MESSAGE_LIMIT]
    text = _WORD.sub(lambda word: _REMOVED if _shares(word.group(), secrets) else word.group(), text)
    text = re.sub(r"[a-z0-9+.-]{0,20}://\S*|www\.\S+", "(address removed)", text, flags=re.IGNORECASE)
    text = _LIKE_A_KEY.sub(_REMOVED, text)
    return " ".join(text.split())[:MESSAGE_LIMIT]


def _shares(word: str, secrets: Sequence[str]) -> bool:
    """Whether a word holds a piece of a secret."""
    return any(word[start : start + _PIECE] in secret for secret in secrets for start in range(len(word) - _PIECE + 1))


def _upstream_message(raw: bytes, secrets: Sequence[str]) -> tuple[str, str]:
    """The message and code of an upstream's error body, whatever its form."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return _UNREACHED if _FETCH_FAILED in raw else "its server gave an error page", ""
    error = document.get("error", document) if isinstance(document, dict) else document
    if isinstance(error, dict):
        unsaid = "it gave an error without a message"
        message = _UNREACHED if _FETCH_FAILED in raw else error.get("message") or error.get("detail") or unsaid
        code = error.get("code")
        known = isinstance(code, str) and _CODE.fullmatch(code) and not _shares(code, secrets)
        return scrub(str(message), secrets), str(code) if known else ""
    return scrub(str(error), secrets) or "it gave an empty error", ""
