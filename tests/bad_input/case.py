"""One bad input: what is sent, what must come back and how soon; and the judgement of what came."""

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.bad_input.house import House
from tests.bad_input.wire import Answer, Exchange, Step, exchange
from tests.processes import http_ok

# No input may lead to these: the one is a fault of ours, at the other Aider crashes.
NEVER = frozenset({500, 422})
ADDRESS = re.compile(r"[a-z]+://|www\.", re.IGNORECASE)


@dataclass
class Seen:
    """What came of an input: in words for the table, as statuses and codes for the judgement; `reply`: what gRPC gave."""

    words: str
    statuses: list[int] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    closed: bool = False
    late: bool = False
    reply: Any = None


Check = Callable[[House, Seen], str]
# Sends an input, and says what came of it within so many seconds.
Act = Callable[[House, float], Seen]


def nothing_more(_house: House, _seen: Seen) -> str:
    """Nothing else has to hold."""
    return ""


@dataclass(frozen=True)
class Expected:
    """What must come back.

    `statuses`: of each answer, which may be any of several. `codes`: of the errors, any of them. `silent`: the server may close
    instead of answering. `closes`: it must close, answered or not. `forwarded`: how many requests reach Portkey; None for one
    a 200. `check`: what else has to hold; it tells what does not.
    """

    statuses: tuple[frozenset[int], ...] = ()
    codes: frozenset[str] = frozenset()
    silent: bool = False
    closes: bool = False
    forwarded: int | None = None
    check: Check = nothing_more


@dataclass(frozen=True)
class Case:
    """One row of the table; `seconds`: within which it must be over.

    `note`: where the product as documented differs from the list of bad inputs, and why.
    """

    id: str
    what: str
    act: Act
    expected: Expected
    seconds: float = 5.0
    note: str = ""

    @property
    def name(self) -> str:
        """The case's name in pytest's words."""
        return f"{self.id} {self.what}"


@dataclass(frozen=True)
class Verdict:
    """How a case went; `problem` is empty when all was as it must be."""

    case: Case
    seen: str
    milliseconds: float
    problem: str


def refused(
    *statuses: int, code: str = "", closes: bool = False, silent: bool = False, check: Check = nothing_more
) -> Expected:
    """One error, with one of these statuses; nothing is forwarded."""
    return Expected((frozenset(statuses),), _only(code), silent, closes, 0, check)


def served(check: Check = nothing_more, *, forwarded: int = 1) -> Expected:
    """A 200."""
    return Expected((frozenset({200}),), forwarded=forwarded, check=check)


def either(*statuses: int, check: Check = nothing_more) -> Expected:
    """Served or refused, as the product sees fit: but as one of these."""
    return Expected((frozenset(statuses),), check=check)


def closed(*statuses: int, code: str = "") -> Expected:
    """The connection is closed; if there is an answer before, then one of these."""
    return Expected((frozenset(statuses),), _only(code), silent=True, closes=True, forwarded=0)


def _only(code: str) -> frozenset[str]:
    return frozenset({code}) if code else frozenset()


def http(
    steps: Iterable[Step] | bytes | Callable[[House], Iterable[Step]],
    *,
    answers: int = 1,
    to_close: bool = False,
    bodiless: bool = False,
    form: str = "openai",
) -> Act:
    """Do these steps on a connection to the edge, and judge the form of the errors that come back."""

    def act(house: House, seconds: float) -> Seen:
        todo = [steps] if isinstance(steps, bytes) else steps(house) if callable(steps) else steps
        came = exchange(house.edge_port, todo, seconds, answers=answers, to_close=to_close, bodiless=bodiless)
        return _seen(came, form, bodiless=bodiless)

    return act


def judge(case: Case, house: House, busy: float = 0.0) -> Verdict:
    """Send the input, and say what is not as it must be; `busy`: seconds that it may take longer than the case says."""
    house.forget()
    started = time.monotonic()
    try:
        seen = case.act(house, case.seconds + busy)
    except Exception as error:
        # Whatever goes wrong with one case is told of that case.
        seen = Seen("", problems=[f"{type(error).__name__}: {error}"[:300]])
    took = time.monotonic() - started
    problems = [*seen.problems, *_differences(case, seen, took, case.seconds + busy)]
    if not http_ok(f"http://127.0.0.1:{house.edge_port}/healthz"):
        problems.append("the edge does not answer any more")
    if not problems:
        problems += [_forwards(case.expected, seen, len(house.tap.asked)), case.expected.check(house, seen)]
    return Verdict(case, seen.words, took * 1000, "; ".join(filter(None, problems)))


def _differences(case: Case, seen: Seen, took: float, most: float) -> list[str]:
    expected, problems = case.expected, []
    if seen.late:
        problems.append(f"not within {most:g} s")
    elif took > most:
        problems.append(f"took {took:.1f} s, more than {most:g}")
    if len(seen.statuses) < len(expected.statuses) and not (expected.silent and seen.closed):
        problems.append(f"{len(seen.statuses)} answers of {len(expected.statuses)}")
    for status, allowed in zip(seen.statuses, expected.statuses, strict=False):
        if status not in allowed:
            problems.append(f"{status} is none of {sorted(allowed)}")
    if expected.codes and not expected.codes.issuperset(seen.codes):
        problems.append(f"code {seen.codes} in place of {sorted(expected.codes)}")
    if expected.closes and not seen.closed:
        problems.append("the connection was not closed")
    return problems


def _forwards(expected: Expected, seen: Seen, forwarded: int) -> str:
    wanted = seen.statuses.count(200) if expected.forwarded is None else expected.forwarded
    return "" if forwarded == wanted else f"{forwarded} requests reached Portkey in place of {wanted}"


def _seen(came: Exchange, form: str, *, bodiless: bool) -> Seen:
    seen = Seen("", answers=came.answers, interim=came.interim, closed=came.closed, late=came.late)
    seen.statuses = [answer.status for answer in came.answers]
    for answer in came.answers:
        if answer.status in NEVER:
            seen.problems.append(f"{answer.status} must never be")
        if answer.status >= 400 and not bodiless:
            code, problem = _error_of(answer, form)
            seen.codes += [code] if code else []
            seen.problems += [problem] if problem else []
    if not came.answers and came.raw:
        seen.problems.append(f"no HTTP answer: {came.raw[:60]!r}")
    told = [f"{status}" for status in seen.statuses] + seen.codes + ["closed"] * came.closed + ["late"] * came.late
    seen.words = " ".join(told)
    return seen


def _error_of(answer: Answer, form: str) -> tuple[str, str]:
    """The code of an error, and what is wrong with its form."""
    try:
        document = json.loads(answer.body)
        error = document["error"]
        message = error["message"]
    except (ValueError, KeyError, TypeError):
        return "", f"no error object: {answer.body[:60]!r}"
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return "", f"an error as {answer.headers.get('content-type')}"
    if not message or not isinstance(message, str) or ADDRESS.search(message):
        return "", f"the message is empty or holds an address: {message!r}"
    if form == "anthropic":
        told = document.get("type") == "error" and isinstance(error.get("type"), str)
        return error.get("type", ""), "" if told else f"not in Anthropic's form: {answer.body[:80]!r}"
    if not {"type", "param", "code"} <= error.keys():
        return "", f"not in OpenAI's form: {answer.body[:80]!r}"
    return error["code"], ""
