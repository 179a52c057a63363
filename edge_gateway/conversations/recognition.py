"""Recognises a request's conversation and the reply it tells of: the one place that knows what becomes of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_gateway.conversations import linking, verdicts
from edge_gateway.conversations.digests import Fingerprint, common, digest, each
from edge_gateway.conversations.linking import Link
from edge_gateway.conversations.memory import By, Conversation, Exchange, Memory, Previous, State, Verdict
from edge_gateway.conversations.request import TALKING, Request
from edge_gateway.conversations.traces import committed_files

# Turns whose digests are kept, and purposes of which they are: a prompt cache forgets the rest before we do.
MOST_TURNS, MOST_PURPOSES = 256, 3
_THOUGHTS_END = "</think>"


@dataclass(frozen=True, slots=True)
class Recognised:
    """What is known of a request's past.

    `linked`: by what it was recognised, `new` when it was not. `previous`: the reply it tells of, as far as known.
    `verdicts`: what is now known of earlier replies and was not before.
    """

    conversation_id: str
    linked: str
    retry: bool
    previous: Previous
    exchange: Exchange
    verdicts: tuple[Verdict, ...] = ()


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
            return self._repeat(request, again, now)
        link = linking.link(request, self._memory)
        found = link.conversation
        conversation = self._memory.conversation(request.caller, found.id if found else request.stated or new_id, now)
        sent = each(turn.text for turn in request.turns[:MOST_TURNS])
        previous, told = self._hear(request, conversation, link, sent)
        exchange = Exchange(
            conversation,
            request.purpose,
            Fingerprint.of(request.asked),
            _system(request, conversation),
            _shared(request.files, conversation),
            previous,
            plan=link.plan,
            begun=request.begun,
        )
        self._remember(request, exchange)
        if request.purpose in TALKING:
            # The latest purposes last in the dictionary, so that the first is the one to go.
            conversation.sent.pop(request.purpose, None)
            conversation.sent[request.purpose] = sent
            while len(conversation.sent) > MOST_PURPOSES:
                del conversation.sent[next(iter(conversation.sent))]
        return Recognised(conversation.id, link.by, False, previous, exchange, told)

    def decided(self, exchange: Exchange, decision_id: str, reported: bool) -> None:
        """The request's decision, and whether the router made it and so is told of its outcome."""
        exchange.decision_id, exchange.reported = decision_id, reported

    def heard(self, exchange: Exchange, served: str, text: str) -> None:
        """The reply is whole, though its last bytes may not have gone out: the next request may come with them."""
        exchange.state, exchange.served = State.COMPLETED, served
        self._read(exchange, text)

    def ended(self, exchange: Exchange, served: str, outcome: str, text: str) -> None:
        """The delivery has ended: `completed`, `interrupted`, `refused`, or failed; `text` is what was relayed."""
        exchange.served = served
        ends = {"completed": State.COMPLETED, "interrupted": State.INTERRUPTED, "refused": State.REFUSED}
        exchange.state = ends.get(outcome, State.FAILED)
        if exchange.state is State.INTERRUPTED:
            exchange.told = (*exchange.told, "interrupted")
        self._read(exchange, text)
        if exchange.state is State.COMPLETED and not exchange.silent:
            exchange.previous, exchange.begun = Previous(), ""
            if exchange.purpose in ("commit", "cache_ping"):
                # Nothing refers to these replies.
                self._memory.forget(exchange)

    def _repeat(self, request: Request, again: Exchange, now: float) -> Recognised:
        conversation = self._memory.conversation(request.caller, again.conversation.id, now)
        exchange = Exchange(
            conversation, again.purpose, again.asked, again.system, again.files, again.previous,
            plan=again.plan, begun=request.begun,
        )  # fmt: skip
        self._memory.forget(again)
        self._remember(request, exchange)
        return Recognised(conversation.id, "explicit" if request.stated else "retry", True, again.previous, exchange)

    def _hear(
        self, request: Request, conversation: Conversation, link: Link, sent: bytes
    ) -> tuple[Previous, tuple[Verdict, ...]]:
        if request.purpose == "commit":
            return Previous(), verdicts.committed(link.reply, committed_files(request))
        if request.purpose not in TALKING:
            return Previous(), ()
        outcome, about = verdicts.outcome(request, conversation, link)
        told = verdicts.tell(about, outcome)
        failures = verdicts.count(request, conversation, about, outcome)
        shared = common(conversation.sent.get(request.purpose, b""), sent)
        characters = sum(len(turn.text) for turn in request.turns[:shared])
        model, decision_id = (about.served, about.decision_id) if about else ("", "")
        return Previous(outcome, failures, model, decision_id, characters), told

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
        whole = (exchange.begun + text).strip()
        exchange.reply = Fingerprint.of(whole)
        # Aider may leave a model's thoughts out of the history.
        for shown in {whole, whole.rpartition(_THOUGHTS_END)[2].strip()} - {""}:
            self._memory.index(exchange, By.REPLY, digest(shown))


def _system(request: Request, conversation: Conversation) -> bytes:
    """A digest of the rules, without a copy where the conversation has it already."""
    found = digest(request.system)
    return next((exchange.system for exchange in conversation.exchanges if exchange.system == found), found)


def _shared(files: Mapping[str, bytes], conversation: Conversation) -> Mapping[str, bytes]:
    """The same files, without a copy where the conversation has them already."""
    known = conversation.exchanges[-1].files if conversation.exchanges else {}
    return known if known == files else dict(files)
