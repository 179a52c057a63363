"""What a request tells of earlier replies: which one its outcome is about, whether edits were undone since, what failed.

`find` only looks; `settle` remembers what was found, once the request has come so far that it counts.
"""

from __future__ import annotations

import msgspec

from edge_gateway.conversations.digests import Fingerprint
from edge_gateway.conversations.edits import committed_files, edited_files
from edge_gateway.conversations.linking import Link
from edge_gateway.conversations.memory import Conversation, Edit, Exchange, State, Verdict
from edge_gateway.conversations.request import FAILED, TALKING, Request

# Applied edits remembered of a conversation: /undo takes back one after the other.
MOST_EDITS = 4
# They say that a reply mended nothing, without saying that it failed.
_UNDECIDED = ("no_edits", "interrupted")
_EDITOR = ("editor",)
_MAIN = ("code", "ask", "context", "architect")


class Finding(msgspec.Struct, frozen=True):
    """How the previous reply fared, all considered; `about`: which one that is, `failures`: in a row, it included.

    `committed`: the files that git shows changed by it. `applied`: its edit, not known before. `differs`, `undone`: an
    edit whose files are now seen to differ from before it, or to be the same again. `also_failed`: an editor's reply of
    which nobody said that its edits failed.
    """

    outcome: str = "none"
    about: Exchange | None = None
    failures: int = 0
    committed: tuple[str, ...] = ()
    applied: Edit | None = None
    differs: Edit | None = None
    undone: Edit | None = None
    also_failed: Exchange | None = None


def find(request: Request, conversation: Conversation, link: Link) -> Finding:
    """What the request tells, everything left as it is."""
    if request.purpose == "commit":
        return _committed(request, link.reply)
    if request.purpose not in TALKING:
        return Finding()
    if request.continuation:
        # Nothing has been said yet of the reply that it continues.
        return Finding("none", link.begun, _failures(request, conversation, link.begun, "none"))
    about, seen = link.reply or _meant(request, conversation, link), request.outcome
    told = about is not None and seen == "applied" and "undone" in about.told
    failed = _failed_editor(request, about) if about and seen == "applied" else None
    if told or failed:
        # It has been told, and the history does not forget the commit; or Aider says so whatever its editor came to.
        return Finding("none", about, _failures(request, conversation, about, "none"), also_failed=failed)
    applied = _fresh_edit(about, link) if about and seen == "applied" else None
    edit = applied or (conversation.edits[-1] if conversation.edits else None)
    as_before = _is_as_before(request, edit) if edit else None
    undone = edit if edit and as_before and _is_undone(edit, about, seen) else None
    if undone:
        about, seen = about if about and about is undone.exchange.plan else undone.exchange, "undone"
    failures = _failures(request, conversation, about, seen)
    differs = edit if as_before is False else None
    return Finding(seen, about, failures, applied=applied, differs=differs, undone=undone)


def settle(finding: Finding, request: Request, conversation: Conversation) -> tuple[Verdict, ...]:
    """Remember what was found; what the router is to be told of it, each thing once."""
    about = finding.about
    if about is not None and finding.committed:
        about.edited = finding.committed
    if finding.applied is not None and _is_new(finding.applied.exchange):
        conversation.edits.append(finding.applied)
        del conversation.edits[:-MOST_EDITS]
    if finding.differs is not None:
        finding.differs.differed = True
    if finding.undone in conversation.edits:
        conversation.edits.remove(finding.undone)
    told = [*_tell(about, finding.outcome), *_tell(finding.also_failed, "edit_failed")]
    if request.purpose in TALKING:
        _count(request, conversation, about, finding.outcome)
    return tuple(told)


def _committed(request: Request, reply: Exchange | None) -> Finding:
    if reply is None:
        return Finding()
    files = committed_files(request)
    # What was not in the chat cannot be seen to be undone.
    shown = {name: reply.files[name] for name in files if name in reply.files}
    return Finding("applied", reply, committed=files, applied=Edit(reply, shown) if shown and _is_new(reply) else None)


