"""Answers kept for the very same request of the same caller: exact, whole, for a short time.

Only what finished with a 200 is kept, and only of requests that want the same answer again (temperature 0); an answer that
is heard to have fared badly is forgotten. The bytes are the provider's, so a stream is answered with the stream that was.
"""

from edge_gateway.cache.answers import Answers, Kept, Recording, Wish, key_of, wish_of
from edge_gateway.cache.stores import MemoryStore, Store

__all__ = ["Answers", "Kept", "MemoryStore", "Recording", "Store", "Wish", "key_of", "wish_of"]
