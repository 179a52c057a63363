"""Turns that belong together: second tries, architect and editor, commit messages, summaries."""

import re
from typing import Any

import pytest

CALC = "def add(a, b):\n    return a - b\n"
FILES = {"calc.py": CALC}
RUN = "I ran this command:\n\npytest\n\nAnd got this output:\n\n"


def said_by_user(*texts: str) -> list[dict[str, str]]:
    return [{"role": "user" if index % 2 else "system", "content": text} for index, text in enumerate(texts)]


def test_a_failing_test_that_says_what_to_do_is_obeyed(demo: Any) -> None:
    output = f"{RUN}E   AssertionError: replace `a - b` with `a + b`\n"
    reply = demo.edit(output, FILES, history=("rename add to plus", "I committed the changes with git hash"))
    assert "-" not in re.findall(r"=======\n(.*?)>>>>>>> REPLACE", reply, re.DOTALL)[0]
    assert "return a + b" in reply


def test_the_file_that_states_the_instruction_is_left_alone(demo: Any) -> None:
    test = 'assert add(2, 2) == 4, "replace `a - b` with `a + b`"\n'
    output = f"{RUN}AssertionError: replace `a - b` with `a + b`\n"
    reply = demo.edit(output, {"test_calc.py": test, **FILES}, history=("rename add to plus",))
    assert re.findall(r"^(\S+\.py)$", reply, re.MULTILINE) == ["calc.py"]


@pytest.mark.parametrize(
    "report",
    [
        f"{RUN}NameError: name 'plus' is not defined\n",
        "# Fix any errors below, if possible.\n\ncalc.py:1: E999 SyntaxError\n",
        "# 1 SEARCH/REPLACE block failed to match!\n\n<<<<<<< SEARCH\nnope\n=======\nyes\n>>>>>>> REPLACE\n",
        "UnifiedDiffNoMatch: hunk failed to apply!",
        "I added these files to the chat: calc.py\nLet me know if there are others we should add.",
        "go ahead",
    ],
)
def test_a_report_or_a_nudge_brings_the_earlier_request_back(demo: Any, report: str) -> None:
    history = (
        "rename sub to minus",
        "rename add to plus",
        "I committed the changes with git hash 1 & commit",
    )
    assert "def plus(a, b):" in demo.edit(report, FILES, history=history)


def test_the_latest_copy_of_a_file_counts(demo: Any) -> None:
    older = "I have *added these files to the chat* before.\n\ncalc.py\n```\ndef add(old):\n    pass\n```\n"
    reply = demo.edit("rename add to plus", FILES, history=(older,))
    assert "old" not in reply
    assert "def plus(a, b):" in reply


def test_worked_examples_are_not_taken_for_requests(demo: Any) -> None:
    history = (
        "rename a to q",
        "I switched to a new code base. Please forget the above.",
        "rename add to plus",
    )
    reply = demo.edit("ok", FILES, history=history)
    assert "def plus(a, b):" in reply


@pytest.mark.parametrize("said", ["Rename `add` to plus", "make it\n\nmore nice", 'create a.txt saying "hi"'])
def test_the_editor_carries_out_what_the_architect_repeats(demo: Any, said: str) -> None:
    role = "Act as an expert architect engineer and provide direction to your editor engineer."
    plan = demo.edit(said, FILES, role=role)
    assert said in plan
    assert "SEARCH" not in plan
    by_editor = demo.edit(plan, FILES, role="Act as an expert software developer who edits source code.")
    assert by_editor == demo.edit(said, FILES)


@pytest.mark.parametrize("model", ["small", "large"])
def test_questions_are_answered_in_prose(demo: Any, model: str) -> None:
    for role in ("Act as an expert code analyst.", "As a code analyst list what will need to be modified."):
        reply = demo.edit("rename add to plus", FILES, role=role, model=model)
        assert "scripted demo model" in reply
        assert "SEARCH" not in reply


@pytest.mark.parametrize(
    ("diff", "message"),
    [
        ("--- a/c.py\n+++ b/c.py\n-def add():\n+def plus():\n", "refactor: rename add to plus in c.py"),
        ("--- /dev/null\n+++ b/hello.txt\n+hi\n", "feat: add hello.txt"),
        ("--- a/old.py\n+++ /dev/null\n-x = 1\n", "chore: remove old.py"),
        ("--- a/README.md\n+++ b/README.md\n-a b\n+a c d\n", "docs: update README.md"),
        ("--- a/c.py\n+++ b/c.py\n-    a - b\n+    a + b\n", "chore: update c.py"),
    ],
)
def test_a_commit_message_is_one_conventional_line(demo: Any, diff: str, message: str) -> None:
    context = "USER: whatever\n\n# Diffs:\ndiff --git a b\n"
    assert demo.ask(said_by_user("You write Git commit messages.", context + diff)) == message
    assert demo.ask(said_by_user("Schreibe eine Zeile.", context + diff)) == message


def test_a_commit_message_stays_within_72_characters(demo: Any) -> None:
    diff = "".join(f"--- a/f{i}.py\n+++ b/f{i}.py\n+x\n" for i in range(40))
    assert len(demo.ask(said_by_user("You write Git commit messages.", f"# Diffs:\n{diff}"))) <= 72


def test_a_summary_is_told_as_the_user_and_names_the_files(demo: Any) -> None:
    transcript = "# USER\nrename add to plus\n# ASSISTANT\nDone.\n\ncalc.py\n```python\nx\n```\n"
    reply = demo.ask(said_by_user("*Briefly* summarize this partial conversation.", transcript))
    assert reply.startswith("I asked you ")
    assert "rename add to plus" in reply
    assert "calc.py" in reply
    assert "```" not in reply


def test_a_cache_ping_is_answered_with_a_word(demo: Any) -> None:
    reply = demo.post({"model": "small", "max_tokens": 1, "messages": said_by_user("Act as", "hi")}).json()
    assert reply["choices"][0]["message"]["content"] == "ok"
