"""Chooses what a demo model says to a request that has been read."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from demo import prose
from demo.conversation import Conversation, Purpose
from demo.edit_formats import write_changes
from demo.edits import Change, follow
from demo.instructions import Instruction, Remark, Replace, find_instructions
from demo.models import DemoModel

_QUESTION = re.compile(
    r"(?:what|which|who|why|how|when|where|is|are|was|were|do|does|did|hello|hi)\b.*\?",
    re.IGNORECASE | re.DOTALL,
)

_Files = Mapping[str, str]


def compose(conversation: Conversation, model: DemoModel) -> str:
    """The whole reply, in the form that the purpose of the request asks for."""
    return _WRITERS[conversation.purpose](conversation, model)


def _edit(conversation: Conversation, model: DemoModel) -> str:
    tried: Sequence[Instruction] = ()
    for tried, files in _attempts(conversation):
        changes = follow(tried, files, model)
        if changes:
            return _announce(tried, changes, conversation, model)
    if not tried:
        return prose.answer(conversation, model)
    return prose.nothing_to_change(tried, conversation, model)


def _attempts(conversation: Conversation) -> Iterator[tuple[Sequence[Instruction], _Files]]:
    """What may be meant and for which files, likeliest first; the first that changes a file is done."""
    files = conversation.files
    # A failing test may say what to do, and then it knows better than the request that led to it. The
    # file in which it says so is not the one to change.
    for told in find_instructions(conversation.output):
        yield [told], {path: text for path, text in files.items() if told not in find_instructions(text)}
    wanted = find_instructions(conversation.request)
    if wanted:
        yield wanted, files
        guessed = all(isinstance(each, Replace) and each.guessed for each in wanted)
        may_remark = guessed and not conversation.is_retry
    else:
        may_remark = not _QUESTION.fullmatch(conversation.request)
    if may_remark:
        yield [Remark(conversation.request)], files


def _announce(
    done: Sequence[Instruction], changes: Sequence[Change], conversation: Conversation, model: DemoModel
) -> str:
    deeds = "; ".join(str(instruction) for instruction in done)
    limits = "" if model.every_place else " I change the first place in each file alone."
    body = write_changes(changes, conversation.edit_format, conversation.fence)
    return f"{model.introduction}. I {deeds}.{limits}\n\n{body}"


def _plan(conversation: Conversation, model: DemoModel) -> str:
    told = find_instructions(conversation.output)
    return prose.plan(str(told[0]) if told else conversation.request, conversation, model)


_WRITERS: dict[Purpose, Callable[[Conversation, DemoModel], str]] = {
    "cache_ping": lambda *_: "ok",
    "commit": lambda conversation, _: prose.commit_message(conversation.said),
    "summary": lambda conversation, model: prose.summary(conversation.said, model),
    "architect": _plan,
    "ask": prose.answer,
    "context": prose.files_to_change,
    "chat": prose.small_talk,
    "code": _edit,
}
