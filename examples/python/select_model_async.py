"""Asks the router many things from an event loop, and watches: `python -m examples.python.select_model_async [HOST:PORT]`."""
# ruff: noqa: T201 - an example shows what it got

from __future__ import annotations

import asyncio
import sys

from router_client import AsyncRouter, Outcome, Purpose, Question, Report, RouterError

PURPOSES = (Purpose.CODE, Purpose.ASK, Purpose.COMMIT)


async def ask(target: str) -> None:
    """Print a decision for each purpose, and what a watch told of them."""
    async with AsyncRouter(target) as router, router.watch(tenant="example") as events:
        questions = [Question(profile="auto", purpose=purpose, tenant="example") for purpose in PURPOSES]
        to_hear = 0
        async for place, decision in router.select_stream(questions, timeout=2):
            if isinstance(decision, RouterError):
                print(f"{PURPOSES[place]}: refused: {decision}")
                continue
            print(f"{PURPOSES[place]}: {decision.model}")
            # … here the model is asked. What it used gives the cost, and corrects what replies are expected to be like.
            await router.report(
                Report(decision_id=decision.decision_id, served_model=decision.model, outcome=Outcome.COMPLETED)
            )
            to_hear += 2
        for _ in range(to_hear):
            event = await anext(events)
            told = f"reported {event.outcome}" if isinstance(event, Report) else f"decided {event.model}"
            print(f"watched: {event.decision_id} {told}")


def main(target: str = "127.0.0.1:50051") -> int:
    """1 when the router does not answer."""
    try:
        asyncio.run(ask(target))
    except RouterError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
