"""`python -m launcher` as a user meets it: what starts, what it says, and that nothing stays behind."""

import json
import os
import signal
import socket
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from launcher_house import House, eventually

OWN_GATEWAY = "http://127.0.0.1:1/v1"


def test_without_any_key_everything_embedded_runs_and_says_so(house: House, gateway: Path) -> None:
    launched = house.launch()
    launched.wait_for("Ctrl-C stops everything.")

    base = f"http://{house.variables['EDGE_LISTEN']}/v1"
    assert f"--openai-api-base {base} --openai-api-key local" in launched.output
    assert f"--config {house.root}/demo/aider/aider.conf.yml" in launched.output
    assert f"curl -i {base}/chat/completions" in launched.output
    assert "the local policy (NOT_DIAMOND_API_KEY" in launched.output
    assert "open-source gateway, started here (PORTKEY_API_KEY" in launched.output
    assert "scripted demo models, no AI (OPENAI_API_KEY" in launched.output
    edge = house.environment_of("edge_gateway")
    assert edge["EDGE_ROUTER"] == f"dns:///{house.variables['ROUTER_LISTEN']}"
    assert edge["PORTKEY_BASE_URL"] == f"http://{house.variables['PORTKEY_LISTEN']}/v1"
    page = house.variables["EDGE_PAGE_LISTEN"]
    assert f"\n  http://{page}/\n" in launched.output
    assert edge["EDGE_PAGE_LISTEN"] == page
    assert edge["EDGE_DEMO_URL"] == f"http://{house.variables['DEMO_LISTEN']}/v1"
    assert "EDGE_OLLAMA_URL" not in edge
    launched.process.send_signal(signal.SIGINT)
    assert launched.ended() == 0
    assert house.is_empty()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_process_behind(house: House, number: signal.Signals) -> None:
    house.variables["PORTKEY_BASE_URL"] = OWN_GATEWAY
    launched = house.launch()
    launched.wait_for("Ready:")
    assert len(house.pids()) == 6

    # As a terminal does: to the launcher and to what runs in its process group.
    os.killpg(launched.process.pid, number)

    assert launched.ended() == 0
    assert "Traceback" not in launched.output
    assert house.is_empty()


def test_it_is_ready_once_the_edge_has_found_the_router(house: House) -> None:
    house.variables["PORTKEY_BASE_URL"] = OWN_GATEWAY
    alone, asked = house.root / "alone", house.root / "asked"
    alone.touch()
    launched = house.launch()
    assert eventually(lambda: asked.exists() and len(asked.read_text()) > 3)
    assert "Ready:" not in launched.output
    alone.unlink()
    launched.wait_for("Ready:")


def test_an_edge_that_never_finds_the_router_serves_all_the_same(house: House) -> None:
    house.variables["PORTKEY_BASE_URL"] = OWN_GATEWAY
    (house.root / "alone").touch()
    house.launch().wait_for("Ready:")


def test_a_signal_during_the_start_leaves_no_process_behind(house: House) -> None:
    house.variables["PORTKEY_BASE_URL"] = OWN_GATEWAY
    launched = house.launch()
    launched.wait_for("started (pid=")

    os.killpg(launched.process.pid, signal.SIGINT)

    assert launched.ended() == 0
    assert house.is_empty()


def test_a_process_that_dies_early_stops_all_and_is_named(house: House) -> None:
    house.variables["PORTKEY_BASE_URL"] = OWN_GATEWAY
    (house.root / "demo.dies").touch()

    launched = house.launch()

    assert launched.ended() == 1
    assert "demo stopped before it was ready (exit code 1), so all were stopped" in launched.output
    assert "the stand-in dies as told" in launched.output
    assert house.is_empty()


def test_a_process_that_dies_later_stops_all_and_is_named(house: House) -> None:
    house.variables["PORTKEY_BASE_URL"] = OWN_GATEWAY
    launched = house.launch()
    launched.wait_for("Ready:")
    note = json.loads((house.root / "edge_gateway.note").read_text())

    os.kill(note["pids"][0], signal.SIGKILL)

    assert launched.ended() == 1
    assert "edge stopped after the start (signal 9)" in launched.output
    assert house.is_empty()


def test_a_port_in_use_is_named_with_what_needs_it_and_what_to_set(house: House) -> None:
    house.variables["PORTKEY_BASE_URL"] = OWN_GATEWAY
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        house.variables["EDGE_LISTEN"] = f"127.0.0.1:{port}"
        launched = house.launch()
        assert launched.ended() == 1

    assert launched.output == (
        f"Port {port} (edge gateway) is already in use; free it or set EDGE_LISTEN=127.0.0.1:{port + 1}.\n"
    )
    assert house.pids() == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("EDGE_LISTEN", "8080"),
        ("ROUTER_LISTEN", "127.0.0.1:"),
        ("DEMO_LISTEN", "127.0.0.1:99999"),
        ("PORTKEY_LISTEN", "127.0.0.1:http"),
        ("PORTKEY_BASE_URL", "127.0.0.1:8787"),
        ("OLLAMA_HOST", "http://[::1"),
    ],
)
def test_a_wrong_value_is_a_sentence_that_names_the_variable(house: House, variable: str, value: str) -> None:
    house.variables[variable] = value

    launched = house.launch()

    assert launched.ended() == 1
    assert launched.output.startswith(f"{variable} must be ")
    assert launched.output.count("\n") == 1
    assert house.pids() == []


