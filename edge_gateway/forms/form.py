"""What a form of API is to the edge: how clients ask in it, how answers are read, and how errors are told in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_gateway.chat_request import ChatRequest
from edge_gateway.errors import GatewayError
from edge_gateway.event_stream import Piece, Said, Usage


@dataclass(frozen=True, slots=True)
class Form:
    """One form of API.

    `path`: behind the base URL. `routed`: it carries messages, so that a profile may be asked for. `parse`: what routing
    needs of a request. `read_event`: what the data of a stream's event says. `read_plain`: the usage and the words of an
    answer that is not streamed, None when it is no answer. `error_body`, `error_event`: an error, plain and in a stream.
    """

    name: str
    path: str
    routed: bool
    parse: Callable[[bytes], ChatRequest]
    read_event: Callable[[bytes], Piece | None]
    read_plain: Callable[[bytes], tuple[Usage, Said] | None]
    error_body: Callable[[GatewayError], bytes] = GatewayError.body
    error_event: Callable[[GatewayError], bytes] = GatewayError.event
