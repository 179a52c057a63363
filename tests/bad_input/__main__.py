"""Runs every case and prints the table: `make bad-input`, or `python -m tests.bad_input B43 G14` for some entries."""

import sys

from tests.bad_input.aftermath import complaints, left_over, warmed_up
from tests.bad_input.case import Verdict, judge
from tests.bad_input.house import running
from tests.bad_input.table import CASES


def main(entries: list[str]) -> int:
    """0 when everything is as it must be."""
    cases = [case for case in CASES if not entries or case.id in entries]
    wrong = 0
    with running() as house:
        before = warmed_up(house)
        print(f"{'id':4} {'what':62} {'answer seen':44} {'ms':>7}  ok")
        for case in cases:
            verdict = judge(case, house)
            wrong += bool(verdict.problem)
            print(line(verdict), flush=True)
        after, problems = left_over(house, before)
        print(f"\n{'':18} {'MiB before':>10} {'after':>6} {'files before':>13} {'after':>6}")
        for name, was in before.items():
            now = after[name]
            print(f"{name:18} {was.resident >> 20:10} {now.resident >> 20:6} {was.files:13} {now.files:6}")
        problems += complaints(house)
    for problem in problems:
        print(problem)
    print(f"\n{len(cases)} cases, {wrong} wrong; {len(problems)} problems left over")
    return 1 if wrong or problems else 0


def line(verdict: Verdict) -> str:
    """One row of the table."""
    case = verdict.case
    what = case.what if len(case.what) <= 62 else f"{case.what[:61]}…"
    seen = verdict.seen if len(verdict.seen) <= 44 else f"{verdict.seen[:43]}…"
    end = f"NO: {verdict.problem}" if verdict.problem else "yes"
    return f"{case.id:4} {what:62} {seen:44} {verdict.milliseconds:7.0f}  {end}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
