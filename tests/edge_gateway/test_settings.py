"""A wrong setting stops the edge with a sentence that names it."""

import socket
import subprocess
import sys

import pytest

from edge_gateway import settings
from tests.processes import ROOT


@pytest.mark.parametrize(
    ("env", "toml", "says"),
    [
        ({"EDGE_LISTEN": "8080"}, "", "EDGE_LISTEN: '8080' is not HOST:PORT"),
        ({"EDGE_IDLE_TIMEOUT_SECONDS": "-1"}, "", "EDGE_IDLE_TIMEOUT_SECONDS"),
        ({"EDGE_CONFIG": "/nowhere.toml"}, "", "EDGE_CONFIG: /nowhere.toml cannot be read"),
        ({}, "[providers.mine]\nsluggish = 1", "providers.mine.slug: Field required"),
        ({}, '[providers.mine]\nslug = "x"\nforms = "chat"', "providers.mine.forms: it is to be a list"),
        ({}, '[providers.mine]\nslug = "x"\nforms = ["response"]', "providers.mine.forms.0: "),
        ({}, '[providers.mine]\nslug = "x"\nkey = "sk-secret"', "key: name the environment variable that holds it"),
        ({}, '[providers.mine]\nslug = "x"\nbase_url = "localhost:9"', "base_url: give an http or https address"),
        ({}, '[providers.mine]\nslug = "x"\nmessages_url = "nix"', "messages_url: give an http or https address"),
        ({}, '[providers.mine]\nslug = "x"\ndefault_max_tokens = -1', "providers.mine.default_max_tokens: "),
        ({}, '[portkey]\ninput_guardrails = ["pg-1"]', "portkey.input_guardrails: 'pg-1' is an id, which only hosted"),
        (
            {},
            "[portkey]\noutput_guardrails = [{ deny = true }]",
            "portkey.output_guardrails: a guardrail without a check",
        ),
        (
            {},
            '[portkey]\ninput_guardrails = [{ "default.containz" = {} }]',
            "the open-source gateway has no check 'default.containz'; it has default.addPrefix, ",
        ),
        ({"EDGE_REDIS_URL": "localhost"}, "", "EDGE_REDIS_URL: it is no address such as redis://127.0.0.1:6379/0"),
        ({}, "[portkey]\ncach = 1", "portkey.cach: there is no such field"),
        ({}, "[adaptations]\ndrop = []", "adaptations: there is no rule drop"),
        ({"EDGE_API_KEYS_FILE": "/nowhere.toml"}, "", 'No such file or directory (`make keys ARGS="make NAME"`'),
        ({}, "not toml", "is not TOML"),
        ({}, "foo = 1", "foo is none of them"),
        ({}, "providers = 3", "providers is none of them"),
        ({"EDGE_LISTEN": "127.0.0.1:84663"}, "", "is not HOST:PORT"),
        ({"EDGE_LISTEN": "0.0.0.0:8080"}, "", "EDGE_LISTEN: 0.0.0.0:8080 can be reached from other machines"),
        ({"EDGE_LISTEN": "[::]:8080"}, "", "set EDGE_API_KEYS_FILE"),
        ({"EDGE_LISTEN": "edge.test:8080"}, "", "EDGE_TRUSTED_NETWORK=true"),
        ({"EDGE_METRICS_LISTEN": "9464"}, "", "EDGE_METRICS_LISTEN: '9464' is not HOST:PORT"),
        (
            {"EDGE_METRICS_LISTEN": "0.0.0.0:9464"},
            "",
            "EDGE_METRICS_LISTEN: 0.0.0.0:9464 can be reached from other machines",
        ),
        ({"EDGE_METRICS_LISTEN": "192.0.2.7:9464"}, "", "EDGE_METRICS_LISTEN: 192.0.2.7:9464 can be reached"),
        ({"EDGE_ROUTER": "dns:///router:50051"}, "", "EDGE_ROUTER: router is another machine, and without TLS"),
        ({"EDGE_ROUTER": "ipv4:127.0.0.1:1,10.0.0.1:2"}, "", "EDGE_ROUTER: 10.0.0.1 is another machine"),
        ({"EDGE_ROUTER": "10.0.0.1:50051"}, "", "EDGE_ROUTER: 10.0.0.1 is another machine"),
        (
            {"PORTKEY_BASE_URL": "http://portkey:8787/v1"},
            "",
            "PORTKEY_BASE_URL: portkey is another machine, and without https",
        ),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, env, toml, says):
    if toml:
        path = tmp_path / "edge.toml"
        path.write_text(toml)
        env = {**env, "EDGE_CONFIG": str(path)}
    done = subprocess.run(
        [sys.executable, "-m", "edge_gateway"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "sk-secret" not in done.stderr


def test_a_port_for_metrics_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "edge_gateway"],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "EDGE_METRICS_LISTEN": listen},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert f"EDGE_METRICS_LISTEN: {listen} cannot be listened on" in done.stderr


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"EDGE_METRICS_LISTEN": "[::1]:9464"},
        {"EDGE_METRICS_LISTEN": "off"},
        {"EDGE_METRICS_LISTEN": "0.0.0.0:9464", "EDGE_TRUSTED_NETWORK": "true"},
        {"EDGE_LISTEN": "[::1]:8080", "EDGE_ROUTER": "dns://127.0.0.1:53/localhost:50051"},
        {"EDGE_ROUTER": "unix:/run/router.sock", "PORTKEY_BASE_URL": "http://[::1]:8787/v1"},
        {"EDGE_ROUTER": "ipv6:[::1]:50051", "PORTKEY_BASE_URL": "https://portkey.test/v1"},
        {"EDGE_ROUTER": "dns:///router:50051", "EDGE_ROUTER_CA": "ca.pem"},
        {"EDGE_LISTEN": "0.0.0.0:8080", "EDGE_API_KEYS_FILE": "keys.toml"},
        {"EDGE_LISTEN": "0.0.0.0:8080", "EDGE_ROUTER": "dns:///router:50051", "EDGE_TRUSTED_NETWORK": "true"},
    ],
)
def test_this_machine_tls_keys_and_a_trusted_network_are_let_pass(monkeypatch, env):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    settings.check_exposure(settings.load())
