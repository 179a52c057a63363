"""The decision service: chooses the model that suits a request, and says why; it never serves the reply."""
