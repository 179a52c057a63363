"""Asks the edge with LiteLLM, in Aider's environment, and prints what it got: `python litellm_client.py URL`."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import litellm

URL = sys.argv[1]
MESSAGES = [{"role": "user", "content": "hi"}]
HERE = {"api_base": f"{URL}/v1", "api_key": "k", "max_retries": 0, "num_retries": 0}
PARAMETERS = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
TOOLS = [{"type": "function", "function": {"name": "read", "parameters": PARAMETERS}}]
PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
IMAGE = [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, PICTURE]}]


def chat(model: str, **options: Any) -> Any:
    """A whole answer."""
    return litellm.completion(model=model, **{"messages": MESSAGES, **HERE, **options}).model_dump()


def stream(model: str, **options: Any) -> Any:
    """An answer as LiteLLM gathers it from a stream."""
    options = {"stream_options": {"include_usage": True}, **HERE, **options}
    chunks = list(litellm.completion(model=model, messages=MESSAGES, stream=True, **options))
    return litellm.stream_chunk_builder(chunks, messages=MESSAGES).model_dump()


async def later(model: str) -> Any:
    """The same two ways, asynchronously."""
    whole = await litellm.acompletion(model=model, messages=MESSAGES, **HERE)
    chunks = await litellm.acompletion(model=model, messages=MESSAGES, stream=True, **HERE)
    said = "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices])
    return {"whole": whole.choices[0].message.content, "streamed": said}


def broken(model: str) -> Any:
    """What came of a stream, and the error that ends it, if one does."""
    said = []
    try:
        for chunk in litellm.completion(model=model, messages=MESSAGES, stream=True, **HERE):
            said.append(chunk.choices[0].delta.content or "")
    except Exception as error:
        return {"said": "".join(said), **told(error)}
    return {"said": "".join(said)}


def responses(model: str) -> Any:
    """A response, whole and by its events."""
    asked = {"model": model, "input": "hi", "api_base": HERE["api_base"], "api_key": "k"}
    whole = litellm.responses(**asked)
    events = list(litellm.responses(**asked, stream=True))
    return {"whole": whole.model_dump(), "events": [event.type for event in events]}


def told(error: Exception) -> dict[str, Any]:
    """An error as a caller tells it from others: by its class, its status and what it says."""
    return {"kind": type(error).__name__, "status": getattr(error, "status_code", None), "message": str(error)}


ANTHROPIC = {"api_base": URL}
CASES: dict[str, Callable[[], Any]] = {
    "chat": lambda: chat("openai/auto"),
    "stream": lambda: stream("openai/auto"),
    "claude": lambda: chat("openai/claude"),
    "claude_stream": lambda: stream("openai/claude"),
    "gemini": lambda: chat("openai/gemini"),
    "gemini_stream": lambda: stream("openai/gemini"),
    "later": lambda: asyncio.run(later("openai/auto")),
    "tools": lambda: chat("openai/fake/tools", tools=TOOLS),
    "tools_stream": lambda: stream("openai/fake/tools", tools=TOOLS),
    "image": lambda: chat("openai/fake/images", messages=IMAGE),
    "schema": lambda: chat("openai/fake/schema", response_format=SCHEMA),
    "several": lambda: chat("openai/fake/plain", n=2, logprobs=True),
    "thoughts": lambda: chat("openai/fake/thoughts"),
    "thoughts_stream": lambda: stream("openai/fake/thoughts"),
    "responses": lambda: responses("openai/fake/responding"),
    "completions": lambda: litellm.text_completion(
        model="text-completion-openai/fake/instruct", prompt="say hello", **HERE
    ).model_dump(),
    "embeddings": lambda: litellm.embedding(
        model="openai/fake/text-embedding-3-small", input=["a", "b"], **HERE
    ).model_dump(),
    "messages": lambda: chat("anthropic/claude", **ANTHROPIC),
    "messages_stream": lambda: stream("anthropic/claude", **ANTHROPIC),
    "unknown": lambda: chat("openai/nope"),
    "refused": lambda: chat("openai/fake/refused"),
    "limited": lambda: chat("openai/fake/limited"),
    "dead": lambda: chat("openai/fake/dead"),
    "broken": lambda: broken("openai/fake/broken"),
}


def main() -> None:
    """All cases in one process, since LiteLLM takes seconds to import."""
    got = {}
    for name, case in CASES.items():
        try:
            got[name] = case()
        except Exception as error:
            got[name] = told(error)
    print(json.dumps(got, default=str))  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    main()
