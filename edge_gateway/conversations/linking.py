"""Links a request to the conversation whose replies it shows; where two fit equally well, to none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from edge_gateway.conversations.digests import Fingerprint, digest
from edge_gateway.conversations.memory import By, Conversation, Exchange, Memory, State
from edge_gateway.conversations.request import TALKING, Request
from edge_gateway.conversations.traces import MOST, Trace, traces

# An only exchange of fewer characters that is not its conversation's latest may be anybody's, and so may a short beginning.
TELLING = 64
# Of more exchanges than that, all of which a reply may be from, none is meant.
MOST_ALIKE = 64

# The exchanges of one conversation that a request shows, by the position of the trace that shows them, latest first.
Evidence = dict[int, Exchange]


class Link(msgspec.Struct, frozen=True):
    """Where a request belongs, and by what that was recognised.

    `latest`: the latest reply it shows, `reply`: the exchange that it is from, where that is one of the conversation's.
    `begun`: the exchange whose reply is to be continued; `plan`: the architect's exchange that an editor carries out.
    `evidence`: how many of the conversation's exchanges it shows.
    """

    conversation: Conversation | None = None
    by: str = "new"
    reply: Exchange | None = None
    latest: Trace | None = None
    begun: Exchange | None = None
    plan: Exchange | None = None
    evidence: int = 0


def retried(request: Request, memory: Memory) -> Exchange | None:
    """The exchange that this very request was sent for before, where its client cannot have used the reply."""
    for exchange in memory.find(request.caller, (By.BODY, request.body)):
        empty = exchange.state is State.COMPLETED and not exchange.whole
        unusable = empty or exchange.state in (State.FAILED, State.INTERRUPTED)
        if (unusable or request.resent) and request.stated in ("", exchange.conversation.id):
            return exchange
    return None


def link(request: Request, memory: Memory) -> Link:
    """The conversation that a request belongs to, as far as it says or shows that."""
    shown = list(_shown(request, memory))
    found: dict[Conversation, Evidence] = {}
    for position, (_, exchanges) in enumerate(shown):
        for exchange in exchanges:
            held = found.setdefault(exchange.conversation, {})
            if exchange not in held.values():
                # Latest first: of two exchanges alike the later one is meant.
                held.setdefault(position, exchange)
    chosen = _choose(request, [trace for trace, _ in shown], found)
    held = found[chosen] if chosen else {}
    reply, latest = _latest_reply([trace for trace, _ in shown], held)
    if chosen is None:
        return Link(by="explicit" if request.stated else "new", latest=latest)
    plans = [exchange for position, exchange in held.items() if shown[position][0].by == "architect"]
    return Link(
        chosen,
        "explicit" if request.stated else _by(request, shown[min(held)][0]),
        reply,
        latest,
        next((exchange for position, exchange in held.items() if shown[position][0].begun), None),
        plans[0] if plans else reply.plan if reply else None,
        len(held),
    )


def ends(request: Request) -> list[int]:
    """Digests of a request's turns as a later request of the conversation may begin: all of them, or without the question."""
    chained = request.chain
    before = request.question - 1
    return [chained[-1], chained[before]] if request.purpose == "code" and before > 0 else [chained[-1]]


def _shown(request: Request, memory: Memory) -> Iterator[tuple[Trace, list[Exchange]]]:
    """The earlier replies a request shows, latest first, each with the exchanges it may be from.

    Of a request that says its conversation these are that one's alone.
    """
    if request.purpose == "chat":
        yield from _grown(request, memory)
        return
    if request.purpose == "cache_ping":
        # Aider repeats its latest request, with the question or without, to keep the provider's cache warm.
        same = memory.find(request.caller, (By.TURNS, request.chain[-1]), within=request.stated)
        yield Trace("", "", by="code", aside=True), _few(e for e in same if e.purpose == "code")
    for trace in traces(request):
        whole = trace.reply and not trace.cut
        given = (By.REPLY, digest(trace.reply))
        found = memory.find(request.caller, given, within=request.stated) if whole else []
        known = bool(found)
        if not known and trace.asked and (not whole or len(trace.reply) >= TELLING):
            # The client may have got less than was relayed, by its user's doing or not, or nothing at all.
            found = memory.find(request.caller, (By.USER, digest(trace.asked)), within=request.stated)
        yield trace, _few(_fitting(found, trace, known=known)) if found else []


