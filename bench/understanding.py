"""Measures what reading a request costs: CPU time of parsing, understanding and recognising it, as the request grows.

Writes bench/results/understanding.json and prints the table.
"""

import json
import os
import statistics
import time
from itertools import pairwise
from pathlib import Path

from edge_gateway import aider, chat_request
from edge_gateway.aider import Understanding
from edge_gateway.chat_request import ChatRequest
from edge_gateway.conversations import Conversations, Request

RESULT = Path(__file__).parent / "results" / "understanding.json"
SIZES = (2_000, 100_000, 400_000, 1_000_000)
ROUNDS = 300
RULES = """# *SEARCH/REPLACE block* Rules:

Every *SEARCH/REPLACE block* must use this format:
1. The *FULL* file path alone on a line, verbatim.
2. The opening fence and code language, eg: ```python
3. The start of search block: <<<<<<< SEARCH

Reply in English.
ONLY EVER RETURN CODE IN A *SEARCH/REPLACE BLOCK*!
"""
PROMPT = f"""Act as an expert software developer.
Always use best practices when coding.
Take requests for changes to the supplied code.

Describe each change with a *SEARCH/REPLACE block* per the examples below.

{RULES}"""
LINE = '    return {"total": sum(line.price * line.quantity for line in self.lines), "currency": self.currency}\n'
# Every tenth line holds what ASCII does not, as source code does.
COMMENT = "    # Größe in Metern — siehe „Maße“, 寸法も参照\n"


def code(characters: int) -> str:
    block = "def total(self):\n" + LINE * 9 + COMMENT
    return (block * (characters // len(block) + 1))[:characters] + "\n"


def messages(room: int) -> list[dict[str, str]]:
    """A turn of Aider's whose history, map and files fill `room` characters: 1 part of history, 1 of map, 8 of files."""
    history = [("user", "Add a total to the order"), ("assistant", f"orders.py\n```python\n{code(room // 10)}```")]
    files = "".join(f"\nsrc/module_{number}.py\n```\n{code(room // 10)}```\n" for number in range(8))
    turns = [
        ("system", PROMPT),
        (
            "user",
            "Here are summaries of some files present in my git repository.\n" + "│def total(self):\n" * (room // 170),
        ),
        ("assistant", "Ok, I won't try and edit those files without asking first."),
        *history,
        ("user", "I didn't see any properly formatted edits in your reply?!"),
        ("assistant", "Ok."),
        ("user", f"# 1 SEARCH/REPLACE block failed to match!\n\n## SearchReplaceNoExactMatch\n{LINE}"),
        history[1],
        ("user", "I committed the changes with git hash 59ea720 & commit msg: feat: total"),
        ("assistant", "Ok."),
        ("user", f"I have *added these files to the chat* so you can go ahead and edit them.\n\n{files}"),
        ("assistant", "Ok, any changes I propose will be to those files."),
        ("user", f"# Fix any errors below, if possible.\n\n{LINE}\n\n{RULES}"),
    ]
    return [{"role": role, "content": text} for role, text in turns]


def body(size: int) -> bytes:
    """A request of about `size` bytes."""

    def encoded(room: int) -> bytes:
        request = {"model": "auto", "messages": messages(room), "stream": True, "temperature": 0}
        return json.dumps(request, ensure_ascii=False).encode()

    room = size // 2
    for _ in range(6):
        room = max(0, room + int((size - len(encoded(room))) * 0.8))
    return encoded(room)


def asked(raw: bytes, request: ChatRequest, understood: Understanding) -> Request:
    """What recognising needs, as completion puts it together."""
    return Request(
        caller=b"caller",
        stated="",
        body=hash(raw),
        resent=False,
        purpose=understood.purpose,
        turns=request.turns,
        user_text=understood.user_text,
        outcome=understood.previous_outcome,
        failures=understood.failures,
        continuation=understood.continuation,
        files={file.name: file.digest for file in understood.files},
    )


def timed(raw: bytes, known: Conversations, number: int) -> tuple[float, ...]:
    """CPU milliseconds of reading one request that came just now: parse, understand, recognise, and all of it."""
    # Python remembers the hash of a string, so each round has bytes and strings of its own.
    raw = bytes(bytearray(raw))
    marks = [time.process_time_ns()]
    request = chat_request.parse(raw)
    marks.append(time.process_time_ns())
    understood = aider.understand(request)
    marks.append(time.process_time_ns())
    recognised = known.recognise(asked(raw, request, understood), float(number), f"conv_{number}")
    known.decided(recognised, f"dec_{number}", reported=True)
    marks.append(time.process_time_ns())
    known.ended(recognised.exchange, "fake/model", "completed", "Done.", said=True)
    steps = [(after - before) / 1e6 for before, after in pairwise(marks)]
    return (*steps, sum(steps))


def measured(size: int) -> dict:
    """The median of many rounds, each the next request of a conversation that the one before belongs to."""
    raw = body(size)
    request = chat_request.parse(raw)
    found = aider.understand(request)
    assert (found.previous_outcome, found.failures, len(found.files)) == ("lint_failed", 2, 8), found
    known = Conversations(10_000, 86_400)
    rounds = [timed(raw, known, number) for number in range(ROUNDS)]
    costs = zip(("parse_ms", "understand_ms", "recognise_ms", "all_ms"), zip(*rounds, strict=True), strict=True)
    return {
        "bytes": len(raw),
        "turns": len(request.turns),
        "files": len(found.files),
        **{name: round(statistics.median(times), 3) for name, times in costs},
    }


def hostile(count: int) -> dict:
    """Requests made to be slow, of some `count` bytes; the worst of a few rounds."""
    said = "USER: a\nASSISTANT: b\n"
    turns = {
        "tiny turns of a chat": [("user" if n % 2 else "assistant", "x") for n in range(count // 35)] + [("user", "x")],
        "tiny turns of Aider's": [("system", PROMPT)]
        + [("user" if n % 2 else "assistant", "x") for n in range(count // 35)]
        + [("user", "x")],
        "a commit of tiny turns": [
            ("system", "Generate concise, one-line Git commit messages."),
            ("user", said * (count // len(said)) + "# Diffs:\ndiff --git a/x b/x\n@@ -1 +1 @@\n"),
        ],
        "one text, sixteen replies": [("system", PROMPT), ("user", "w " * (count // 2))]
        + [("assistant", f"r{n} " + "z" * 100) for n in range(16)]
        + [("user", "next")],
    }
    found = {}
    for name, made in turns.items():
        request = {"model": "auto", "messages": [{"role": role, "content": text} for role, text in made]}
        raw = json.dumps(request).encode()
        known = Conversations(10_000, 86_400)
        rounds = [timed(raw, known, number) for number in range(3)]
        found[name] = {
            "bytes": len(raw),
            "recognise_ms": round(max(times[2] for times in rounds), 1),
            "all_ms": round(max(times[3] for times in rounds), 1),
        }
    return found


def main() -> None:
    """Measure, print and write."""
    result: dict = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    result["understanding"] = [measured(size) for size in SIZES]
    print("understanding (median CPU time)")
    for row in result["understanding"]:
        print("  " + "  ".join(f"{key} {value}" for key, value in row.items()))
    result["hostile"] = hostile(16_000_000)
    print("requests made to be slow (worst of 3)")
    for name, row in result["hostile"].items():
        print(f"  {name}: " + "  ".join(f"{key} {value}" for key, value in row.items()))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
