"""Edits in every format land as asked: the replies are applied here as Aider applies them."""

import re
from typing import Any

import pytest

CALC = """import math


def add(a, b):
    return a - b


def twice(a):
    return add(a, a)


def thrice(a):
    return add(a, a)


def address(a):
    return add(a, a)
"""
TESTS = "from calc import add\n\nassert add(2, 2) == 4\n"
FILES = {"src/calc.py": CALC, "test_calc.py": TESTS}
FORMATS = ["diff", "diff-fenced", "udiff", "whole"]


def apply(reply: str, edit_format: str, files: dict[str, str], fence: str = "```") -> dict[str, str]:
    """The files after a reply, refusing what Aider would refuse: text that is missing or not unique."""
    close = fence.replace("<", "</")
    if edit_format == "whole":
        listings = re.findall(rf"^([^\n]+)\n{fence}\n(.*?)^{close}\n", reply, re.MULTILINE | re.DOTALL)
        return files | dict(listings)
    edits = _unified(reply) if edit_format == "udiff" else _blocks(reply, edit_format, fence, close)
    result = dict(files)
    for path, search, replace in edits:
        text = result.get(path, "")
        text = text if not text or text.endswith("\n") else text + "\n"
        if search:
            assert text.count(search) == 1, f"{search!r} stands {text.count(search)} times in {path}"
        result[path] = text.replace(search, replace) if search else text + replace
    return result


def _blocks(reply: str, edit_format: str, fence: str, close: str) -> list[tuple[str, str, str]]:
    head = rf"{fence}\n([^\n]+)" if edit_format == "diff-fenced" else rf"([^\n]+)\n{fence}"
    block = rf"^{head}\n<<<<<<< SEARCH\n(.*?)=======\n(.*?)>>>>>>> REPLACE\n{close}$"
    return re.findall(block, reply, re.MULTILINE | re.DOTALL)


def _unified(reply: str) -> list[tuple[str, str, str]]:
    edits = []
    block = re.compile(r"^```diff\n--- [^\n]+\n\+\+\+ ([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for path, body in block.findall(reply):
        for hunk in body.split("@@ ... @@\n")[1:]:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in "- ")
            edits.append((path, before, "".join(line[1:] for line in lines if line[0] in "+ ")))
    return edits


def edited(demo: Any, said: str, files: dict[str, str], edit_format: str = "diff", **options: Any) -> Any:
    """The files after the demo's reply to what was said."""
    reply = demo.edit(said, files, edit_format=edit_format, **options)
    return apply(reply, edit_format, files, options.get("fence", "```"))


@pytest.mark.parametrize("edit_format", FORMATS)
@pytest.mark.parametrize(
    "said",
    [
        "rename add to plus",
        "Please RENAME the function `add` to `plus` everywhere.",
        'rename "add" to "plus"',
        "could you rename the add function to plus?",
        "Rename add() to plus(), please",
    ],
)
def test_a_rename_reaches_every_place_and_no_other_word(demo: Any, said: str, edit_format: str) -> None:
    expected = {path: re.sub(r"\badd\b", "plus", text) for path, text in FILES.items()}
    assert edited(demo, said, FILES, edit_format) == expected


@pytest.mark.parametrize("edit_format", FORMATS)
@pytest.mark.parametrize(
    ("said", "old", "new"),
    [
        ('replace "a - b" with "a + b"', "a - b", "a + b"),
        ("Replace `return add(a, a)` with `return 0`.", "return add(a, a)", "return 0"),
        ("replace a - b with a + b", "a - b", "a + b"),
        ('replace "add(a, a)" with ""', "add(a, a)", ""),
        ("change 'import math' to 'import cmath'", "import math", "import cmath"),
    ],
)
def test_a_replacement_changes_that_text(demo: Any, said: str, old: str, new: str, edit_format: str) -> None:
    expected = {path: text.replace(old, new) for path, text in FILES.items()}
    assert edited(demo, said, FILES, edit_format) == expected


