"""Everyone who has to know how a reply on its way fares: the conversation, the cache, the limits, the log and the router."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec

from edge_gateway import chat_request
from edge_gateway.cache import Kept, Recording
from edge_gateway.call import Call
from edge_gateway.conversations import Conversations, Recognised
from edge_gateway.decisions import Decision
from edge_gateway.event_stream import Said, Usage
from edge_gateway.outcomes import Delivered, Keep, Outcomes, Settle
from edge_gateway.tracing import spans
from edge_gateway.tracing.span import NOT_TRACED, Span

NOTHING_SAID = Said()


@dataclass(slots=True)
class Delivery:
    """One request with its decision.

    `recognised`: its place in a conversation, None for what is none. `recording`: its bytes, where they are to be kept under
    `key`. `settle`: tells what it used to whoever limits its client. `span`: the models' in a trace.
    """

    outcomes: Outcomes
    conversations: Conversations
    call: Call
    decision: Decision
    input_tokens: int
    recognised: Recognised | None
    settle: Settle | None = None
    recording: Recording | None = None
    key: bytes = b""
    media_type: str = ""
    served: str = ""
    adaptations: tuple[str, ...] = ()
    ended: bool = False
    span: Span = NOT_TRACED

    def passed(self, chunk: bytes) -> None:
        """These bytes are about to go out."""
        if self.recording is not None:
            self.recording.add(chunk)

    def heard(self, said: Said) -> None:
        """The reply is whole, and its last bytes are about to go out."""
        if self.recognised is not None:
            text = self.recognised.request.begun + said.text
            self.conversations.heard(self.recognised.exchange, self.served, text, said=said.anything)

    def cut(self) -> None:
        """Some bytes are missing at the end, so it is not to be given again."""
        self.recording = None

    def finished(self, outcome: str, usage: Usage, first_byte: float, said: Said, end: str = "") -> None:
        """The delivery has ended; the first word counts."""
        if self.ended:
            return
        self.call.stream_end = end
        if self.recognised is not None:
            text = self.recognised.request.begun + said.text
            self.conversations.ended(self.recognised.exchange, self.served, outcome, text, said=said.anything)
        usage = self._used(outcome, usage, said)
        kept = self._kept(said) if outcome == "completed" else None
        self.tell(outcome, usage, first_byte, kept, said)

    def left(self) -> None:
        """The client left before the first byte; what a model has read by then is paid for."""
        self.tell("interrupted", Usage(self.input_tokens, estimated=True))

    def tell(
        self, outcome: str, usage: Usage, first_byte: float = 0.0, kept: Keep | None = None, said: Said = NOTHING_SAID
    ) -> None:
        """Tell of a delivery that has ended, well or not; the first word counts."""
        if self.ended:
            return
        self.ended = True
        if self.call.span.traced:
            spans.model_answered(self.span, self.call, self.decision, outcome, usage, said)
        ended = Delivered(self.decision, self.served, outcome, usage, self.adaptations)
        self.outcomes.delivered(self.call, ended, first_byte, self.settle, kept)

    def _used(self, outcome: str, usage: Usage, said: Said) -> Usage:
        """What the provider counted, else an estimate."""
        written = chat_request.tokens_of(said.text)
        if said.anything and not (usage.input_tokens or usage.output_tokens):
            # Aider does not ask streams for their usage.
            return Usage(self.input_tokens, written, estimated=True)
        if outcome != "completed" and written > usage.output_tokens:
            # Anthropic counts the input at the beginning, and the output at an end that never came.
            return msgspec.structs.replace(usage, output_tokens=written, estimated=True)
        return usage

    def _kept(self, said: Said) -> Keep | None:
        body = self.recording.whole() if self.recording is not None else None
        if body is None:
            return None
        told = ("x-router-decision-id", "x-router-model", "x-served-model", "x-router-source", "x-router-reason")
        headers = {name: value for name in told if (value := self.call.headers.get(name))}
        answer = Kept(self.media_type, body, headers, said.text, said.anything, time.time())
        return self.key, answer
