"""What a request's outcome is about: which earlier reply, whether its edits were undone since, and what to tell of it."""

from __future__ import annotations

from collections.abc import Sequence

from edge_gateway.conversations.linking import Link
from edge_gateway.conversations.memory import Conversation, Edit, Exchange, Verdict
from edge_gateway.conversations.request import FAILED, Request
from edge_gateway.conversations.traces import named_files

# Applied edits remembered of a conversation: /undo takes back one after the other.
MOST_EDITS = 4
# They say that a reply mended nothing, without saying that it failed.
_UNDECIDED = ("no_edits", "interrupted")
_EDITOR = ("editor",)
_MAIN = ("code", "ask", "context", "architect")


def outcome(request: Request, conversation: Conversation, link: Link) -> tuple[str, Exchange | None]:
    """How the previous reply fared, all considered, and which one that is where it is known."""
    if request.continuation:
        # Nothing has been said yet of the reply that it continues.
        return "none", link.begun
    about, seen = link.reply, request.outcome
    if about is None and link.by == "explicit" and seen != "none" and not link.evidence:
        about = _latest(conversation, request.purpose)
    if seen == "applied" and about is not None:
        if "undone" in about.told:
            # That has been told, and the history does not forget the commit.
            return "none", about
        if link.shown is not None:
            files = about.edited or (named_files(link.shown.reply, list(about.files)) if link.shown.committed else ())
            remember(about, files)
    undone = _undone(request, conversation, about, seen)
    if undone is None:
        return seen, about
    return "undone", about if about is undone.plan and about else undone


def tell(about: Exchange | None, outcome: str) -> tuple[Verdict, ...]:
    """What the router is to be told of a reply, and of the plan or the editor's work that shares its fate; each once."""
    if about is None or outcome == "none":
        return ()
    concerned = [about]
    if outcome in ("applied", "undone"):
        concerned += [about.plan] if about.plan else []
    if outcome == "undone":
        concerned += [exchange for exchange in about.conversation.exchanges if exchange.plan is about]
        concerned = [e for e in concerned if e is about or "applied" in e.told]
    return tuple(verdict for exchange in concerned for verdict in _once(exchange, outcome))


def committed(reply: Exchange | None, files: Sequence[str]) -> tuple[Verdict, ...]:
    """What a commit tells of the reply whose edits it holds."""
    if reply is None:
        return ()
    reply.edited = tuple(files)
    remember(reply, files)
    return tell(reply, "applied")


def remember(exchange: Exchange, files: Sequence[str]) -> None:
    """Remember the files that a reply changed as they were before; nothing where that is not known of all of them."""
    edits = exchange.conversation.edits
    known = bool(files) and all(name in exchange.files for name in files)
    if not known or any(edit.exchange in (exchange, exchange.plan) or edit.exchange.plan is exchange for edit in edits):
        return
    edits.append(Edit(exchange, {name: exchange.files[name] for name in files}))
    del edits[:-MOST_EDITS]


def count(request: Request, conversation: Conversation, about: Exchange | None, outcome: str) -> int:
    """How many replies in a row have failed, the previous one included: what is remembered or what is shown, if more."""
    side = "editor" if request.purpose == "editor" else "main"
    before = conversation.failures.get(side, 0)
    if outcome in _UNDECIDED or request.continuation:
        return max(request.failures, before)
    if outcome not in FAILED:
        conversation.failures.pop(side, None)
        return request.failures
    if about is not None and not about.failed:
        about.failed = True
        before += 1
        conversation.failures[side] = before
    return max(request.failures, before, 1)


def _undone(request: Request, conversation: Conversation, about: Exchange | None, seen: str) -> Exchange | None:
    """The exchange whose edits are gone from the files; its edit is forgotten with that."""
    if not conversation.edits:
        return None
    edit = conversation.edits[-1]
    if any(name not in request.files for name in edit.before):
        return None
    if any(request.files[name] != contents for name, contents in edit.before.items()):
        edit.differed = True
        return None
    just_applied = seen == "applied" and about in (edit.exchange, edit.exchange.plan)
    if not just_applied and not (edit.differed and seen == "none"):
        return None
    conversation.edits.pop()
    return edit.exchange


def _latest(conversation: Conversation, purpose: str) -> Exchange | None:
    role = _EDITOR if purpose == "editor" else _MAIN
    return next((e for e in reversed(conversation.exchanges) if e.purpose in role), None)


def _once(exchange: Exchange, outcome: str) -> list[Verdict]:
    if outcome in exchange.told:
        return []
    exchange.told = (*exchange.told, outcome)
    verdict = Verdict(exchange.decision_id, exchange.served, outcome)
    return [verdict] if exchange.reported else []
