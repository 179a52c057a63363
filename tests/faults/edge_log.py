"""What an edge's log says of one answer."""

from tests.faults.asking import Answer, until
from tests.processes import Process, log_events


async def line_of(edge: Process, answer: Answer) -> dict:
    """The log line of the completion that led to this answer."""

    def lines() -> list[dict]:
        wanted = answer.headers["x-request-id"]
        return [line for line in log_events(edge, "completion") if line["request_id"] == wanted]

    await until(lines, "the completion's log line")
    (line,) = lines()
    return line


class Since:
    """The log lines of one kind that come from now on."""

    def __init__(self, process: Process, event: str) -> None:
        self._process = process
        self._event = event
        self._before = len(log_events(process, event))

    def lines(self) -> list[dict]:
        return log_events(self._process, self._event)[self._before :]
