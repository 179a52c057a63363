"""Recognises a request's conversation and the reply it tells of: the one place that knows what becomes of a request."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edge_gateway.conversations import linking, verdicts
from edge_gateway.conversations.digests import Fingerprint, common, digest
from edge_gateway.conversations.memory import By, Conversation, Exchange, Memory, Previous, State, Verdict
from edge_gateway.conversations.request import TALKING, Request
from edge_gateway.conversations.verdicts import Finding

# Purposes of which the digests of turns are kept.
MOST_PURPOSES = 3
_THOUGHTS_END = "</think>"


class Recognised(msgspec.Struct, frozen=True):
    """What is known of a request's past; nothing of it is remembered before the request has its decision.

    `linked`: by what it was recognised, `new` when it was not. `previous`: the reply it tells of, as far as known.
    `exchange`: what is to be remembered of the request. `again`: the exchange it was sent for before.
    """

    request: Request
    conversation_id: str
    linked: str
    previous: Previous
    exchange: Exchange
    finding: Finding
    again: Exchange | None = None

    @property
    def retry(self) -> bool:
        """Whether the client has sent the very same before."""
        return self.again is not None


class Conversations:
    """All conversations of this process. `now` is seconds of any one clock."""

    def __init__(self, most: int, idle_seconds: float) -> None:
        """`most`: conversations remembered; `idle_seconds`: how long one is remembered after its last request."""
        self._memory = Memory(most, idle_seconds)

    def __len__(self) -> int:
        return len(self._memory)

    def recognise(self, request: Request, now: float, new_id: str) -> Recognised:
        """Find the request's conversation, or begin one under `new_id`, and what the request tells of earlier replies."""
        again = linking.retried(request, self._memory)
        if again is not None:
            linked = "explicit" if request.stated else "retry"
            exchange = Exchange(
                again.conversation, again.purpose, again.asked, again.system, again.files, now, again.previous,
                plan=again.plan,
            )  # fmt: skip
            return Recognised(request, again.conversation.id, linked, again.previous, exchange, Finding(), again)
        link = linking.link(request, self._memory)
        name = request.stated or new_id
        conversation = link.conversation or self._memory.named(request.caller, name)
        conversation = conversation or Conversation(request.caller, name, now)
        finding = verdicts.find(request, conversation, link)
        previous = _previous(request, conversation, finding)
        asked, system = Fingerprint.of(request.asked), _system(request, conversation)
        files = _shared(request.files, conversation)
        exchange = Exchange(conversation, request.purpose, asked, system, files, now, previous, plan=link.plan)
        if link.reply is not None:
            link.reply.used = now
        return Recognised(request, conversation.id, link.by, previous, exchange, finding)

    def decided(self, recognised: Recognised, decision_id: str, reported: bool) -> tuple[Verdict, ...]:
        """The request has a decision; whether the router made it and so is told of its outcome.

        From now on the request is remembered. Returned is what is now known of earlier replies and was not before.
        """
        exchange, request = recognised.exchange, recognised.request
        exchange.decision_id, exchange.reported = decision_id, reported
        # Another request of a new conversation may have been quicker.
        conversation = exchange.conversation = self._memory.keep(exchange.conversation, exchange.used)
        if recognised.again is not None:
            self._memory.forget(recognised.again)
        told = verdicts.settle(recognised.finding, request, conversation) if recognised.again is None else ()
        self._remember(request, exchange)
        if request.purpose in TALKING:
            # The latest purposes last in the dictionary, so that the first is the one to go.
            conversation.sent.pop(request.purpose, None)
            conversation.sent[request.purpose] = request.sent
            while len(conversation.sent) > MOST_PURPOSES:
                del conversation.sent[next(iter(conversation.sent))]
        return told

    def heard(self, exchange: Exchange, served: str, text: str, *, said: bool) -> None:
        """The reply is whole, though its last bytes may not have gone out: the next request may come with them.

        `text`: all of it, with the beginning that the client may have sent along; `said`: it held something, if no text.
        """
        exchange.state, exchange.served, exchange.said = State.COMPLETED, served, said
        self._read(exchange, text)

    def ended(self, exchange: Exchange, served: str, outcome: str, text: str, *, said: bool) -> None:
        """The delivery has ended: `completed`, `interrupted`, `refused`, or failed; `text` is what was relayed."""
        exchange.served, exchange.said = served, said
        ends = {"completed": State.COMPLETED, "interrupted": State.INTERRUPTED, "refused": State.REFUSED}
        exchange.state = ends.get(outcome, State.FAILED)
        if exchange.state is State.INTERRUPTED:
            exchange.told = (*exchange.told, "interrupted")
        self._read(exchange, text)
        if exchange.whole:
            exchange.previous = Previous()
            if exchange.purpose in ("commit", "cache_ping"):
                # Nothing refers to these replies.
                self._memory.forget(exchange)

    def _remember(self, request: Request, exchange: Exchange) -> None:
        if request.purpose in TALKING:
            self._memory.move_on(exchange.conversation)
        self._memory.begin(exchange)
        self._memory.index(exchange, By.BODY, request.body, fleeting=True)
        if request.purpose in TALKING:
            said = request.user_text or request.asked
            self._memory.index(exchange, By.USER, digest(said.strip()), fleeting=True)
            for end in linking.ends(request):
                self._memory.index(exchange, By.TURNS, end, fleeting=request.purpose != "chat")

    def _read(self, exchange: Exchange, text: str) -> None:
        whole = text.strip()
        exchange.reply = Fingerprint.of(whole)
        # Aider may leave a model's thoughts out of the history.
        for shown in {whole, whole.rpartition(_THOUGHTS_END)[2].strip()} - {""}:
            self._memory.index(exchange, By.REPLY, digest(shown))


def _previous(request: Request, conversation: Conversation, finding: Finding) -> Previous:
    """What the router is to be told of the reply before this request."""
    if request.purpose not in TALKING:
        return Previous()
    about = finding.about
    model, decision_id = (about.served, about.decision_id) if about else ("", "")
    shared = common(conversation.sent.get(request.purpose, b""), request.sent)
    characters = sum(len(turn.text) for turn in request.turns[:shared])
    return Previous(finding.outcome, finding.failures, model, decision_id, characters)


def _system(request: Request, conversation: Conversation) -> int:
    """A digest of the rules, without a copy where the conversation has it already."""
    found = digest(request.system)
    return next((exchange.system for exchange in conversation.exchanges if exchange.system == found), found)


def _shared(files: Mapping[str, bytes], conversation: Conversation) -> Mapping[str, bytes]:
    """The same files, without a copy where the conversation has them already."""
    known = conversation.exchanges[-1].files if conversation.exchanges else {}
    return known if known == files else dict(files)