def test_a_port_for_metrics_that_is_asked_for_and_taken_is_named(house: House) -> None:
    house.variables["PORTKEY_BASE_URL"] = OWN_GATEWAY
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        house.variables["ROUTER_METRICS_LISTEN"] = f"127.0.0.1:{port}"
        launched = house.launch()
        assert launched.ended() == 1

    assert launched.output.startswith(
        f"Port {port} (router's metrics) is already in use; free it or set ROUTER_METRICS_LISTEN="
    )


def test_two_processes_on_one_port_are_refused(house: House) -> None:
    house.variables["PORTKEY_BASE_URL"] = OWN_GATEWAY
    house.variables["EDGE_LISTEN"] = house.variables["ROUTER_LISTEN"]

    launched = house.launch()

    assert launched.ended() == 1
    assert launched.output.startswith("ROUTER_LISTEN and EDGE_LISTEN both name port ")


def test_dot_env_is_read_and_the_real_environment_wins(house: House) -> None:
    house.variables |= {"PORTKEY_API_KEY": "real", "GROQ_API_KEY": "", "LC_ALL": "C.UTF-8"}
    (house.root / ".env").write_text(
        "OPENAI_API_KEY=from-file\nPORTKEY_API_KEY=from-file\nGROQ_API_KEY=from-file\nNOT_DIAMOND_API_KEY=nd\n"
    )
    launched = house.launch()
    launched.wait_for("Ready:")

    edge, router = house.environment_of("edge_gateway"), house.environment_of("router_service")
    assert (edge["OPENAI_API_KEY"], edge["PORTKEY_API_KEY"]) == ("from-file", "real")
    assert "GROQ_API_KEY" not in edge
    assert "NOT_DIAMOND_API_KEY" not in edge
    assert router["NOT_DIAMOND_API_KEY"] == "nd"
    assert not {"OPENAI_API_KEY", "PORTKEY_API_KEY"} & router.keys()
    # Hosted Portkey and a real provider: neither the gateway nor the demo models are started.
    assert "PORTKEY_BASE_URL" not in edge
    assert not house.ran("demo")
    assert "Gateway: hosted Portkey." in launched.output
    assert "Models:  the providers of OPENAI_API_KEY." in launched.output
    assert "from-file" not in launched.output


def test_the_models_of_a_local_ollama_become_candidates(house: House, ollama: Callable[[bytes], str]) -> None:
    tags = {
        "models": [
            {"name": "qwen3-coder:30b", "details": {"family": "qwen3moe"}},
            {"name": 'odd "name"'},
            {"name": "nomic-embed-text:latest", "details": {"family": "nomic-bert"}},
        ]
    }
    host = ollama(json.dumps(tags).encode())
    house.variables |= {"OLLAMA_HOST": host, "PORTKEY_BASE_URL": OWN_GATEWAY, "ROUTER_CONFIG": "mine.toml"}
    launched = house.launch()
    launched.wait_for("Ready:")

    catalog = house.root / "var" / "router.ollama.toml"
    models = tomllib.loads(catalog.read_text())["models"]
    assert [model["id"] for model in models] == ["ollama/qwen3-coder:30b", 'ollama/odd "name"']
    assert models[0] == {
        "id": "ollama/qwen3-coder:30b",
        "context_tokens": 32768,
        "max_output_tokens": 8192,
        "input_usd_per_mtok": 0,
        "output_usd_per_mtok": 0,
        "vision": False,
        "tools": False,
        "json": True,
        "source": "local Ollama",
        "checked": date.today(),
    }
    assert house.environment_of("router_service")["ROUTER_CONFIG"] == f"mine.toml{os.pathsep}{catalog}"
    assert house.environment_of("edge_gateway")["EDGE_OLLAMA_URL"] == f"http://{host}/v1"
    assert not house.ran("demo")


@pytest.mark.parametrize("tags", [b"not JSON", b"[]", b'{"models": []}', b'{"models": [{"name": 1}]}'])
def test_an_ollama_without_models_is_as_none(house: House, ollama: Callable[[bytes], str], tags: bytes) -> None:
    house.variables |= {"OLLAMA_HOST": ollama(tags), "PORTKEY_BASE_URL": OWN_GATEWAY}
    launched = house.launch()
    launched.wait_for("scripted demo models")

    assert "ROUTER_CONFIG" not in house.environment_of("router_service")
    assert "EDGE_OLLAMA_URL" not in house.environment_of("edge_gateway")
    assert house.ran("demo")


def test_a_router_elsewhere_replaces_the_one_started_here(house: House) -> None:
    house.variables |= {"PORTKEY_BASE_URL": OWN_GATEWAY, "EDGE_ROUTER": "dns:///router.example:50051"}
    launched = house.launch()
    launched.wait_for("Ready:")

    assert not house.ran("router_service")
    assert house.environment_of("edge_gateway")["EDGE_ROUTER"] == "dns:///router.example:50051"
