"""The steps of docs/how-to/tls.md, one after another: its certificate and its token are what a router and a caller need."""

import re
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import marked, needs_its_programs
from tests.processes import NEVER, QUIET_ROUTER, ROOT, free_port, log_events, python

BLOCKS = [block for block in marked("run") if block.page.name == "tls.md"]


def test_a_router_and_its_caller_meet_over_what_the_page_makes(tmp_path: Path):
    certificate, token = BLOCKS
    needs_its_programs(certificate)
    subprocess.run(["bash", "-euc", certificate.text], cwd=tmp_path, check=True, capture_output=True, timeout=NEVER)
    made = subprocess.run(
        ["bash", "-euc", token.text], cwd=ROOT, check=True, capture_output=True, text=True, timeout=NEVER
    )
    secret = re.search(r"TOKEN`:\n(\S+)", made.stdout)
    line = re.search(r"^edge [0-9a-f]{64}$", made.stdout, re.MULTILINE)
    assert secret
    assert line
    config = tmp_path / "config"
    (config / "tokens").write_text(line.group() + "\n")
    port = free_port()
    env = {
        **QUIET_ROUTER,
        "ROUTER_LISTEN": f"127.0.0.1:{port}",
        "ROUTER_TLS_CERT": str(config / "router.crt"),
        "ROUTER_TLS_KEY": str(config / "router.key"),
        "ROUTER_TOKENS_FILE": str(config / "tokens"),
    }
    router = python("router_service", env)
    try:
        router.ready_when(lambda: bool(log_events(router, "listening")))
        asked = [sys.executable, "-m", "examples.python.select_model", f"localhost:{port}"]
        known = {"PATH": "/usr/bin:/bin", "ROUTER_CA": str(config / "router.crt")}
        let_in = subprocess.run(
            asked,
            cwd=ROOT,
            env={**known, "ROUTER_TOKEN": secret.group(1)},
            capture_output=True,
            text=True,
            check=False,
            timeout=NEVER,
        )
        stranger = subprocess.run(
            asked, cwd=ROOT, env=known, capture_output=True, text=True, check=False, timeout=NEVER
        )
    finally:
        router.stop()
    assert "model: " in let_in.stdout, let_in.stderr
    assert "UNAUTHENTICATED" in stranger.stderr
