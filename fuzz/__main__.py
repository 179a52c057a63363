"""Runs every target for a while and says what came of it: `python -m fuzz [--seconds 60 | --runs 20000] [TARGET …]`."""

import argparse
import hashlib
import importlib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("event_stream", "client_key", "keys_file", "request", "provider_answer")
# What is found is kept here, and what was learnt on the way beside it; git gets neither.
FINDINGS, CORPUS = ROOT / "fuzz" / "findings", ROOT / "fuzz" / "corpus"
SEED, LONGEST = 20261126, 4096
_DONE = re.compile(r"Done (\d+) runs|stat::number_of_executed_units:\s+(\d+)")
_WHAT = re.compile(r"^(?:Uncaught Python exception|.*(?:Error|Exception)\b).*$|^==\d+== ?ERROR.*$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What a target came to: how often it was run, and what it found, empty for nothing."""

    executions: int
    finding: str


def run(name: str, *bounds: str) -> Outcome:
    """Run one target within these bounds, from its seeds and what earlier runs have learnt."""
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    FINDINGS.mkdir(exist_ok=True)
    for seed in importlib.import_module(f"fuzz.{name}").SEEDS:
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = (f"-seed={SEED}", f"-max_len={LONGEST}", f"-artifact_prefix={FINDINGS}/{name}-", "-print_final_stats=1")
    argv = [sys.executable, "-m", "fuzz.run", name, *options, "-timeout=10", *bounds, str(corpus)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    told = done.stdout + done.stderr
    counts = [int(one or other) for one, other in _DONE.findall(told)]
    if done.returncode == 0:
        return Outcome(max(counts, default=0), "")
    words = _WHAT.findall(told)
    return Outcome(max(counts, default=0), (words[-1] if words else f"it ended with {done.returncode}: {told[-500:]}"))


def main() -> int:
    """1 where anything was found; the input that did it lies in fuzz/findings/."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for so long each")
    parser.add_argument("--runs", type=int, default=0, help="so many executions each, in place of a time")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    asked = parser.parse_args()
    bounds = (f"-runs={asked.runs}",) if asked.runs else (f"-max_total_time={asked.seconds}",)
    found = False
    for name in asked.targets or TARGETS:
        outcome = run(name, *bounds)
        print(f"{name}: {outcome.executions:,} executions, {outcome.finding or 'nothing found'}", flush=True)
        found = found or bool(outcome.finding)
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
