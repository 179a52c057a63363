"""Asks the router by its client; an error is the sentence that the user of this command reads."""

from console.router.connection import RouterProblem, connected

__all__ = ["RouterProblem", "connected"]
