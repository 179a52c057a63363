"""Starts the demo models as a newcomer would and talks to them over HTTP in the way Aider does."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]

# What the rules of each format look like, in few words of our own.
RULES = {
    "diff": "# *SEARCH/REPLACE block* Rules:\n1. The path\n2. The opening fence, eg: {fence}python",
    "diff-fenced": "# *SEARCH/REPLACE block* Rules:\n1. The opening fence, eg: {fence}python",
    "udiff": "# File editing rules:\nReturn edits like a unified diff.",
    "whole": "Use this *file listing* format:\n- Second line: opening {fence}\n\nNever elide.",
}


@dataclass
class DemoClient:
    """A client of the running demo models."""

    http: httpx.Client

    def post(self, body: object) -> httpx.Response:
        """Send a chat completion and return whatever comes back."""
        return self.http.post("/v1/chat/completions", json=body)

    def ask(self, messages: list[dict[str, Any]], model: str = "demo/large") -> str:
        """The text of a reply that is not streamed."""
        response = self.post({"model": model, "messages": messages})
        assert response.status_code == 200, response.text
        content = response.json()["choices"][0]["message"]["content"]
        assert isinstance(content, str)
        return content

    def edit(self, said: str, files: Mapping[str, str], **options: Any) -> str:
        """The reply to an edit request of Aider; see `AiderRequest` for the options."""
        model = options.pop("model", "demo/large")
        return self.ask(AiderRequest(said, files, **options).messages(), model)

    def stream(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The chunks of a streamed reply, after checking that it ends as it must."""
        response = self.post({**body, "stream": True})
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [each.removeprefix("data: ") for each in response.text.split("\n\n") if each]
        assert events.pop() == "[DONE]"
        return [json.loads(event) for event in events]


@dataclass
class AiderRequest:
    """What the user said and what stands around it."""

    said: str
    files: Mapping[str, str]
    edit_format: str = "diff"
    fence: str = "```"
    history: tuple[str, ...] = ()
    role: str = "Act as an expert software developer."

    def messages(self) -> list[dict[str, Any]]:
        """Messages in Aider's order: rules, history, files, and the user's text with the rules again."""
        rules = RULES[self.edit_format].format(fence=self.fence)
        messages = [{"role": "system", "content": f"{self.role}\n\n{rules}\n\nReply in English.\n"}]
        for turn in (*self.history, *self._shown_files()):
            messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": "Ok."}]
        return [*messages, {"role": "user", "content": f"{self.said}\n\n{rules}\n\nReply in English.\n"}]

    def _shown_files(self) -> list[str]:
        close = self.fence.replace("<", "</")
        shown = [f"\n{path}\n{self.fence}\n{text}{close}\n" for path, text in self.files.items()]
        preface = "I have *added these files to the chat* so you can go ahead and edit them.\n"
        return ["".join([preface, *shown])] if shown else []


@pytest.fixture(scope="session")
def demo() -> Iterator[DemoClient]:
    """A real `python -m demo` on a free loopback port."""
    environment = {**os.environ, "DEMO_LISTEN": "127.0.0.1:0", "DEMO_PACE": "0"}
    command = [sys.executable, "-m", "demo"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr
            log = iter(server.stderr.readline, "")
            found = next(match for line in log if (match := re.search(r"http://[\d.]+:\d+", line)))
            with httpx.Client(base_url=found.group(), timeout=60) as http:
                yield DemoClient(http)
        finally:
            server.terminate()
