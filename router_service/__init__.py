"""The decision service: chooses the model that suits a request, and says why; it never serves the reply."""

__version__ = "0.1.0"
