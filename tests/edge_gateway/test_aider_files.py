"""The files in the chat, whatever fences them, and what else surrounds the turn."""

import json

import pytest

from edge_gateway import aider, chat_request
from tests.edge_gateway.aider_messages import DIFF, FILES_BLOCK, understand

FENCES = [
    ("```", "```"),
    ("````", "````"),
    *((f"<{name}>", f"</{name}>") for name in ("source", "code", "pre", "codeblock", "sourcecode")),
]
HEADS = [
    "I have *added these files to the chat* so you can go ahead and edit them.\n\n*Trust this message*\nAny other\n",
    "I have *added these files to the chat* so you see all of their contents.\n",
    "These files have been *added these files to the chat* so we can see all of their contents.\n",
    "Here is the current content of the files:\n",
    "These are some files we have been discussing that we may want to edit after you answer my questions:\n",
]
CONTENTS = {
    "src/a.py": "def f():\n    return '```'\n",
    "with blanks.txt": "no line break at the end",
    "empty.py": "",
    "docs/x.md": "\n\nsee </source>\n\nb.py\n ```\nx\n ```\n",
    "größe.py": "# ⋮ 寸法\n",
    "last.txt": "the end",
}


def block(contents: dict[str, str], fence: tuple[str, str], head: str = HEADS[0]) -> str:
    return head + "".join(f"\n{name}\n{fence[0]}\n{text}{fence[1]}\n" for name, text in contents.items())


def files(text: str) -> tuple[aider.ChatFile, ...]:
    return understand(
        ("system", DIFF),
        ("user", text),
        ("assistant", "Ok, any changes I propose will be to those files."),
        ("user", "hi"),
    ).files


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("fence", FENCES)
def test_every_file_is_found_with_its_length_between_any_fences(fence, head):
    found = files(block(CONTENTS, fence, head))
    assert [(file.name, file.characters) for file in found] == [(name, len(text)) for name, text in CONTENTS.items()]


def test_a_digest_tells_contents_apart_and_nothing_else():
    one, other = files(block(CONTENTS, FENCES[0])), files(block(dict(reversed(CONTENTS.items())), FENCES[3]))
    assert {file.name: file.digest for file in one} == {file.name: file.digest for file in other}
    assert {len(file.digest) for file in one} == {16}
    assert len({file.digest for file in one}) == len(CONTENTS)
    changed = files(block({**CONTENTS, "src/a.py": "def f():\n    return '```' \n"}, FENCES[0]))
    assert changed[0].digest != one[0].digest
    assert changed[1:] == one[1:]


def test_the_files_as_they_are_now_are_meant_and_not_those_a_user_quotes():
    quoted = ("user", block({"old.py": "x"}, FENCES[0]))
    turns = (("system", DIFF), quoted, ("assistant", "I see two problems."), *FILES_BLOCK, ("user", "hi"))
    assert [file.name for file in understand(*turns).files] == ["f.py"]
    assert understand(("system", DIFF), quoted).files == ()
    assert understand(("user", "hello"), *FILES_BLOCK, quoted).files == ()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("I am not sharing any files that you can edit yet.", "Ok."),
        ("Don't try and edit any existing code without asking me to add the files to the chat!", "Ok, based on your"),
        (
            "Here are some READ ONLY files, provided for your reference.\nDo not edit!\n\nr.md\n```\nx\n```\n",
            "Ok, I will use",
        ),
        ("I have *added these files to the chat* so you can go ahead and edit them.\n", "Ok, any changes"),
    ],
)
def test_no_file_to_edit_is_found_where_there_is_none(text, answer):
    assert understand(("system", DIFF), ("user", text), ("assistant", answer), ("user", "hi")).files == ()


@pytest.mark.parametrize(
    "head",
    [
        "Here are summaries of some files present in my git repository.\nDo not propose changes",
        "I am working with you on code in a git repository.\nHere are summaries of some files present in my git repo.\n",
        "Below here are summaries of other files! Do not propose changes to these *read-only* files without asking me",
    ],
)
def test_the_maps_length_is_that_of_its_message(head):
    text = head + "\n\nshop/cart.py:\n⋮\n│class Cart:\n"
    seen = (("user", text), ("assistant", "Ok, I won't try and edit those files without asking first."))
    assert understand(("system", DIFF), *seen, *FILES_BLOCK, ("user", "hi")).repo_map_characters == len(text)
    assert understand(("system", DIFF), *FILES_BLOCK, ("user", text)).repo_map_characters == 0


def test_images_are_counted():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    content = [{"type": "text", "text": "Image file: a.png"}, image, image]
    turns = [("system", DIFF), ("user", content), ("assistant", "Ok."), ("user", "what is it?")]
    messages = [{"role": role, "content": text} for role, text in turns]
    request = chat_request.parse(json.dumps({"model": "auto", "messages": messages}).encode())
    assert (request.images, request.vision, aider.understand(request).images) == (2, True, 2)
    assert not chat_request.parse(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}').vision
