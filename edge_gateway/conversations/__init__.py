"""Which conversation a request belongs to, which earlier reply it tells of, and what that reply came to.

A client may name its conversation. Where it does not, what was relayed is recognised when it comes back as history: only
digests are kept, for each caller apart, in the memory of this process. Behind several edges let clients name their
conversations, or let the balancer send a key's requests to the same edge; else a conversation is merely not recognised.
"""

from edge_gateway.conversations.identity import caller, identify, tenant
from edge_gateway.conversations.memory import Exchange, Verdict
from edge_gateway.conversations.recognition import Conversations, Recognised
from edge_gateway.conversations.request import Request, Turn

__all__ = ["Conversations", "Exchange", "Recognised", "Request", "Turn", "Verdict", "caller", "identify", "tenant"]
