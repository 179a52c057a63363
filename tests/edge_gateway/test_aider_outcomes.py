"""How the previous reply fared and how many failed in a row, in the words of Aider's releases since 0.40."""

import pytest

from tests.edge_gateway.aider_messages import (
    COMMITTED,
    DIFF,
    FILES_BLOCK,
    LINT,
    NO_EDITS,
    RULES,
    UNMATCHED,
    added_run,
    ran,
    understand,
)

EXAMPLES = (("user", "Refactor"), ("assistant", "x"), ("user", "I switched to a new code base."), ("assistant", "Ok."))
HISTORY = (("system", DIFF), *EXAMPLES, ("user", "first wish"), ("assistant", "Ok, I will:\n```x```"))
NEXT = ("user", "next" + RULES)


def outcome(*turns: tuple[str, str]) -> str:
    return understand(*HISTORY, *turns).previous_outcome


@pytest.mark.parametrize(
    "complaint",
    [
        UNMATCHED,
        "# 3 SEARCH/REPLACE blocks failed to match!",
        "UnifiedDiffNoMatch: hunk failed to apply!\n",
        "UnifiedDiffNotUnique: hunk failed to apply!\n",
        "calc.py\n<<<<<<< SEARCH\n>>>>>>> REPLACE\n^^^ Expected `=======`",
        "calc.py\n<<<<<<< SEARCH\n^^^ Expected `>>>>>>> REPLACE` or `=======`",
        "```python\n<<<<<<< SEARCH\n^^^ Bad/missing filename. The filename must be alone on the line before the fence ```",
        "f.py\n<<<<<<< SEARCH\n^^^ Incomplete SEARCH/REPLACE block.",
        "f.py\n<<<<<<< SEARCH\n^^^ Error parsing SEARCH/REPLACE block.",
        "No filename provided before ``` in file listing",
        "Error parsing patch content: Update File Error - missing file content for: f.py",
        "Error applying action 'Update' to f.py: Could not find scope context",
        "Unexpected error parsing patch: x",
        "File referenced in patch not found: f.py",
        "Missing `path` parameter: {}",
    ],
)
def test_a_complaint_about_the_edits_means_that_they_failed(complaint):
    assert outcome(("user", complaint + RULES)) == "edit_failed"
    assert outcome(*NO_EDITS, *FILES_BLOCK, ("user", complaint)) == "edit_failed"


@pytest.mark.parametrize(
    "errors", ["Traceback (most recent call last):", "f.rs:3: erreur : type inattendu", "第1行: 語法錯誤"]
)
def test_errors_of_any_linter_mean_that_lint_failed(errors):
    assert outcome(
        *COMMITTED, *FILES_BLOCK, ("user", f"\n# Fix any errors below, if possible.\n\n{errors}" + RULES)
    ) == ("lint_failed")


@pytest.mark.parametrize(
    "output",
    [
        "1 failed, 2 passed",
        "panic: runtime error",
        "3 passed, 1 error",
        "Traceback (most recent call last):\n  File x\nAssertionError",
        "E   AssertionError: assert 1 == 2",
        "Ran 2 tests\n\nFAILED (failures=1)",
        "Tests run: 3, Failures: 1, Errors: 0",
        "--- FAIL: TestAdd (0.00s)",
        "f.c:3:5: error: expected ';'",
        "src/a.ts(3,5): error TS2322: Type",
        "error[E0308]: mismatched types",
        "thread 'main' panicked at src/main.rs:2:5",
        "./x.go:3:2: undefined: y",
        'Exception in thread "main" java.lang.NullPointerException',
        "npm ERR! code ELIFECYCLE",
        "make: *** [Makefile:2: test] Fehler 1",
        "bash: pytset: command not found",
        "python: can't open file 'x.py': [Errno 2] No such file or directory",
        "Segmentation fault (core dumped)",
        "fatal: not a git repository",
        "process exited with code 2",
        "returned non-zero exit status 1.",
        "1 failed\n" + "x\n" * 9_000,
        "x\n" * 9_000 + "1 failed",
    ],
)
def test_a_commands_output_means_that_it_failed(output):
    assert outcome(*COMMITTED, *FILES_BLOCK, ("user", ran(output) + RULES)) == "command_failed"
    assert (
        outcome(*COMMITTED, *FILES_BLOCK, *added_run(output), ("user", "What's wrong? Fix" + RULES)) == "command_failed"
    )
    assert outcome(("user", "please see:\n\n" + ran(output) + RULES)) == "command_failed"


@pytest.mark.parametrize(
    "output",
    [
        "5 passed in 0.1s",
        "Ran 3 tests\n\nOK",
        "test result: ok. 2 passed; 0 failed",
        "ok  \tpkg\t0.1s",
        "BUILD SUCCESS",
        "ERROR: this was to happen\nValueError: and this\n5 passed, 1 xfailed in 0.1s",
        "Fehler in Zeile 3",
        "v20.1.0",
        "",
    ],
)
def test_a_commands_output_that_does_not_plainly_tell_of_a_failure_is_none(output):
    assert outcome(*COMMITTED, *FILES_BLOCK, *added_run(output), NEXT) == "applied"
    assert outcome(("user", ran(output) + RULES)) == "none"


