"""A wrong setting stops the router with a sentence that names it."""

import subprocess
import sys

import pytest

from tests.processes import ROOT, free_port, start_router
from tests.router_service.calls import select


def run(**env: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "router_service"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"ROUTER_LISTEN": "here"}, "ROUTER_LISTEN: 'here' is not HOST:PORT"),
        ({"ROUTER_LISTEN": "127.0.0.1:99999"}, "is not HOST:PORT"),
        ({"ROUTER_NOT_DIAMOND_BUDGET_SECONDS": "soon"}, "ROUTER_NOT_DIAMOND_BUDGET_SECONDS"),
        ({"ROUTER_KEPT_DECISIONS": "0"}, "ROUTER_KEPT_DECISIONS"),
        ({"ROUTER_CONFIG": "/nowhere.toml"}, "ROUTER_CONFIG: /nowhere.toml cannot be read"),
        ({"ROUTER_METRICS_LISTEN": "9465"}, "ROUTER_METRICS_LISTEN: '9465' is not HOST:PORT"),
        ({"ROUTER_METRICS_LISTEN": "[::]:9465"}, "ROUTER_METRICS_LISTEN: [::]:9465 can be reached from other machines"),
    ],
)
def test_a_wrong_variable_is_named(env, says):
    code, text = run(**env)
    assert code == 2
    assert says in text
    assert "Traceback" not in text


MINE = '[profiles.mine]\ncandidates = ["a/b"]\ncost_quality_tradeoff = 1\n'


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("= 3", "is not TOML"),
        ('[profiles.auto]\ncandidates = ["a/b"]\ncost_quality_tradeoff = 11', "profiles.auto.cost_quality_tradeoff"),
        ("[profiles.mine]\ncandidates = []\ncost_quality_tradeoff = 1", "profiles.mine.candidates"),
        ('[[models]]\nid = "a/b"\nsource = "x"\nchecked = "2026-01-01"', "models.a/b.context_tokens: Field required"),
        ("[profiles.auto]\ncandidats = 1", "profiles.auto.candidats"),
        ("schema = 2", "schema"),
        (MINE + "memory_seconds = inf", "profiles.mine.memory_seconds"),
        (MINE + "pin_idle_seconds = nan", "profiles.mine.pin_idle_seconds"),
        (MINE + "escalation = { second_try = 45 }", "profiles.mine.escalation.second_try"),
        (MINE + "learning = { prior_weight = 0.00001 }", "profiles.mine.learning.prior_weight"),
        (
            "\n".join(MINE.replace("mine", f"p{n}") + f"learning = {{ memory = {100 + n} }}" for n in range(9)),
            "different lengths; use at most 8",
        ),
        ('models = ["x"]', "models must be a list of tables"),
        ("[models]", "models must be a list of tables"),
        ("profiles = 3", "profiles"),
    ],
)
def test_a_wrong_configuration_is_named_with_its_field(tmp_path, toml, says):
    path = tmp_path / "router.toml"
    path.write_text(toml)
    code, text = run(ROUTER_CONFIG=str(path))
    assert code == 2
    assert says in text
    assert "Traceback" not in text


@pytest.mark.parametrize("variable", ["ROUTER_LISTEN", "ROUTER_METRICS_LISTEN"])
def test_a_port_in_use_is_named(variable):
    port = free_port()
    process = start_router(port)
    try:
        code, text = run(ROUTER_LEDGER_URL="memory:", **{variable: f"127.0.0.1:{port}"})
    finally:
        process.stop()
    assert code == 2
    assert f"{variable}: 127.0.0.1:{port} cannot be listened on" in text


def test_a_configuration_file_adds_profiles_to_the_shipped_ones(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[profiles.mine]\ncandidates = ["xai/*"]\ncost_quality_tradeoff = 10\n')
    port = free_port()
    process = start_router(port, ROUTER_CONFIG=str(path))
    try:
        assert select(port, profile="mine").model.startswith("xai/")
        assert select(port, profile="auto").model
    finally:
        process.stop()
