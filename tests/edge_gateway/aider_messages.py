"""Aider's messages, shortened, for the tests that read them; the wording is that of its releases."""

import json

from edge_gateway import aider, chat_request

CODE = "Act as an expert software developer.\nAlways use best practices when coding.\nReply in English.\n"
DIFF = CODE + "\n3. Describe each change with a *SEARCH/REPLACE block* per the examples below.\n"
RULES = (
    "\n\n# *SEARCH/REPLACE block* Rules:\n\nEvery *SEARCH/REPLACE block* must use this format:\n1. The *FULL* file path"
)
FILES = "I have *added these files to the chat* so you can go ahead and edit them.\n\nf.py\n```\nx = 1\n```\n"
FILES_BLOCK = (("user", FILES), ("assistant", "Ok, any changes I propose will be to those files."))
COMMITTED = (("user", "I committed the changes with git hash 1 & commit msg: m"), ("assistant", "Ok."))
NO_EDITS = (("user", "I didn't see any properly formatted edits in your reply?!"), ("assistant", "Ok."))
UNMATCHED = "# 1 SEARCH/REPLACE block failed to match!\n\n## SearchReplaceNoExactMatch: in f.py\n"
LINT = "\n# Fix any errors below, if possible.\n\n## Running: flake8\n\nf.py:1:1: E999\n"


def ran(output: str, command: str = "pytest") -> str:
    return f"I ran this command:\n\n{command}\n\nAnd got this output:\n\n{output}\n"


def added_run(output: str) -> tuple[tuple[str, str], ...]:
    return (("user", ran(output)), ("assistant", "Ok."))


def request(*turns: tuple[str, str], **more: object) -> bytes:
    messages = [{"role": role, "content": text} for role, text in turns]
    return json.dumps({"model": "auto", "messages": messages, "stream": True, **more}).encode()


def understand(*turns: tuple[str, str], **more: object) -> aider.Understanding:
    return aider.understand(chat_request.parse(request(*turns, **more)))
