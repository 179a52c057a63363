"""Who asks, what they may ask for, and how much: keys and limits, or nothing of it where no keys are configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edge_gateway import conversations, errors, pricing
from edge_gateway.access.admission import Admission, Ticket
from edge_gateway.access.entries import Key
from edge_gateway.access.keys import Keys
from edge_gateway.access.limits import Claim
from edge_gateway.access.refusals import budget_unknown
from edge_gateway.chat_request import ChatRequest
from edge_gateway.decisions import Offer
from edge_gateway.event_stream import Usage
from edge_gateway.outcomes import Settle
from edge_gateway.routing import Asker

# More than any provider counts for one.
TOKENS_OF_LARGE_IMAGE = 8_000
_PAGES = ("http:", "https:")
# More than any model writes; a client may name a number that is none in money, nor in Redis.
MOST_TOKENS = 2**40


class Clients:
    """The door that every request passes; wired once, by app."""

    def __init__(self, keys: Keys | None, admission: Admission | None, offer: Callable[[], Offer]) -> None:
        """`keys`: None where anybody may ask; `offer`: what the router offers, for prices."""
        self._keys = keys
        self._admission = admission
        self._offer = offer

    def identify(self, headers: Mapping[str, str]) -> Key | None:
        """Whose key came along; a 401 where it has to be a known one, a 403 for a web page where none is asked for."""
        if self._keys is not None:
            return self._keys.find(headers)
        if headers.get("origin", "").lower().startswith(_PAGES):
            # A page may have its own name lead to this machine, and then ask its visitor's edge as if it were at home.
            text = "Web pages are not served without a key; set EDGE_API_KEYS_FILE, and have the page send one."
            raise errors.forbidden(text, "origin_not_allowed")
        return None

    def asker(self, key: Key | None, headers: Mapping[str, str]) -> Asker:
        """Who asks, in the router's words: the key's tenant and name, else a digest of whatever key came along."""
        return Asker(key.tenant, key.name) if key else Asker(conversations.tenant(headers))

    def check(self, key: Key | None, model: str) -> None:
        """A 403 where the key may not ask for that."""
        if key is not None and not key.permits(model):
            text = (
                f"The key {key.name} may not ask for {errors.quoted(model)}; GET /v1/models lists what it may ask for."
            )
            raise errors.forbidden(text, "model_not_allowed", "model")

    async def admit(
        self, key: Key | None, request: ChatRequest, body_bytes: int, candidates: Callable[[str], Sequence[str]]
    ) -> Settle | None:
        """Let a request in under the key's limits, or refuse it; what is called when its cost is known.

        `candidates`: the models that may serve what is asked for.
        """
        if key is None or self._admission is None or key.limits.unlimited:
            return None
        offer, models = self._offer(), candidates(request.model)
        if key.limits.budgeted and not offer.models:
            raise budget_unknown(key)
        if key.limits.budgeted and not models:
            raise errors.unknown_model(request.model, list(offer.profiles))
        facts = offer.models
        output = min(pricing.most_output(models, facts, request.output_tokens) * request.answers, MOST_TOKENS)
        # No token is shorter than a byte.
        tokens = max(body_bytes, request.input_tokens) + request.images * TOKENS_OF_LARGE_IMAGE
        claim = Claim(tokens + output, pricing.most_cost(models, facts, tokens, output))
        ticket = await self._admission.enter(key, claim)
        return self._settling(ticket)

    def _settling(self, ticket: Ticket) -> Settle:
        async def settle(usage: Usage, served: str, cost: float | None) -> None:
            if cost is None:
                # The router is away, or does not know the decision: by the prices it told last.
                cost = pricing.cost(self._offer().models.get(served), usage)
            await ticket.settle(usage.input_tokens + usage.output_tokens, cost or 0.0)

        return settle