@pytest.mark.parametrize(
    "command",
    [
        "git log --oneline -3",
        "git --no-pager diff HEAD~1",
        "cat app.log",
        "grep -rn Error src | head -5",
        "ls x && cat y",
    ],
)
def test_what_a_command_that_only_shows_has_shown_is_no_failure(command):
    report = ran("abc fix: 3 errors\nTraceback (most recent call last):\nFAILED", command)
    assert outcome(*COMMITTED, ("user", report), ("assistant", "Ok."), *FILES_BLOCK, NEXT) == "applied"
    assert outcome(*COMMITTED, ("user", report), ("assistant", "Ok."), ("user", "What's wrong? Fix it")) == "applied"
    tested = ("user", ran("1 failed", f"{command}; pytest"))
    assert outcome(*COMMITTED, tested, ("assistant", "Ok."), NEXT) == "command_failed"


def test_a_command_failed_whose_output_is_followed_by_the_words_that_aider_suggests_for_failures():
    assert outcome(*COMMITTED, *added_run("Fehler"), ("user", "What's wrong? Fix" + RULES)) == "command_failed"
    assert outcome(*COMMITTED, *added_run("Fehler"), ("user", "Why?" + RULES)) == "applied"


def test_a_test_command_that_aider_objects_to_has_failed_whatever_it_printed():
    assert outcome(*COMMITTED, *added_run("5 passed"), ("user", ran("5 passed") + RULES)) == "command_failed"
    assert outcome(*COMMITTED, *added_run("5 passed"), ("user", ran("4 passed") + RULES)) == "applied"


def test_a_command_sent_twice_with_an_answer_between_did_not_fail_for_that():
    assert outcome(("user", ran("v1")), ("assistant", "That is its version."), ("user", ran("v1") + RULES)) == "none"


@pytest.mark.parametrize(
    "complaint", [(("user", LINT + RULES),), (("user", UNMATCHED),), (*added_run("F"), ("user", ran("F") + RULES))]
)
@pytest.mark.parametrize("first", [(("system", DIFF),), (("user", DIFF), ("assistant", "Ok."))])
@pytest.mark.parametrize("shown", [(), FILES_BLOCK, (*EXAMPLES, *FILES_BLOCK), (("user", "a wish without an answer"),)])
def test_errors_in_a_request_that_shows_no_reply_are_the_users_own(complaint, first, shown):
    found = understand(*first, *shown, *complaint)
    assert (found.purpose, found.previous_outcome, found.failures) == ("code", "none", 0)


def linted(name: str) -> str:
    lines = f"## See relevant line below marked with █.\n\n{name}:\n  1█x"
    return f"# Fix any errors below, if possible.\n\n## Running: lint {name}\n\n{lines}"


def test_the_next_file_that_lint_goes_to_says_nothing_of_the_reply_that_mended_the_one_before():
    mended = (
        ("user", linted("src/a.py")),
        ("assistant", "src/a.py\n```python\n<<<<<<< SEARCH"),
        *COMMITTED,
        *FILES_BLOCK,
    )
    found = understand(("system", DIFF), *mended, ("user", linted("src/b.py") + RULES))
    assert (found.previous_outcome, found.failures) == ("applied", 0)
    for errors in (linted("src/a.py"), "\n" + linted("src/a.py") + "\n\n" + linted("src/b.py")):
        found = understand(("system", DIFF), *mended, ("user", errors + RULES))
        assert (found.previous_outcome, found.failures) == ("lint_failed", 1)
    spread = (mended[0], ("assistant", "src/b.py\n```python\n<<<<<<< SEARCH"), *mended[2:])
    assert understand(("system", DIFF), *spread, ("user", linted("src/b.py"))).previous_outcome == "lint_failed"


