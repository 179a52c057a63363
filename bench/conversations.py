"""Measures what ten thousand live conversations take at the edge: memory, and the time to recognise a request's.

Writes bench/results/conversations.json and prints the tables.
"""

import json
import os
import resource
import statistics
import time
from hashlib import blake2b
from pathlib import Path

from edge_gateway.chat_request import Turn
from edge_gateway.conversations import Conversations, Recognised, Request

RESULT = Path(__file__).parent / "results" / "conversations.json"
STEPS = (1_000, 10_000)
TURNS = (1, 8)
CALLERS = 100
SYSTEM = "Act as an expert software developer.\n" + "Always use best practices when coding.\n" * 90
RULES = "\n\n# *SEARCH/REPLACE block* Rules:\n" + "Every block must use this format.\n" * 70


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def asked(conversation: int, turn: int) -> str:
    return f"Change number {turn} in module {conversation}, " + "and mind the tests. " * 5


def replied(conversation: int, turn: int) -> str:
    return f"Here is change {turn} of module {conversation}.\n" + "    return some_value(of, some, arguments)\n" * 40


def request(conversation: int, turn: int) -> Request:
    """The turn-th request of a conversation, with all of its history, as Aider sends it."""
    turns = [Turn("system", SYSTEM)]
    for earlier in range(turn):
        turns += [Turn("user", asked(conversation, earlier)), Turn("assistant", replied(conversation, earlier))]
    question = asked(conversation, turn)
    turns.append(Turn("user", question + RULES))
    name = f"{conversation}-{turn}".encode()
    return Request(
        caller=blake2b(bytes([conversation % CALLERS]), digest_size=8).digest(),
        stated="",
        body=hash(name),
        resent=False,
        purpose="code",
        turns=turns,
        user_text=question.strip(),
        outcome="none",
        failures=0,
        continuation=False,
        files={f"module_{conversation}_{number}.py": blake2b(name, digest_size=16).digest() for number in range(4)},
    )


def serve(known: Conversations, conversation: int, turn: int) -> tuple[Recognised, float]:
    """One exchange; what was recognised, and the seconds that recognising took."""
    made = request(conversation, turn)
    started = time.perf_counter()
    found = known.recognise(made, float(turn), f"conv_{conversation:032x}")
    known.decided(found, f"dec_{conversation:016x}{turn:016x}", True)
    took = time.perf_counter() - started
    known.ended(found.exchange, "anthropic/claude-sonnet-5-5", "completed", replied(conversation, turn), said=True)
    return found, took


def measure() -> list[dict]:
    """Fill the memory step by step, with short conversations and then longer ones."""
    rows = []
    for turns in TURNS:
        known = Conversations(max(STEPS), 86_400)
        before, done = resident_bytes(), 0
        for step in STEPS:
            for conversation in range(done, step):
                for turn in range(turns):
                    serve(known, conversation, turn)
            done = step
            times = []
            for conversation in range(0, step, step // 500):
                found, took = serve(known, conversation, turns)
                assert found.conversation_id == f"conv_{conversation:032x}", "not recognised"
                times.append(took)
            grown = resident_bytes() - before
            rows.append(
                {
                    "conversations": len(known),
                    "turns_each": turns,
                    "mb": round(grown / 1e6, 1),
                    "bytes_each": round(grown / step),
                    "recognise_p50_us": round(statistics.median(times) * 1e6, 1),
                    "recognise_p99_us": round(statistics.quantiles(times, n=100)[98] * 1e6, 1),
                }
            )
        assert len(known) == max(STEPS)
    return rows


def main() -> None:
    """Measure, print and write."""
    result = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    result["conversations"] = measure()
    for row in result["conversations"]:
        print("  " + "  ".join(f"{key} {value}" for key, value in row.items()))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
