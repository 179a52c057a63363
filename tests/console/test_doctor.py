"""`doctor` on a system that is well, and on set-ups that are broken in one way each: it names that way, and says what to do."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.commands import console
from tests.console.house import House
from tests.console.set_ups import FAKETIME, PRLIMIT, Examined, doctor, examined, findings
from tests.processes import free_port
from tests.security.sentinels import Sentinels, found

NO_FAKETIME = "no libfaketime on this machine; install it with: apt-get install faketime"


@pytest.fixture(scope="module")
def broken(up: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examined]:
    with examined(up, tmp_path_factory.mktemp("broken")) as looked_at:
        yield looked_at


def test_a_system_that_is_well_is_said_to_be_and_json_says_the_same(up: House):
    ran = doctor(up)
    assert ran.code == 0, ran.out + ran.err
    assert "All is well" in ran.out
    asked = doctor(up, "--json")
    document = json.loads(asked.out)
    assert document["summary"]["problem"] == document["summary"]["warning"] == 0
    for one in document["findings"]:
        # The clock goes on between the two.
        if one["check"] not in ("clock", "disk"):
            assert " ".join(one["text"].split()) in ran.words, one
    assert {one["check"] for one in document["findings"]} >= {
        "python", "node", "packages", "gateway packages", "disk", "open files", "clock", "settings", "variables",
        "provider keys", "ports", "router", "edge", "models", "portkey", "aider", "aider configuration",
    }  # fmt: skip
    assert "\x1b" not in ran.out


# --- Each of these breaks one thing. ---


def test_a_port_that_a_stranger_holds_is_named_with_its_variable(broken: Examined):
    told = broken.problems("stranger")["ports"]
    assert broken.made_of["stranger"] in told
    assert "not of this system" in told
    assert "DEMO_LISTEN" in told
    assert f"process {os.getpid()}" in told


def test_a_router_that_is_down_is_named_while_the_edge_runs(broken: Examined):
    ((check, told),) = broken.problems("router down").items()
    assert check == "router"
    assert f"No router answers at dns:///{broken.made_of['free']}" in told
    assert "amr up" in told


def test_a_gateway_that_is_gone_is_named(broken: Examined):
    assert "No Portkey gateway answers" in broken.problems("gateway gone")["portkey"]


def test_before_the_first_start_what_does_not_run_yet_is_no_problem(broken: Examined):
    assert broken.problems("not started") == {}
    assert findings(broken.ran("not started"), "warning").keys() == {"router", "edge", "portkey"}


@pytest.mark.parametrize(
    ("name", "says"),
    [("no authority", "EDGE_ROUTER_CA is not set"), ("other authority", "does not come to terms with us")],
)
def test_a_router_whose_tls_does_not_match_ours_is_named(broken: Examined, name: str, says: str):
    told = broken.problems(name)["router"]
    assert "speaks TLS" in told
    assert says in told


def test_an_authority_for_a_router_in_plaintext_is_named(broken: Examined):
    assert "EDGE_ROUTER_CA is set, but what answers" in broken.problems("authority for plaintext")["router"]


def test_a_wrong_token_is_named_and_the_right_one_taken(broken: Examined):
    assert "EDGE_ROUTER_TOKEN" in broken.problems("wrong token")["router"]
    assert "not-that-one" not in broken.ran("wrong token").out
    assert "takes our token" in findings(broken.ran("right token"), "ok")["router"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("knows nothing", "does not know ListProfiles"),
        ("older than that", "it does not know SelectModels"),
        ("behind", "release 0.0.9, revision 0 of the contract, of which this release has"),
    ],
)
def test_a_router_of_another_release_is_named(broken: Examined, name: str, says: str):
    told = broken.problems(name)["router"]
    assert "of another release" in told
    assert says in told


def test_a_router_that_is_too_old_to_say_its_release_serves_and_is_worth_a_word(broken: Examined):
    assert "it does not say which" in findings(broken.ran("too old to say"), "warning")["router"]


def test_a_router_of_a_later_release_serves_this_one_too(broken: Examined):
    assert "release 0.0.9, revision 1000" in findings(broken.ran("ahead"), "ok")["router"]


def test_misspelt_settings_are_named_with_what_was_meant(broken: Examined):
    told = broken.problems("misspelt")["variables"]
    assert "EDGE_LISTN" in told
    assert "Did you mean EDGE_LISTEN?" in told
    assert "Did you mean OPENAI_API_KEY?" in told
    assert "Did you mean ROUTER_REDIS_URL?" in told
    assert "WHATEVER" in findings(broken.ran("misspelt"), "warning")["variables"]
    assert "0123456789" not in broken.ran("misspelt").out


def test_a_settings_file_that_cannot_be_read_or_has_a_wrong_line_is_named(up: House, broken: Examined, tmp_path: Path):
    assert "not text" in broken.problems("not text")["settings file"]
    path = tmp_path / "settings"
    path.write_text("# mine\nEDGE_CACHE_SECONDS 5\n")
    ran = console("--env-file", path, "config", "check", "--json", **up.settings)
    assert "line 2" in findings(ran)["settings file"]


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("ROUTER_CONFIG", "[profiles.auto\n", "is not TOML"),
        (
            "ROUTER_CONFIG",
            "[profiles.mine]\ncandidates = ['demo/*']\ncost_quality_tradeof = 3\n",
            "cost_quality_tradeof",
        ),
        ("EDGE_CONFIG", "[providers.openai]\nbase_ulr = 'http://x'\n", "base_ulr"),
        ("EDGE_API_KEYS_FILE", "[keys.alice]\nsha256 = 'no digest'\n", "keys.alice.sha256"),
        ("ROUTER_TOKENS_FILE", "edge not-a-digest\n", "line 1"),
    ],
)
def test_a_file_with_a_fault_is_named_with_the_place(up: House, tmp_path: Path, variable: str, text: str, says: str):
    path = tmp_path / "file"
    path.write_text(text)
    ran = console("config", "check", "--json", **{**up.settings, variable: str(path)})
    assert ran.code == 1, ran.out
    told = findings(ran)["settings"]
    assert variable in told
    assert str(path) in told
    assert says in told


def test_settings_that_a_service_refuses_are_named_each(up: House):
    settings = {**up.settings, "EDGE_MAX_REQUESTS": "many", "ROUTER_MAX_CALLS": "0", "PORTKEY_BASE_URL": "ftp://x"}
    ran = console("config", "check", **settings)
    assert ran.code == 1
    for variable in ("EDGE_MAX_REQUESTS", "ROUTER_MAX_CALLS", "PORTKEY_BASE_URL"):
        assert variable in ran.out


def test_a_node_that_is_too_old_is_named(broken: Examined):
    assert "Node.js 20.3 or newer" in broken.problems("old node")["node"]


def test_a_package_that_is_not_as_locked_is_named(broken: Examined):
    told = broken.problems("other package")["packages"]
    assert "rich 1.0.0 (locked: " in told
    assert "bootstrap.sh" in told


@pytest.mark.skipif(not FAKETIME, reason=NO_FAKETIME)
@pytest.mark.parametrize(
    ("name", "says"), [("clock before", "before this release"), ("clock ahead", "The clock of the Portkey gateway is")]
)
def test_a_clock_that_is_wrong_is_named(broken: Examined, name: str, says: str):
    told = broken.problems(name)["clock"]
    assert says in told
    assert "Set the clock" in told


def test_a_folder_that_cannot_be_written_to_is_named(broken: Examined):
    told = broken.problems("unwritable")["disk"]
    assert "/proc/nowhere cannot be written to" in told
    assert "ROUTER_LEDGER_URL" in told


@pytest.mark.skipif(PRLIMIT is None, reason="no prlimit on this machine")
def test_too_few_open_files_are_named(broken: Examined):
    assert "512 files" in broken.problems("few files")["open files"]


def test_stores_that_do_not_answer_are_named_without_their_passwords(broken: Examined):
    told = broken.problems("dead stores")["stores"]
    assert "EDGE_REDIS_URL" in told
    assert "ROUTER_LEDGER_URL" in told
    assert "hunter22" not in broken.ran("dead stores").out


def test_an_aider_that_is_too_old_is_named(broken: Examined):
    assert "too old" in broken.problems("old aider")["aider"]


def test_what_works_and_is_worth_a_look_is_a_warning(broken: Examined):
    assert broken.problems("worth a look") == {}
    ran = broken.ran("worth a look")
    told = findings(ran, "warning")
    # By their form alone.
    assert "OPENAI_API_KEY has the form of ANTHROPIC_API_KEY" in told["provider keys"]
    assert "GROQ_API_KEY is a placeholder" in told["provider keys"]
    assert "XAI_API_KEY: set" in findings(ran, "ok")["provider keys"]
    assert "newer than what the edge was taught" in told["aider"]
    assert ".aider.conf.yml names another address" in told["aider configuration"]
    # Not Diamond is asked with --online alone.
    assert "--online" in findings(ran, "ok")["not diamond"]


def test_online_asks_not_diamond_too(up: House):
    asked = f"http://127.0.0.1:{free_port()}"
    key = {"NOT_DIAMOND_API_KEY": "0123456789abcdef0123456789", "NOTDIAMOND_BASE_URL": asked}
    assert "does not answer" in findings(doctor(up, "--json", "--online", **key))["not diamond"]


def test_no_secret_is_in_any_output(up: House, tmp_path: Path):
    secret = Sentinels()
    keys = tmp_path / "keys.toml"
    keys.write_text(f"[keys.alice]\nsha256 = '{secret.client_key}'\n")
    path = tmp_path / "settings"
    path.write_text(f"OPENAI_APIKEY={secret.provider_key}\nnot a line {secret.prompt}\n")
    env = {
        **up.settings,
        "OPENAI_API_KEY": secret.provider_key,
        "PORTKEY_GATEWAY_TOKEN": secret.gateway_token,
        "EDGE_ROUTER_TOKEN": secret.router_token,
        "NOT_DIAMOND_API_KEY": secret.not_diamond_key,
        "AIDER_MODEL_ROUTER_KEY": secret.wrong_client_key,
        "EDGE_API_KEYS_FILE": str(keys),
        "EDGE_REDIS_URL": f"redis://:{secret.redis_password}@127.0.0.1:{free_port()}/0",
        # No addresses, so that whoever reads them complains.
        "ROUTER_LEDGER_URL": f"postgresql://me:{secret.redis_password}@127.0.0.1:port/x",
        "ROUTER_REDIS_URL": f"rediss//:{secret.redis_password}@x",
        "PORTKEY_BASE_URL": f"http://me:pa/{secret.redis_password}@127.0.0.1:{free_port()}/v1",
    }
    # What stands before a # would be taken for a port.
    odd = console("doctor", **{**env, "ROUTER_LEDGER_URL": f"postgresql://me:{secret.redis_password}#w@127.0.0.1:1/x"})
    said = odd.out + odd.err
    assert "cannot be read as an address" in odd.out
    for words in (("doctor",), ("doctor", "--json"), ("config", "check"), ("decisions",), ("keys", "list")):
        ran = console("--env-file", path, *words, **env)
        said += ran.out + ran.err
    assert "problem  settings" in said
    assert "Traceback" not in said
    assert found(secret.all_but(), said.encode()) == []
