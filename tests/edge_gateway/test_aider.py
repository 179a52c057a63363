"""What a request says about itself: purpose, edit format and previous outcome, from Aider's own wording."""

import json

import pytest

from edge_gateway import aider, chat_request

CODE = "Act as an expert software developer.\nAlways use best practices when coding.\nReply in English.\n"
DIFF = CODE + "\n3. Describe each change with a *SEARCH/REPLACE block* per the examples below.\n"
RULES = (
    "\n\n# *SEARCH/REPLACE block* Rules:\n\nEvery *SEARCH/REPLACE block* must use this format:\n1. The *FULL* file path"
)
FILES = "I have *added these files to the chat* so you can go ahead and edit them.\n\nf.py\n```\nx = 1\n```\n"


def understand(*turns: tuple[str, str], **more: object) -> aider.Understanding:
    messages = [{"role": role, "content": text} for role, text in turns]
    body = {"model": "auto", "messages": messages, "stream": True, **more}
    return aider.understand(chat_request.parse(json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("first", "purpose"),
    [
        (DIFF, "code"),
        ("Formatting re-enabled. \n" + CODE, "code"),
        ("Act as an expert code analyst.\nAnswer questions about the supplied code.", "ask"),
        ("Act as an expert code analyst.\nUnderstand the user's question or request.", "context"),
        ("Act as an expert architect engineer and provide direction to your editor engineer.", "architect"),
        ("Act as an expert software developer who edits source code.\n", "editor"),
        ("Act as an expert software developer and make changes to source code.\n", "editor"),
        ("You generate concise, one-line Git commit messages based on the provided diffs.", "commit"),
        ("*Briefly* summarize this partial conversation about programming.", "summary"),
        ("You are a helpful assistant.", "chat"),
        ("Please act as my expert cook.", "chat"),
    ],
)
def test_the_purpose_is_read_from_the_first_message(first, purpose):
    assert understand(("system", first), ("user", "do it")).purpose == purpose
    assert understand(("user", first), ("assistant", "Ok."), ("user", "do it")).purpose == purpose


def test_a_commit_with_a_prompt_of_the_users_own_is_known_by_its_shape():
    assert understand(("system", "Write a haiku."), ("user", "# Diffs:\n\n--- a\n+++ b")).purpose == "commit"


def test_a_cache_ping_is_a_code_prompt_that_wants_one_token():
    assert understand(("system", DIFF), ("user", "x"), stream=None, max_tokens=1).purpose == "cache_ping"


@pytest.mark.parametrize(
    ("rules", "edit_format"),
    [
        (DIFF, "diff"),
        (
            CODE + "1. The opening fence and code language, eg: ```python\n2. The *FULL* file path\nSEARCH/REPLACE",
            "diff-fenced",
        ),
        (CODE + "write out the changes similar to a unified diff like `diff -U0` would produce.", "udiff"),
        (CODE + "You MUST use this *file listing* format:", "whole"),
        ("Act as an expert software developer who edits source code.\n*SEARCH/REPLACE block*", "editor-diff"),
        ("Act as an expert software developer and make changes to source code.\n*file listing*", "editor-whole"),
        ("Act as an expert architect engineer", ""),
    ],
)
def test_the_edit_format_is_read_from_the_rules(rules, edit_format):
    assert understand(("system", rules), ("user", "do it")).edit_format == edit_format


HISTORY = (("system", DIFF), ("user", "first wish"), ("assistant", "Sure.\n```x```"))
FILES_BLOCK = (("user", FILES), ("assistant", "Ok, any changes I propose will be to those files."))


@pytest.mark.parametrize(
    ("turns", "outcome"),
    [
        ([("user", "first wish" + RULES)], "none"),
        ([*FILES_BLOCK, ("user", "first wish" + RULES)], "none"),
        (
            [
                ("user", "I committed the changes with git hash 1 & commit msg: m"),
                ("assistant", "Ok."),
                ("user", "next"),
            ],
            "applied",
        ),
        ([("user", "I updated the files."), ("assistant", "Ok."), *FILES_BLOCK, ("user", "next")], "applied"),
        (
            [
                ("user", "I didn't see any properly formatted edits in your reply?!"),
                ("assistant", "Ok."),
                *FILES_BLOCK,
                ("user", "x"),
            ],
            "no_edits",
        ),
        ([("user", "# 1 SEARCH/REPLACE block failed to match!\n\n## Search" + RULES)], "edit_failed"),
        ([("user", "# 3 SEARCH/REPLACE blocks failed to match!" + RULES)], "edit_failed"),
        ([("user", "UnifiedDiffNoMatch: hunk failed to apply!\n")], "edit_failed"),
        ([("user", "calc.py\n<<<<<<< SEARCH\n>>>>>>> REPLACE\n^^^ Expected `=======`" + RULES)], "edit_failed"),
        ([("user", "\n\n# Fix any errors below, if possible.\n\nE999" + RULES)], "lint_failed"),
        ([("user", "I ran this command:\n\npytest\n\nAnd got this output:\n\nF" + RULES)], "command_failed"),
        ([("user", "I added these files to the chat: a.py" + RULES)], "none"),
        (
            [
                ("user", "more\n^C KeyboardInterrupt"),
                ("assistant", "I see that you interrupted my previous reply."),
                ("user", "go on" + RULES),
            ],
            "interrupted",
        ),
    ],
)
def test_the_previous_outcome_is_read_from_the_turn_and_the_history(turns, outcome):
    assert understand(*HISTORY, *turns).previous_outcome == outcome


@pytest.mark.parametrize("wish", ["Why does '^^^ Expected' appear?", "Explain: # Fix any errors below, if possible."])
def test_a_user_who_quotes_aider_is_not_taken_for_aider(wish):
    assert understand(*HISTORY, ("user", wish + RULES)).previous_outcome == "none"


def test_the_rules_that_aider_appends_are_not_taken_for_the_turn():
    assert understand(*HISTORY, ("user", "do it" + RULES + "\nI ran this command:\n")).previous_outcome == "none"
