"""Requests as an Aider process sends them, with the history it keeps, for tests that need no Aider."""

import asyncio
import uuid
from dataclasses import dataclass, field

import aiohttp
import grpc
from google.protobuf.json_format import MessageToDict

from protos.router.v1 import router_pb2 as pb
from tests.conftest import System
from tests.fakes import provider as fake
from tests.processes import wait_until
from tests.router_service.calls import call

RULES = (
    "# *SEARCH/REPLACE block* Rules:\n\nEvery *SEARCH/REPLACE block* must use this format:\n1. The *FULL* file path\n"
)
PROMPTS = {
    "code": "Act as an expert software developer.\nAlways use best practices when coding.\n\n" + RULES,
    "ask": "Act as an expert code analyst.\nAnswer questions about the supplied code.\n",
    "architect": "Act as an expert architect engineer and provide direction to your editor engineer.\n",
    "editor": "Act as an expert software developer who edits source code.\n\n" + RULES,
    "commit": "You are an expert software engineer that generates concise, one-line Git commit messages.\n",
    "summary": "*Briefly* summarize this partial conversation about programming.\n",
}
MODELS = {"commit": "auto-weak", "summary": "auto-weak", "editor": "auto-editor"}
NO_EDITS = "I didn't see any properly formatted edits in your reply?!"
INTERRUPTED = "I see that you interrupted my previous reply."
Messages = list[tuple[str, str]]


def edit(before: str, after: str, name: str = "calc.py") -> str:
    """A reply with one edit, ended as models end theirs."""
    block = f"<<<<<<< SEARCH\n{before}\n=======\n{after}\n>>>>>>> REPLACE"
    return f"Here is the change.\n\n{name}\n```python\n{block}\n```\n"


@dataclass
class Answer:
    """What came back: the response's headers, and the decision as the router explains it."""

    status: int
    headers: dict[str, str]
    system: System

    @property
    def conversation(self) -> str:
        return self.headers["x-router-conversation-id"]

    @property
    def outcome(self) -> str:
        return self.headers["x-router-previous-outcome"]

    @property
    def decision(self) -> str:
        return self.headers["x-router-decision-id"]

    def explained(self) -> dict:
        """Once the router knows of it: what the edge decides under a lease it is told a moment later."""
        request = pb.ExplainDecisionRequest(decision_id=self.decision)
        found: list[dict] = []

        def known() -> bool:
            try:
                found.append(MessageToDict(call(self.system.router_port, "ExplainDecision", request)))
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
            return bool(found)

        wait_until(known, f"decision {self.decision} known to the router")
        return found[0]

    @property
    def linked(self) -> str:
        return self.explained()["metadata"]["linked"]

    @property
    def previous(self) -> dict:
        return self.explained().get("previousReply", {})

    def reports(self) -> list[str]:
        """The outcomes reported so far, in the order in which they came."""
        found = self.explained().get("outcomes", [])
        return [report["outcome"].removeprefix("OUTCOME_").lower() for report in found]

    async def reported(self, outcome: str) -> dict:
        """Wait until this outcome has been reported; the report."""
        await asyncio.to_thread(wait_until, lambda: outcome in self.reports(), f"report of {outcome}")
        name = f"OUTCOME_{outcome.upper()}"
        return next(report for report in self.explained()["outcomes"] if report["outcome"] == name)


@dataclass
class AiderProcess:
    """One Aider with its key, the files in its chat, and what it keeps of the conversation."""

    http: aiohttp.ClientSession
    system: System
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    files: dict[str, str] = field(default_factory=lambda: {"calc.py": "def add(a, b):\n    return a + b\n"})
    headers: dict[str, str] = field(default_factory=dict)
    base: str = "/v1"
    done: Messages = field(default_factory=list)
    current: Messages = field(default_factory=list)

    async def send(self, messages: Messages, reply: str | fake.Behaviour, model: str, **body: object) -> Answer:
        """Send these messages, with the provider giving this reply."""
        behave = fake.saying(reply) if isinstance(reply, str) else reply
        # Hosted Portkey is sent the name that was asked for, and the model in its config.
        self.system.provider.script |= dict.fromkeys(("first", "second", model), behave)
        turns = [{"role": role, "content": text} for role, text in messages]
        key = {"authorization": f"Bearer {self.key}"} if self.key else {}
        async with self.http.post(
            f"{self.system.url}{self.base}/chat/completions",
            json={"model": model, "messages": turns, **body},
            headers={**key, **self.headers},
        ) as answer:
            await answer.read()
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, self.system)

    def request(self, text: str, purpose: str = "code") -> Messages:
        """The messages with which this text is asked now."""
        shown: Messages = []
        if self.files:
            listed = "".join(f"\n{name}\n```\n{contents}```\n" for name, contents in self.files.items())
            words = "I have *added these files to the chat* so you can go ahead and edit them.\n"
            shown = [("user", words + listed), ("assistant", "Ok, any changes I propose will be to those files.")]
        reminder = f"\n\n{RULES}" if purpose in ("code", "editor") else ""
        history = [] if purpose == "editor" else self.done
        current = [] if purpose == "editor" else self.current
        return [("system", PROMPTS[purpose]), *history, *shown, *current, ("user", text + reminder)]

    async def ask(self, text: str, reply: str | fake.Behaviour, purpose: str = "code", **body: object) -> Answer:
        """Ask for something and keep what was said, as Aider does."""
        body = {"stream": True, "temperature": 0, **body}
        answer = await self.send(self.request(text, purpose), reply, MODELS.get(purpose, "auto"), **body)
        if purpose != "editor":
            self.current.append(("user", text))
            if isinstance(reply, str) and reply:
                self.current.append(("assistant", reply.strip()))
        return answer

    async def commit(self, name: str = "calc.py", asked: Messages | None = None) -> Answer:
        """The request for a commit message about what was said since the last one; nothing is kept of it."""
        said = self.current if asked is None else asked
        context = "".join(f"\n{role.upper()}: {text}\n" for role, text in said)
        diff = f"# Diffs:\ndiff --git a/{name} b/{name}\nindex 1..2 100644\n--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-a\n+b"
        messages = [("system", PROMPTS["commit"]), ("user", f"{context}\n{diff}" if context else diff)]
        return await self.send(messages, "feat: change", MODELS["commit"], temperature=0)

    def moved(self, words: str = "I committed the changes with git hash 1234567 & commit msg: feat: change") -> None:
        """What Aider does with the turn when its edits have been applied."""
        self.done += [*self.current, ("user", words), ("assistant", "Ok.")]
        self.current = []

    async def change(self, text: str, after: str) -> tuple[Answer, Answer]:
        """A whole turn whose edit of calc.py is applied and committed."""
        answer = await self.ask(text, edit(self.files["calc.py"].strip(), after.strip()))
        self.files = {**self.files, "calc.py": after}
        committed = await self.commit()
        self.moved()
        return answer, committed