def _grown(request: Request, memory: Memory) -> Iterator[tuple[Trace, list[Exchange]]]:
    """The same for a client whose requests only grow: all up to a reply was a request, word for word."""
    caller, within = request.caller, request.stated
    positions = range(len(request.turns) - 1, 0, -1)
    replies = islice((position for position in positions if request.turns[position].role == "assistant"), MOST)
    for position in replies:
        reply, before = request.turns[position].text.strip(), (By.TURNS, request.chain[position - 1])
        if reply:
            # Many an opening is the same word for word, so the reply counts before any is given up as one of too many.
            found = memory.find(caller, before, (By.REPLY, digest(reply)), within=within)
        else:
            found = [exchange for exchange in memory.find(caller, before, within=within) if exchange.silent]
        yield Trace("", reply, by="chat"), _few(e for e in found if e.purpose == "chat")


def _few(exchanges: Iterable[Exchange]) -> list[Exchange]:
    found = list(islice(exchanges, MOST_ALIKE + 1))
    return found if len(found) <= MOST_ALIKE else []


def _fitting(exchanges: Sequence[Exchange], trace: Trace, *, known: bool) -> Iterator[Exchange]:
    """Those that the trace, by all it shows, may be of; `known`: they are known to have given just this reply."""
    if trace.by:
        yield from (exchange for exchange in exchanges if exchange.purpose == trace.by)
        return
    asked, reply = Fingerprint.of(trace.asked), Fingerprint.of(trace.reply)

    def fits(exchange: Exchange) -> bool:
        if exchange.purpose not in TALKING or not exchange.asked.begins_with(asked):
            return False
        if known:
            return True
        if not trace.reply and not trace.cut:
            return exchange.state is not State.PENDING and exchange.silent
        return exchange.reply.begins_with(reply) if exchange.reply else trace.cut

    yield from filter(fits, exchanges)


def _choose(request: Request, shown: Sequence[Trace], found: dict[Conversation, Evidence]) -> Conversation | None:
    """The conversation that most speaks for; None when nothing does, or as much for another one."""
    if request.stated:
        return next(iter(found), None)
    system = digest(request.system)

    def weight(conversation: Conversation) -> tuple[int, bool, int, bool, bool, bool]:
        held = found[conversation]
        exchanges = list(held.values())
        return (
            -min(held),
            # One that has moved on would show how.
            _is_latest(conversation, exchanges),
            len(held),
            # A reply's edits are committed once.
            request.purpose == "commit" and "applied" not in held[min(held)].told,
            any(exchange.system == system for exchange in exchanges),
            any(exchange.files.keys() & request.files.keys() for exchange in exchanges),
        )

    ranked = sorted(((weight(conversation), conversation) for conversation in found), key=lambda pair: pair[0])
    if not ranked or (len(ranked) > 1 and ranked[-1][0] == ranked[-2][0]):
        return None
    (_, latest, evidence, *_), best = ranked[-1]
    trace = shown[min(found[best])]
    telling = bool(trace.by) or len(trace.asked) + len(trace.reply) >= TELLING
    return best if evidence > 1 or latest or telling else None


def _latest_reply(shown: Sequence[Trace], held: Evidence) -> tuple[Exchange | None, Trace | None]:
    """The latest of the replies, and the conversation's exchange that it comes from, where that is known."""
    for position, trace in enumerate(shown):
        if trace.begun or trace.aside:
            continue
        if position in held or trace.reply or trace.cut:
            return held.get(position), trace
        # Something was said that nobody answered, such as a command's output.
    return None, None


def _is_latest(conversation: Conversation, exchanges: Sequence[Exchange]) -> bool:
    """Whether one of the exchanges is the conversation's latest, an editor's being beside the conversation with the user."""
    latest = {
        exchange.purpose == "editor": exchange for exchange in conversation.exchanges if exchange.purpose in TALKING
    }
    return any(exchange in exchanges for exchange in latest.values())


def _by(request: Request, trace: Trace) -> str:
    if request.purpose in ("commit", "summary", "cache_ping"):
        return request.purpose
    if trace.by:
        return {"architect": "plan", "summary": "summary"}.get(trace.by, "prefix")
    if trace.begun:
        return "continuation"
    if trace.cut:
        return "interrupted"
    return "reply" if trace.reply else "unanswered"
