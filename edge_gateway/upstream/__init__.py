"""HTTP/1.1 to one server, as lean as it can be: connections kept for a while, each for one exchange at a time.

A client of many abilities takes a third of a millisecond more for each request.
"""

from edge_gateway.upstream.address import Address
from edge_gateway.upstream.connection import Connection
from edge_gateway.upstream.exchange import Broken, Exchange
from edge_gateway.upstream.pool import Pool

__all__ = ["Address", "Broken", "Connection", "Exchange", "Pool"]
