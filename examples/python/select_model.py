"""Asks the router for a model: `python -m examples.python.select_model [HOST:PORT] [PROFILE] [PROMPT]`, from the root.

ROUTER_TOKEN is sent where the router wants a token; ROUTER_CA names the authority's certificate where it has TLS.
"""
# ruff: noqa: T201 - an example shows what it got

from __future__ import annotations

import os
import sys

from router_client import Message, Purpose, Question, Router, RouterError, Tls


def connect(target: str) -> Router:
    """One client for the life of the program, shared by all its threads."""
    authority = os.environ.get("ROUTER_CA")
    return Router(target, tls=Tls(ca=authority) if authority else None, token=os.environ.get("ROUTER_TOKEN", ""))


def explain(error: RouterError) -> str:
    """What a refusal says: the router's word for it and its sentence, and what it holds against each field or model."""
    if not error.reason:
        # It did not come from the router: there is none, or it did not answer in time.
        return f"failed: {error.status or 'not sent'}: {error}"
    lines = [f"refused: {error.reason}: {error}"]
    lines += [f"  {violation.field}: {violation.description}" for violation in error.fields]
    lines += [f"  {entry.model}: {entry.detail}" for entry in error.removed]
    return "\n".join(lines)


def main(target: str = "127.0.0.1:50051", profile: str = "auto", prompt: str = "Rename a variable.") -> int:
    """Print the model and the reason; 1 when there is no decision."""
    question = Question(profile=profile, purpose=Purpose.CODE, messages=(Message("user", prompt),))
    with connect(target) as router:
        try:
            decision = router.select(question, timeout=10)
        except RouterError as error:
            print(explain(error), file=sys.stderr)
            return 1
    print(f"model: {decision.model}")
    print(f"reason: {decision.reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