def test_a_reply_that_is_a_call_of_a_function_fares_like_any_other():
    called = (("user", "do it"), ("assistant", None))
    func = "Act as an expert software developer.\nyou MUST use the `write_file` function to edit the files"
    found = understand(("system", func), *called, ("user", "Missing `path` parameter: {}"))
    assert (found.previous_outcome, found.failures) == ("edit_failed", 1)


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([NEXT], "none"),
        ([*FILES_BLOCK, NEXT], "none"),
        ([*COMMITTED, NEXT], "applied"),
        ([("user", "I updated the files."), ("assistant", "Ok."), *FILES_BLOCK, NEXT], "applied"),
        ([("user", "I made those changes to the files."), ("assistant", "Ok."), *FILES_BLOCK, NEXT], "applied"),
        ([*COMMITTED, *FILES_BLOCK, ("user", "Output from ls\nf.py\n"), ("assistant", "Ok"), NEXT], "applied"),
        ([*COMMITTED, ("user", "Here is the content of https://x.test:\n\nx"), ("assistant", "Ok."), NEXT], "applied"),
        ([*COMMITTED, ("user", ""), ("assistant", ""), *FILES_BLOCK, NEXT], "applied"),
        ([*COMMITTED, *FILES_BLOCK, ("user", "and?"), ("assistant", "Ok, done."), NEXT], "none"),
        ([*COMMITTED, ("user", "Output from f is wrong"), ("assistant", "Ok, I see."), NEXT], "none"),
        ([*COMMITTED, *FILES_BLOCK, ("user", "and?"), NEXT], "none"),
        ([*NO_EDITS, *FILES_BLOCK, NEXT], "no_edits"),
        ([*FILES_BLOCK, ("user", "I added these files to the chat: a.py" + RULES)], "none"),
        ([("user", "I have updated the set of files added to the chat.\nReview them" + RULES)], "none"),
        (
            [
                ("user", "^C KeyboardInterrupt"),
                ("assistant", "I see that you interrupted my previous reply."),
                ("user", "go on" + RULES),
            ],
            "interrupted",
        ),
        ([("user", "more"), ("assistant", "It is so\n^C KeyboardInterrupt"), NEXT], "interrupted"),
        (
            [*COMMITTED, ("user", "I did `git reset --hard HEAD~1` to discard the last edits. Please wait" + RULES)],
            "undone",
        ),
    ],
)
def test_the_previous_outcome_is_read_from_the_turn_and_the_history(turns, expected):
    assert outcome(*turns) == expected


@pytest.mark.parametrize(
    "wish",
    [
        "Why does '^^^ Expected' appear?",
        "Explain: # Fix any errors below, if possible.",
        "What does 'I ran this command:' mean?",
        "What is\n^^^ Expected `=======`\nabout?",
        "rustc says\n  ^^^ expected `;`",
        "Aider wrote: I committed the changes with git hash 1",
        "Why did # 1 SEARCH/REPLACE block failed to match! come up?",
    ],
)
def test_a_user_who_quotes_aider_is_not_taken_for_aider(wish):
    assert outcome(("user", wish + RULES)) == "none"


def test_the_rules_that_aider_appends_are_not_taken_for_the_turn():
    assert outcome(("user", "do it" + RULES + "\nI ran this command:\n\nx\n\nAnd got this output:\n\ny")) == "none"


def test_marks_inside_the_files_say_nothing_of_the_reply():
    files = "I have *added these files to the chat* so\n\nf.py\n```\n" + UNMATCHED + LINT + ran("1 failed") + "```\n"
    assert outcome(*COMMITTED, ("user", files), ("assistant", "Ok, any changes"), NEXT) == "applied"


def test_a_command_before_the_first_reply_says_nothing_of_a_reply():
    assert understand(("system", DIFF), *EXAMPLES, *added_run("1 failed"), NEXT).previous_outcome == "none"


@pytest.mark.parametrize("first", ["*Briefly* summarize this partial conversation", "one-line Git commit messages"])
def test_a_request_beside_the_conversation_says_nothing_of_a_reply(first):
    found = understand(("system", first), ("user", UNMATCHED), stream=None)
    assert (found.previous_outcome, found.failures) == ("none", 0)


REPLY = ("assistant", "f.py\n```python\n<<<<<<< SEARCH")


@pytest.mark.parametrize(
    ("turns", "failures"),
    [
        ([NEXT], 0),
        ([*COMMITTED, NEXT], 0),
        ([("user", UNMATCHED + RULES)], 1),
        ([*NO_EDITS, ("user", UNMATCHED), REPLY, *NO_EDITS, *FILES_BLOCK, ("user", UNMATCHED + RULES)], 2),
        ([("user", UNMATCHED), REPLY, *COMMITTED, ("user", LINT), REPLY, *COMMITTED, ("user", ran("1 failed") + RULES)], 3),
        ([*added_run("F"), ("user", ran("F")), REPLY, *COMMITTED, *added_run("F"), ("user", ran("F") + RULES)], 2),
        ([*added_run("FAILED"), ("user", "fix"), REPLY, *COMMITTED, *added_run("FAILED"), ("user", "fix" + RULES)], 2),
        # Mended in between.
        ([("user", UNMATCHED), REPLY, *COMMITTED, ("user", "and"), REPLY, *NO_EDITS, ("user", UNMATCHED + RULES)], 1),
        # Mended at last.
        ([("user", UNMATCHED), REPLY, *COMMITTED, *FILES_BLOCK, NEXT], 0),
        # Asking for a file is no failure.
        ([("user", UNMATCHED), REPLY, ("user", "I added these files to the chat: a"), REPLY, ("user", UNMATCHED)], 1),
        # Aider objects three times and then leaves it at that.
        ([*((("user", UNMATCHED), REPLY, *NO_EDITS) * 3), *FILES_BLOCK, ("user", "why?" + RULES)], 3),
        ([*NO_EDITS, *FILES_BLOCK, NEXT], 0),
    ],
)  # fmt: skip
def test_failures_are_the_replies_that_failed_in_a_row(turns, failures):
    assert understand(*HISTORY, *turns).failures == failures
