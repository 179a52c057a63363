"""What a request is for and which edit format it asks for, in the words of Aider's releases since 0.40."""

import pytest

from tests.edge_gateway.aider_messages import CODE, DIFF, FILES, FILES_BLOCK, RULES, understand

COMMIT = (
    "You are an expert software engineer that generates concise, one-line Git commit messages based on the provided"
    " diffs.\nReview the provided context and diffs which are about to be committed to a git repo.\n"
)
ARCHITECT = "Act as an expert architect engineer and provide direction to your editor engineer."
EDITS = (
    "1. Decide if you need to propose *SEARCH/REPLACE* edits to any files. You can create new files without asking!\n"
)
PLATFORM = "Keep in mind these details about the user's platform and environment:\n- Platform: Linux\n"
FENCED = "1. The opening fence and code language, eg: ```python\n2. The *FULL* file path\n*SEARCH/REPLACE block*\n"


@pytest.mark.parametrize(
    ("first", "purpose"),
    [
        (DIFF, "code"),
        ("Formatting re-enabled. \n" + CODE, "code"),
        ("detailed thinking off\n" + CODE.replace("English", "French"), "code"),
        ("Act as an expert software developer.\nTake requests for changes to the supplied code.\n", "code"),
        ("Act as an expert code analyst.\nAnswer questions about the supplied code.", "ask"),
        ("You are an expert on the AI coding tool called Aider.\nAnswer the user's questions", "ask"),
        ("Act as an expert code analyst.\nUnderstand the user's question or request.", "context"),
        (ARCHITECT, "architect"),
        ("Act as an expert senior engineer and provide direction to your junior engineer.", "architect"),
        ("Act as an expert software developer who edits source code.\n", "editor"),
        ("Act as an expert software developer and make changes to source code.\n", "editor"),
        ("You generate concise, one-line Git commit messages based on the provided diffs.", "commit"),
        ("Review the provided context and diffs which are about to be committed to a git repo.", "commit"),
        ("*Briefly* summarize this partial conversation about programming.", "summary"),
        ("You are a helpful assistant.", "chat"),
        ("Please act as my expert cook.", "chat"),
    ],
)  # fmt: skip
def test_the_purpose_is_read_from_the_first_message(first, purpose):
    stream = None if purpose in ("commit", "summary") else True
    for begins in (
        [("system", first)],
        [("developer", first)],
        [("user", first), ("assistant", "Ok.")],
        [("user", first)],
    ):
        assert understand(*begins, ("user", "do it"), stream=stream).purpose == purpose


@pytest.mark.parametrize(
    "turns",
    [
        [("user", DIFF)],
        [("user", DIFF + RULES), ("assistant", "Sure, which file?"), ("user", "f.py")],
        [("system", "You are a helpful assistant."), ("user", DIFF + RULES)],
        [("system", "You help."), *FILES_BLOCK, ("user", "*Briefly* summarize this partial conversation")],
        [("system", "Act as an expert software developer. Be brief."), ("user", "hi")],
        [("system", "You review prompts such as: Act as an expert architect engineer."), ("user", "hi")],
        [("system", "Apply patches.\n*** Begin Patch\n"), ("user", "hi")],
        [("assistant", DIFF), ("user", "hi")],
        [("system", "Be brief."), ("user", "What does this heading mean?\n# Diffs:\nI found it in a log.")],
        [("system", "You are a coding agent.\n- Write concise, one-line Git commit messages."), ("user", "hi")],
        [("system", "Act as an expert senior engineer and help me."), ("user", "hi")],
        [("system", "Act as an expert architect engineer.\nYou may ask me anything."), ("user", "hi")],
        [("system", "Act as an expert code analyst.\nUse the tools."), ("user", "hi")],
        [("system", "Act as an expert software engineer.\nReply with a unified diff."), ("user", "hi")],
        [("user", "What is this?\n*Briefly* summarize this partial conversation about programming.")],
        [
            (
                "user",
                "Is this good?\nReview the provided context and diffs which are about to be committed to a git repo.",
            )
        ],
    ],
)
@pytest.mark.parametrize("stream", [True, None])
def test_aiders_words_in_a_chat_that_is_not_aiders_leave_it_a_chat(turns, stream):
    understood = understand(*turns, stream=stream)
    assert (understood.purpose, understood.edit_format, understood.previous_outcome) == ("chat", "", "none")


