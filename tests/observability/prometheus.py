"""Runs Prometheus's own programs: promtool, and a server on a free loopback port."""

import json
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import NEVER, ROOT, Process, free_port, http_ok

FOLDER = ROOT / "deploy" / "observability"
PROGRAM, TOOL = shutil.which("prometheus"), shutil.which("promtool")
MISSING = "no Prometheus on this machine; install it with: apt-get install prometheus"


def promtool(*words: str, standard_input: str = "") -> str:
    """What it says; the test fails with that where it objects."""
    if TOOL is None:
        # pytest prints the reason: -ra stands in pyproject.toml.
        pytest.skip(MISSING)
    argv = [TOOL, *words]
    done = subprocess.run(argv, cwd=ROOT, input=standard_input, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class PrometheusServer:
    """A Prometheus with the configuration that is shipped, but for where the services are and how often it looks."""

    def __init__(self, targets: dict[str, int]) -> None:
        """`targets`: the port of each job."""
        if PROGRAM is None:
            pytest.skip(MISSING)
        self._folder = Path(tempfile.mkdtemp(prefix="prometheus-"))
        configuration = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration["rule_files"] = [str(FOLDER / name) for name in configuration["rule_files"]]
        for job in configuration["scrape_configs"]:
            job["static_configs"] = [{"targets": [f"127.0.0.1:{targets[job['job_name']]}"]}]
        path = self._folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(configuration))
        self._port = free_port()
        argv = [PROGRAM, f"--config.file={path}", f"--storage.tsdb.path={self._folder}/data"]
        argv += [f"--web.listen-address=127.0.0.1:{self._port}"]
        ready = f"http://127.0.0.1:{self._port}/-/ready"
        self._process = Process(argv, {}, "prometheus").ready_when(lambda: http_ok(ready))

    def ask(self, path: str, **fields: str) -> Any:
        """The data of an answer of its API."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(fields)}"
        with urllib.request.urlopen(url, timeout=NEVER) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float | None:
        """The one value of an expression now; None where it has none."""
        found = self.ask("query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else None

    def close(self) -> None:
        self._process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
