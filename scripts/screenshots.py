"""Takes the pictures of the page in docs/images/: starts the demo system, has much decided, and looks at it.

`python -m scripts.screenshots`; it needs Debian's chromium (scripts/test-servers.sh). What the pictures show is
made up: requests that nobody had, whose replies fare as a seeded die says, decided by the real router.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from playwright.sync_api import Browser, sync_playwright

from protos.router.v1 import router_pb2 as pb
from protos.router.v1 import router_pb2_grpc
from tests.processes import ROOT, Process, free_port, http_ok, python, start_edge, start_portkey, start_router

IMAGES = ROOT / "docs" / "images"
LARGEST = 200_000
CONVERSATIONS, MOST_TURNS = 70, 9
PROVIDERS = ("openai", "anthropic", "gemini", "deepseek", "moonshot")
# Purposes as a day with Aider has them, and how replies fare: the better the model is at it, the better.
PURPOSES = {pb.PURPOSE_CODE: 10, pb.PURPOSE_ASK: 3, pb.PURPOSE_COMMIT: 4, pb.PURPOSE_ARCHITECT: 1}
PROFILES = {pb.PURPOSE_COMMIT: "auto-weak", pb.PURPOSE_ARCHITECT: "auto-architect"}
FAILURES = (pb.OUTCOME_EDIT_FAILED, pb.OUTCOME_LINT_FAILED, pb.OUTCOME_COMMAND_FAILED, pb.OUTCOME_UNDONE)
PROMPT = "Rename the class Basket to Cart in shop/basket.py, and keep the old name as an alias until the next release."


def main() -> int:
    """Take the pictures; 1 where there is no browser or one is too large."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("There is no chromium here; scripts/test-servers.sh installs it as root on Debian.")
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with demo_system() as (page, edge, router), sync_playwright() as playwright:
        fill(router)
        send(edge)
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=alone)
        take(browser, page)
        browser.close()
    sizes = {path.name: path.stat().st_size for path in sorted(IMAGES.glob("*.png"))}
    for name, size in sizes.items():
        print(f"{name}: {size / 1000:.0f} kB")
    return int(max(sizes.values()) > LARGEST)


@contextmanager
def demo_system() -> Iterator[tuple[str, str, int]]:
    """The system as `make run` starts it, on free ports; the page's address, the edge's, and the router's port."""
    router, portkey, demo, edge, page = (free_port() for _ in range(5))
    with ExitStack() as started, tempfile.TemporaryDirectory() as folder:

        def running(process: Process) -> None:
            started.callback(process.stop)

        running(start_router(router, ROUTER_LEDGER_URL=f"sqlite:///{Path(folder) / 'router.sqlite'}"))
        running(start_portkey(portkey))
        running(
            python("demo", {"DEMO_LISTEN": f"127.0.0.1:{demo}"}).ready_when(
                lambda: http_ok(f"http://127.0.0.1:{demo}/healthz")
            )
        )
        running(
            start_edge(
                edge,
                EDGE_PAGE_LISTEN=f"127.0.0.1:{page}",
                EDGE_ROUTER=f"dns:///127.0.0.1:{router}",
                EDGE_DEMO_URL=f"http://127.0.0.1:{demo}/v1",
                PORTKEY_BASE_URL=f"http://127.0.0.1:{portkey}/v1",
            )
        )
        yield f"http://127.0.0.1:{page}", f"http://127.0.0.1:{edge}", router


def fill(router: int) -> None:
    """Have the requests of some conversations decided, and tell how their replies fared."""
    die = random.Random(7)  # noqa: S311 - a die
    with grpc.insecure_channel(f"127.0.0.1:{router}") as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)
        quality = {model.id: model.quality for model in stub.ListModels(pb.ListModelsRequest(), timeout=5).models}
        talks = [f"{die.getrandbits(48):012x}" for _ in range(CONVERSATIONS)]
        for talk in talks:
            previous = pb.PreviousReply(outcome=pb.OUTCOME_NONE)
            for _ in range(die.randint(2, MOST_TURNS)):
                previous = turn(stub, die, talk, previous, quality)


def turn(
    stub: router_pb2_grpc.RouterServiceStub,
    die: random.Random,
    talk: str,
    previous: pb.PreviousReply,
    quality: dict[str, float],
) -> pb.PreviousReply:
    """One request, and how its reply fares."""
    failed = previous.outcome in FAILURES
    [purpose] = die.choices(list(PURPOSES), list(PURPOSES.values())) if not failed else [pb.PURPOSE_CODE]
    tokens = die.randint(2_000, 30_000)
    request = pb.SelectModelRequest(
        messages=[pb.Message(role="user", text=PROMPT)],
        profile=PROFILES.get(purpose, "auto"),
        purpose=purpose,
        conversation_id=talk,
        requirements=pb.Requirements(input_tokens=tokens),
        available_providers=PROVIDERS,
        previous_reply=previous,
        edit_format="diff" if purpose == pb.PURPOSE_CODE else "",
    )
    decision = stub.SelectModel(request, timeout=5)
    edits = purpose == pb.PURPOSE_CODE
    well = die.random() < 0.35 + 0.6 * quality.get(decision.model, 0.5)
    outcome = pb.OUTCOME_COMPLETED if not edits else pb.OUTCOME_APPLIED if well else die.choice(FAILURES)
    first = die.lognormvariate(0.1, 0.6)
    report = pb.ReportOutcomeRequest(
        decision_id=decision.decision_id,
        served_model=decision.model,
        outcome=outcome,
        input_tokens=tokens,
        cached_input_tokens=tokens // 2,
        output_tokens=die.randint(150, 1800),
    )
    report.time_to_first_byte.FromNanoseconds(int(first * 1e9))
    report.latency.FromNanoseconds(int((first + die.uniform(2, 20)) * 1e9))
    stub.ReportOutcome(report, timeout=5)
    if not edits:
        return pb.PreviousReply(outcome=pb.OUTCOME_NONE)
    return pb.PreviousReply(
        outcome=outcome,
        model=decision.model,
        decision_id=decision.decision_id,
        consecutive_failures=0 if well else previous.consecutive_failures + 1,
    )


def send(edge: str) -> None:
    """One prompt all the way to a demo model."""
    body = {"model": "demo/large", "messages": [{"role": "user", "content": "Write a haiku on routing."}]}
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{edge}/v1/chat/completions", json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        answer.read()


def take(browser: Browser, address: str) -> None:
    """The pictures, each of a page that has come to rest."""
    wide = {"viewport": {"width": 1280, "height": 1000}, "reduced_motion": "reduce"}
    phone = {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "reduced_motion": "reduce",
    }
    looks = {
        "page-light": {**wide, "color_scheme": "light"},
        "page-dark": {**wide, "color_scheme": "dark"},
        "page-phone": {**phone, "color_scheme": "light"},
    }
    for name, look in looks.items():
        context = browser.new_context(**look)
        shown = context.new_page()
        shown.goto(address)
        shown.get_by_text("Live", exact=True).wait_for()
        shown.screenshot(path=IMAGES / f"{name}.png")
        context.close()
    context = browser.new_context(**{**wide, "viewport": {"width": 1280, "height": 860}}, color_scheme="light")
    shown = context.new_page()
    shown.goto(f"{address}/?source=escalated")
    shown.get_by_text("Live", exact=True).wait_for()
    shown.locator("a.open").first.click()
    shown.get_by_role("heading", name="Ranking").wait_for()
    shown.screenshot(path=IMAGES / "decision.png")
    context.close()


if __name__ == "__main__":
    sys.exit(main())