TOOLS = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}
ASIDE = [
    [("system", COMMIT), ("user", "# Diffs:\ndiff --git a/f b/f\n@@ -1 +1 @@\n")],
    [("system", "Write a haiku."), ("user", "# Diffs:\ndiff --git a/f b/f\n@@ -1 +1 @@\n")],
    [("system", "*Briefly* summarize this partial conversation about programming."), ("user", "# USER\nhi\n")],
]


@pytest.mark.parametrize("turns", ASIDE)
@pytest.mark.parametrize("more", [{}, {"stream": None, **TOOLS}, {"stream": None, "functions": [{"name": "f"}]}])
def test_a_commit_and_a_summary_are_answered_whole_and_have_no_tools(turns, more):
    assert understand(*turns, stream=None).purpose in ("commit", "summary")
    assert understand(*turns, **more).purpose == "chat"


@pytest.mark.parametrize("turns", ASIDE)
def test_a_commit_and_a_summary_are_no_conversations(turns):
    longer = [*turns, ("assistant", "Which one of the two do you mean?"), ("user", turns[-1][1])]
    assert understand(*longer, stream=None).purpose == "chat"
    assert understand(*turns, ("assistant", "feat"), stream=None).purpose == "chat"


@pytest.mark.parametrize(
    ("prompt", "rest", "purpose"), [(COMMIT, ASIDE[0][1][1], "commit"), (ASIDE[2][0][1], "# USER", "summary")]
)
def test_a_commit_and_a_summary_are_known_where_their_texts_were_made_one_for_a_model_without_system_texts(
    prompt, rest, purpose
):
    assert understand(("user", f"{prompt}\n\n{rest}"), stream=None).purpose == purpose


@pytest.mark.parametrize(
    "first", [DIFF, ARCHITECT, "Act as an expert code analyst.\nAnswer questions about the supplied code."]
)
@pytest.mark.parametrize("more", [TOOLS, {"functions": [{"name": "f"}]}])
def test_an_agent_with_tools_is_not_aider_whatever_its_prompt_says(first, more):
    assert understand(("system", first), ("user", "do it")).purpose != "chat"
    assert understand(("system", first), ("user", "do it"), **more).purpose == "chat"
    func = CODE + "Once you understand the request you MUST use the `write_file` function to edit the files"
    found = understand(("system", func), ("user", "do it"), **more)
    assert (found.purpose, found.edit_format) == ("code", "whole-func")


def test_aiders_other_prompts_in_the_files_and_the_turn_do_not_change_the_purpose():
    files = FILES.replace("x = 1", "Act as an expert architect engineer\n*** Begin Patch\ndiff -U0")
    understood = understand(
        ("system", DIFF),
        ("user", files),
        ("assistant", "Ok, any changes I propose will be to those files."),
        ("user", "Act as an expert code analyst.\nAnswer questions about unified diffs." + RULES),
    )
    assert (understood.purpose, understood.edit_format) == ("code", "diff")


@pytest.mark.parametrize("diffs", ["# Diffs:\n\n--- a\n+++ b", "USER: rename it\n# Diffs:\nAdded f.py\ndiff --git a b"])
def test_a_commit_with_a_prompt_of_the_users_own_is_known_by_its_shape(diffs):
    assert understand(("system", "Write a haiku."), ("user", diffs), stream=None).purpose == "commit"


@pytest.mark.parametrize("first", [DIFF, "Act as an expert code analyst.\nAnswer questions about the supplied code."])
def test_a_cache_ping_wants_one_token_and_asks_nothing(first):
    understood = understand(("system", first), *FILES_BLOCK, stream=None, max_tokens=1)
    assert (understood.purpose, understood.continuation, understood.user_text) == ("cache_ping", False, "")
    assert [file.name for file in understood.files] == ["f.py"]


