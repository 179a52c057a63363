"""Tells what a request is for and which edit format it asks for, from the prompt that Aider puts first.

Only the first message speaks: a mark in a file, in the history or in the user's own words says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_gateway.aider.understanding import Purpose
from edge_gateway.chat_request import ChatRequest, Turn

# Aider's prompt may stand behind a prefix for one model, but not far behind it.
_HEAD = 8_000
_RULES = 64_000
# A commit's or a summary's: the system text and the user's, perhaps as one, or with Aider's nod between them.
_MOST_BESIDE = 3

_SUMMARY = re.compile(r"^\*?Briefly\*? summari[sz]e this partial conversation", re.IGNORECASE | re.MULTILINE)
_COMMIT = re.compile(
    r"^.{0,80}one-line Git commit messages? based on the provided diffs|^Review .{0,60}about to be committed to a git repo",
    re.IGNORECASE | re.MULTILINE,
)
# In this order; checked against the prompts of all releases from 0.40 to 0.86.2.
_PURPOSES: tuple[tuple[Purpose, re.Pattern[str]], ...] = tuple(
    (purpose, re.compile(pattern, re.IGNORECASE | re.MULTILINE))
    for purpose, pattern in (
        (
            Purpose.ARCHITECT,
            r"^Act as an expert (architect|senior) engineer and provide direction to your (editor|junior) engineer",
        ),
        (Purpose.CONTEXT, r"^Act as an expert code analyst\.?\s{1,8}Understand the user's question or request"),
        (Purpose.ASK, r"^Act as an expert code analyst\.?\s{1,8}Answer questions about the supplied code"),
        (Purpose.ASK, r"^You are an expert on the AI coding tool called Aider\.?\s{1,8}Answer the user's questions"),
        (
            Purpose.EDITOR,
            r"^Act as an expert software (developer|engineer) (who edits|and makes? changes to) source code",
        ),
    )
)
_CODER = re.compile(r"^Act as an expert software (developer|engineer)", re.IGNORECASE | re.MULTILINE)
# Many a system prompt begins like the coder's; only Aider's goes on like this.
_CODERS_RULES = ("Take requests for changes to the supplied code", "use best practices when coding")
_OWN_WORDS = ("*SEARCH/REPLACE block*", "*file listing*")
# Since 0.55 the coder's prompt goes on from this to the user's shell and platform; the editor's copy of it does not.
_DECIDE = "You can create new files without asking!"
_SHELL = ("suggest any shell commands", "the user's platform and environment")
_PINGED = (Purpose.CODE, Purpose.ASK, Purpose.CONTEXT, Purpose.ARCHITECT)
_FUNCTIONS = ("whole-func", "diff-func")
_BEGINS_COMMIT = re.compile(r"You are an expert software engineer.{0,120}\s{1,8}Review the provided ", re.IGNORECASE)
_DIFFS = "# Diffs:\n"
_DIFF = re.compile(r"\n(diff --git |--- |Added |@@ |Binary files )")


def purpose(request: ChatRequest) -> Purpose:
    """What the request is for; a chat when that is not certain."""
    turns = request.turns
    offers_tools = request.tools or "functions" in request.fields
    if len(turns) <= _MOST_BESIDE and not request.stream and not offers_tools:
        beside = _beside(turns)
        if beside is not None:
            return beside
    found = _prompted(turns) if _is_prompt(turns) else None
    # Agents with tools may use Aider's words; Aider has tools for the formats alone that are made of them.
    if found is None or (offers_tools and _format(turns) not in _FUNCTIONS):
        return Purpose.CHAT
    return Purpose.CACHE_PING if found in _PINGED and request.output_tokens == 1 and not request.stream else found


def edit_format(turns: Sequence[Turn], purpose: Purpose) -> str:
    """Aider's name for the format that the reply must keep to; empty when it edits nothing."""
    if purpose not in (Purpose.CODE, Purpose.EDITOR, Purpose.CACHE_PING):
        return ""
    name = _format(turns)
    return f"editor-{name}" if name and purpose is Purpose.EDITOR else name


