"""The forms of API that clients may speak; each is read here, and none is remodelled."""

from edge_gateway.errors import GatewayError
from edge_gateway.forms.chat import CHAT
from edge_gateway.forms.completions import COMPLETIONS
from edge_gateway.forms.embeddings import EMBEDDINGS
from edge_gateway.forms.form import Form
from edge_gateway.forms.messages import MESSAGES
from edge_gateway.forms.responses import RESPONSES

__all__ = ["CHAT", "COMPLETIONS", "EMBEDDINGS", "MESSAGES", "RESPONSES", "Form", "error_body"]


def error_body(path: str, error: GatewayError) -> bytes:
    """The error in the form whose path was asked for."""
    return MESSAGES.error_body(error) if MESSAGES.path in path else error.body()