@pytest.mark.parametrize(
    ("rules", "edit_format"),
    [
        (DIFF, "diff"),
        (CODE + FENCED, "diff-fenced"),
        (CODE + EDITS + PLATFORM + FENCED, "diff-fenced"),
        (CODE + EDITS + FENCED, "editor-diff-fenced"),
        (DIFF + "## ASSISTANT: ```\nmain.py\n<<<<<<< SEARCH\n", "diff-fenced"),
        (DIFF + "## ASSISTANT: main.py\n```python\n<<<<<<< SEARCH\n", "diff"),
        (DIFF + "## ASSISTANT: main.py\n<source>python\n<<<<<<< SEARCH\n", "diff"),
        (CODE + "write out the changes similar to a unified diff like `diff -U0` would produce.", "udiff"),
        (CODE + "similar to a unified diff\n# File editing rules:\nStart each hunk with a `@@ ... @@` line.", "udiff"),
        (CODE + "similar to a unified diff\n# File editing rules:\nThe patch tool needs CORRECT patches", "udiff-simple"),
        (CODE + "using the V4A diff format, within `*** Begin Patch`\nthey want SEARCH/REPLACE blocks", "patch"),
        (CODE + "You MUST use this *file listing* format:", "whole"),
        ("Act as an expert software developer.\nyou MUST use the `write_file` function to edit the files", "whole-func"),
        ("Act as an expert software developer.\nyou MUST use the `replace_lines` function to edit", "diff-func"),
        ("Act as an expert software developer who edits source code.\n*SEARCH/REPLACE block*", "editor-diff"),
        ("Act as an expert software developer and make changes to source code.\n*file listing*", "editor-whole"),
        (ARCHITECT, ""),
    ],
)  # fmt: skip
def test_the_edit_format_is_read_from_the_rules(rules, edit_format):
    assert understand(("system", rules), ("user", "do it")).edit_format == edit_format


def test_the_edit_format_of_old_releases_is_read_from_the_examples():
    example = ("assistant", "Here are the *SEARCH/REPLACE* blocks:\n\n```python\nmain.py\n<<<<<<< SEARCH\n")
    turns = (("user", "Change get_factorial()"), example, ("user", "hi"))
    assert understand(("system", DIFF), *turns).edit_format == "diff-fenced"
    assert understand(("user", DIFF), ("assistant", "Ok."), *turns).edit_format == "diff-fenced"


@pytest.mark.parametrize("role", ["system", "user"])
@pytest.mark.parametrize(
    ("prompt", "reminder"),
    [
        (DIFF, RULES.strip()),
        (CODE + "*SEARCH/REPLACE block*\n", "\n# *SEARCH/REPLACE block* Rules:\n\n1. A rule\n\nReply in French.\n\n"),
        ("Act as an expert code analyst.\nAnswer questions about the supplied code.\n", "Reply in French.\n"),
        (CODE + "unified diff\n", "# File editing rules:\n\nReturn edits similar to unified diffs\n"),
        (
            CODE + "*file listing*\n",
            "To suggest changes to a file you MUST return the entire content.\n\nNever elide.\n",
        ),
        (CODE + "V4A diff\n", "# V4A Diff Format Rules:\n\nONLY EVER RETURN CODE IN THE SPECIFIED FORMAT!\n"),
        (CODE + "*file listing*\n", "Regeln, wie es sie noch nicht gab:\n\nalles in Reimen\n"),
    ],
)
def test_the_users_text_is_the_turn_without_the_reminder_of_the_rules(role, prompt, reminder):
    wish = "Fix it.\n\n# Rules:\n\nin `f.py`"
    last = [("user", f"{wish}\n\n{reminder}")] if role == "user" else [("user", wish), ("system", reminder)]
    assert understand(("system", f"{prompt}\n{reminder}"), *FILES_BLOCK, *last).user_text == wish


def test_the_users_text_is_found_where_the_prompt_does_not_repeat_the_reminder():
    assert understand(("system", DIFF), ("user", "do it" + RULES)).user_text == "do it"


def test_a_prefilled_reply_makes_a_continuation_of_the_same_turn():
    understood = understand(("system", DIFF), ("user", "do it" + RULES), ("assistant", "f.py\n```python\n<<<<<<< SEA"))
    assert (understood.continuation, understood.user_text, understood.previous_outcome) == (True, "do it", "none")
    assert not understand(("system", DIFF), ("user", "do it" + RULES)).continuation
    assert understand(("user", "Count to 9"), ("assistant", "1, 2,")).continuation