def _is_prompt(turns: Sequence[Turn]) -> bool:
    if turns[0].role in ("system", "developer"):
        return True
    # For a model that takes no system message Aider says it as the user, and acknowledges it itself or goes on.
    return len(turns) > 1 and turns[0].role == "user" and (turns[1].role == "user" or turns[1].text.strip() == "Ok.")


def _prompted(turns: Sequence[Turn]) -> Purpose | None:
    text = turns[0].text
    head = text[:_HEAD]
    for purpose, mark in _PURPOSES:
        if mark.search(head):
            return purpose
    rules = text[:_RULES]
    if any(word in rules for word in _OWN_WORDS):
        return Purpose.EDITOR if _is_fenced_editor(turns, rules) else Purpose.CODE
    if _CODER.search(head) and (any(rule in rules for rule in _CODERS_RULES) or _rules_format(rules) in _FUNCTIONS):
        return Purpose.CODE
    return None


def _is_fenced_editor(turns: Sequence[Turn], rules: str) -> bool:
    """Whether it is the editor of diff-fenced: it has the coder's own prompt, but is told nothing of the user's shell."""
    return _DECIDE in rules and not any(words in rules for words in _SHELL) and _format(turns) == "diff-fenced"


def _beside(turns: Sequence[Turn]) -> Purpose | None:
    """The purpose of a request beside the conversation: one question, asked at once and answered whole."""
    head, asked = turns[0].text[:_HEAD], turns[-1].text
    if turns[-1].role != "user" or not (len(turns) == 1 or _is_prompt(turns)):
        return None
    # Where the user's text is all there is, only what it begins with can be a prompt.
    if len(turns) == 1:
        if _SUMMARY.match(head):
            return Purpose.SUMMARY
        return Purpose.COMMIT if _BEGINS_COMMIT.match(head) and _DIFFS in asked else None
    if _SUMMARY.search(head):
        return Purpose.SUMMARY
    # --commit-prompt replaces the text, so a commit is known by its shape as well.
    return Purpose.COMMIT if _COMMIT.search(head) or _has_commit_shape(asked) else None


def _has_commit_shape(asked: str) -> bool:
    start = 0 if asked.startswith(_DIFFS) else asked.rfind(f"\n{_DIFFS}")
    return start >= 0 and _DIFF.search(asked, start, start + _HEAD) is not None


def _format(turns: Sequence[Turn]) -> str:
    name = _rules_format(turns[0].text[:_RULES])
    return "diff-fenced" if name == "diff" and _is_fenced(turns) else name


def _rules_format(rules: str) -> str:
    # First patch, because its prompt borrows sentences from diff's.
    if "V4A diff" in rules or "*** Begin Patch" in rules:
        return "patch"
    if "SEARCH/REPLACE" in rules:
        return "diff"
    if "unified diff" in rules or "diff -U0" in rules:
        simple = "# File editing rules:" in rules and "@@ ... @@" not in rules
        return "udiff-simple" if simple else "udiff"
    if "file listing" in rules or "Output a copy of each file" in rules:
        return "whole"
    if "`write_file` function" in rules:
        return "whole-func"
    return "diff-func" if "`replace_lines` function" in rules else ""


def _is_fenced(turns: Sequence[Turn]) -> bool:
    """Whether the fence opens before the file's path: by the rules, else, in releases before 0.81.2, by the examples."""
    rules = turns[0].text[:_RULES]
    fence, path = rules.find(". The opening fence"), rules.find(". The *FULL* file path")
    if 0 <= fence < path:
        return True
    for text in (rules, *(turn.text[:_HEAD] for turn in turns[1:4])):
        before, block, _ = text.partition("\n<<<<<<< SEARCH\n")
        if block:
            return not before[before.rfind("\n") + 1 :].startswith(("`", "<"))
    return False