@pytest.mark.parametrize("edit_format", FORMATS)
@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n" * 9,
        "x\ny\n" * 12,
        "x\n\nx\n\nx\n",
        "x",
        "xx\nx\nxx\nx\n",
        "a\nx\nb\n\na\nx\nb\n\na\nx\nb",
        "\n\n\nx\n\n\n",
        "if x:\n    y\nelse:\n    if x:\n        y\n",
    ],
)
def test_repeated_lines_are_told_apart(demo: Any, text: str, edit_format: str) -> None:
    result = edited(demo, "rename x to z", {"a.txt": text}, edit_format)
    assert result["a.txt"].rstrip("\n") == re.sub(r"\bx\b", "z", text).rstrip("\n")


@pytest.mark.parametrize("edit_format", FORMATS)
@pytest.mark.parametrize(
    ("said", "path", "text"),
    [
        ('create hello.txt saying "hi there"', "hello.txt", "hi there\n"),
        ("Create a new file called docs/a.md with the text `rename x to y`", "docs/a.md", "rename x to y\n"),
        ("please add a file notes.txt that says good day", "notes.txt", "good day\n"),
    ],
)
def test_a_new_file_holds_the_text(demo: Any, said: str, path: str, text: str, edit_format: str) -> None:
    assert edited(demo, said, FILES, edit_format) == {**FILES, path: text}


@pytest.mark.parametrize("edit_format", FORMATS)
def test_a_docstring_is_put_where_python_reads_it(demo: Any, edit_format: str) -> None:
    scope: dict[str, Any] = {}
    exec(edited(demo, "Add a docstring to `twice`", FILES, edit_format)["src/calc.py"], scope)
    assert "scripted demo model" in scope["twice"].__doc__


@pytest.mark.parametrize("edit_format", FORMATS)
@pytest.mark.parametrize(
    ("path", "text", "top"),
    [
        ("a.py", CALC, "# "),
        ("run.sh", "#!/bin/sh\necho hi\n", "#!/bin/sh\n# "),
        ("a.js", "let a = 1", "// "),
        ("a.md", "# Title\n", "<!-- "),
        ("a.css", "a {}\n", "/* "),
        ("empty.py", "", "# "),
    ],
)
def test_anything_else_lands_as_one_comment_that_quotes_it(
    demo: Any, path: str, text: str, top: str, edit_format: str
) -> None:
    result = edited(demo, "make it --> nicer", {path: text}, edit_format)[path]
    added = set(result.splitlines()) - set(text.splitlines())
    assert result.startswith(top)
    assert len(added) == 1
    assert "nicer" in added.pop()


def test_without_a_file_that_bears_comments_a_note_is_written(demo: Any) -> None:
    assert "make it nicer" in edited(demo, "make it nicer", {})["demo_note.md"]
    assert set(edited(demo, "make it nicer", {"a.json": "{}\n"})) == {"a.json", "demo_note.md"}


@pytest.mark.parametrize("edit_format", ["diff", "diff-fenced", "whole"])
@pytest.mark.parametrize("fence", ["````", "<source>"])
def test_files_with_fences_inside_are_read_and_written_whole(demo: Any, fence: str, edit_format: str) -> None:
    files = {"a.md": "# add\n```\nadd\n```\nend of add", "b.py": "add = 1\n"}
    result = edited(demo, "rename add to plus", files, edit_format, fence=fence)
    assert result["a.md"].rstrip() == "# plus\n```\nplus\n```\nend of plus"
    assert result["b.py"] == "plus = 1\n"


def test_an_instruction_can_be_limited_to_one_file(demo: Any) -> None:
    result = edited(demo, "rename add to plus in test_calc.py", FILES)
    assert result["src/calc.py"] == CALC
    assert "plus" in result["test_calc.py"]


def test_several_instructions_in_one_message_are_all_followed(demo: Any) -> None:
    result = edited(demo, 'rename add to plus and replace "a - b" with "a + b"', FILES)
    assert "def plus(a, b):\n    return a + b\n" in result["src/calc.py"]


def test_small_changes_the_first_place_in_each_file_alone(demo: Any) -> None:
    result = edited(demo, "rename add to plus", FILES, model="small")
    assert result == {path: re.sub(r"\badd\b", "plus", text, count=1) for path, text in FILES.items()}


@pytest.mark.parametrize("said", ["rename nothing_here to plus", "What does add do?"])
def test_what_changes_nothing_is_said_in_prose(demo: Any, said: str) -> None:
    assert edited(demo, said, FILES) == FILES
    assert "scripted" in demo.edit(said, FILES)