def _fresh_edit(about: Exchange, link: Link) -> Edit | None:
    """The edit of a reply that is known to be applied, as far as git, or the reply itself, says what it changed."""
    if not _is_new(about) or link.latest is None or link.reply is not about:
        return None
    if about.edited:
        names, certain = tuple(name for name in about.edited if name in about.files), True
    elif link.latest.committed:
        names, certain = edited_files(link.latest.reply, about.files)
    else:
        return None
    return Edit(about, {name: about.files[name] for name in names}, certain) if names else None


def _is_new(exchange: Exchange) -> bool:
    edits = exchange.conversation.edits
    return not any(edit.exchange in (exchange, exchange.plan) or edit.exchange.plan is exchange for edit in edits)


def _is_as_before(request: Request, edit: Edit) -> bool | None:
    """Whether the files are as they were before an edit; None when they are not all shown."""
    if any(name not in request.files for name in edit.before):
        return None
    return all(request.files[name] == contents for name, contents in edit.before.items())


def _is_undone(edit: Edit, about: Exchange | None, seen: str) -> bool:
    """Whether an edit whose files are as before it was undone: it was surely made, or has been seen to be."""
    just_applied = seen == "applied" and about in (edit.exchange, edit.exchange.plan)
    return (just_applied and (edit.certain or edit.differed)) or (edit.differed and seen == "none")


def _failed_editor(request: Request, plan: Exchange) -> Exchange | None:
    """The last reply of an editor that failed to carry out a plan, as far as that shows.

    After its editor Aider says that the changes were made, whatever came of it: a commit or a changed file proves them.
    """
    editors = [e for e in plan.conversation.exchanges if e.plan is plan and e.purpose == "editor"]
    told = {outcome for exchange in editors for outcome in exchange.told}
    if "edit_failed" not in told or "applied" in told or request.files != editors[-1].files:
        return None
    return editors[-1]


def _meant(request: Request, conversation: Conversation, link: Link) -> Exchange | None:
    """In a conversation that the client names, the latest reply, where what was asked for it is what the history shows."""
    trace = link.latest
    if link.by != "explicit" or link.evidence or request.outcome == "none" or trace is None or not trace.asked:
        return None
    role = _EDITOR if request.purpose == "editor" else _MAIN
    latest = next((e for e in reversed(conversation.exchanges) if e.purpose in role), None)
    if latest is None or latest.state is not State.COMPLETED:
        return None
    return latest if latest.asked.begins_with(Fingerprint.of(trace.asked)) else None


def _tell(about: Exchange | None, outcome: str) -> list[Verdict]:
    """What to tell of a reply, and of the plan or the editor's work that shares its fate."""
    if about is None or outcome == "none":
        return []
    concerned = [about]
    if outcome in ("applied", "undone"):
        concerned += [about.plan] if about.plan else []
    if outcome == "undone":
        concerned += [exchange for exchange in about.conversation.exchanges if exchange.plan is about]
        concerned = [e for e in concerned if e is about or "applied" in e.told]
    found = []
    for exchange in concerned:
        if outcome not in exchange.told:
            exchange.told = (*exchange.told, outcome)
            if exchange.reported:
                found.append(Verdict(exchange.decision_id, exchange.served, outcome))
    return found


def _failures(request: Request, conversation: Conversation, about: Exchange | None, outcome: str) -> int:
    """How many replies in a row have failed, the previous one included: what is remembered or what is shown, if more."""
    before = conversation.failures.get(_side(request), 0)
    if outcome in _UNDECIDED or request.continuation:
        return max(request.failures, before)
    if outcome not in FAILED:
        return request.failures
    return max(request.failures, before + (about is not None and not about.failed), 1)


def _count(request: Request, conversation: Conversation, about: Exchange | None, outcome: str) -> None:
    """Remember the same."""
    if outcome in _UNDECIDED or request.continuation:
        return
    side = _side(request)
    if outcome not in FAILED:
        conversation.failures.pop(side, None)
    elif about is not None and not about.failed:
        about.failed = True
        conversation.failures[side] = conversation.failures.get(side, 0) + 1


def _side(request: Request) -> str:
    return "editor" if request.purpose == "editor" else "main"
