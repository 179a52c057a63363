"""Puts a reply into the objects of OpenAI's API: completions, chunks, usage, errors."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

_CHARACTERS_PER_TOKEN = 4
_WORDS_PER_CHUNK = 4

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Completion:
    """One finished reply and what its envelope needs."""

    id: str
    created: int
    model: str
    text: str
    prompt_tokens: int
    finish_reason: Literal["stop", "length"] = "stop"

    def pieces(self) -> list[str]:
        """The text in chunks of a few words, every character kept."""
        words = re.findall(r"\s*\S+|\s+\Z", self.text)
        return ["".join(words[at : at + _WORDS_PER_CHUNK]) for at in range(0, len(words), _WORDS_PER_CHUNK)]

    def usage(self) -> JsonObject:
        """Estimated tokens: a script has no tokenizer."""
        output = estimate_tokens(self.text)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": output,
            "total_tokens": self.prompt_tokens + output,
        }

    def whole(self) -> JsonObject:
        """The `chat.completion` object of a reply that is not streamed."""
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return {**self._envelope("chat.completion"), "choices": [choice], "usage": self.usage()}

    def chunks(self, include_usage: bool) -> Iterator[JsonObject]:
        """The `chat.completion.chunk` objects of a streamed reply, in order."""
        # With usage asked for, every chunk has the field and the last one, without choices, fills it.
        usage: JsonObject = {"usage": None} if include_usage else {}
        yield self._chunk({"role": "assistant", "content": ""}) | usage
        for piece in self.pieces():
            yield self._chunk({"content": piece}) | usage
        yield self._chunk({}, self.finish_reason) | usage
        if include_usage:
            yield {**self._envelope("chat.completion.chunk"), "choices": [], "usage": self.usage()}

    def _chunk(self, delta: JsonObject, finish_reason: str | None = None) -> JsonObject:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._envelope("chat.completion.chunk"), "choices": [choice]}

    def _envelope(self, kind: str) -> JsonObject:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


class RequestError(Exception):
    """A request we cannot answer, in OpenAI's terms."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def body(self) -> JsonObject:
        """The error object that OpenAI's clients read."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"  # noqa: PLR2004
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def estimate_tokens(text: str) -> int:
    """Roughly how many tokens a text has, at least one."""
    return max(1, len(text) // _CHARACTERS_PER_TOKEN)


def clip_to_tokens(text: str, limit: int | None) -> tuple[str, Literal["stop", "length"]]:
    """The text within the limit, and why it ends."""
    allowed = len(text) if limit is None else limit * _CHARACTERS_PER_TOKEN
    return (text, "stop") if len(text) <= allowed else (text[:allowed], "length")
