"""The forms of API that clients may speak; each is read here, and none is remodelled."""

from edge_gateway.forms.chat import CHAT
from edge_gateway.forms.completions import COMPLETIONS
from edge_gateway.forms.embeddings import EMBEDDINGS
from edge_gateway.forms.form import Form
from edge_gateway.forms.messages import MESSAGES
from edge_gateway.forms.responses import RESPONSES

__all__ = ["CHAT", "COMPLETIONS", "EMBEDDINGS", "MESSAGES", "RESPONSES", "Form"]
