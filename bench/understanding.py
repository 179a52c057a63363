"""Measures what reading a request costs: CPU time of parsing it and of understanding it, as the request grows.

Writes bench/results/understanding.json and prints the table.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from edge_gateway import aider, chat_request

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


def cpu_ms(work: Callable[[], object]) -> float:
    """The median CPU time of many rounds, milliseconds."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time_ns()
        work()
        rounds.append(time.process_time_ns() - started)
    return statistics.median(rounds) / 1e6


def measured(size: int) -> dict:
    raw = body(size)
    request = chat_request.parse(raw)
    found = aider.understand(request)
    assert (found.previous_outcome, found.failures, len(found.files)) == ("lint_failed", 2, 8), found
    return {
        "bytes": len(raw),
        "turns": len(request.turns),
        "files": len(found.files),
        "parse_ms": round(cpu_ms(lambda: chat_request.parse(raw)), 3),
        "understand_ms": round(cpu_ms(lambda: aider.understand(request)), 3),
        "both_ms": round(cpu_ms(lambda: aider.understand(chat_request.parse(raw))), 3),
    }


def main() -> None:
    """Measure, print and write."""
    result: dict = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    result["understanding"] = [measured(size) for size in SIZES]
    print("understanding (median CPU time)")
    for row in result["understanding"]:
        print("  " + "  ".join(f"{key} {value}" for key, value in row.items()))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
