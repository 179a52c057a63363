"""The edge: takes OpenAI HTTP requests, has the router choose a model, dispatches through Portkey, relays the bytes."""

__version__ = "0.1.0"
