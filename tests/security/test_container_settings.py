"""What the compose file and the Dockerfile say of every container; tests/containers shows that an engine does it."""

import re

import pytest
import yaml

from router_service.settings import Settings
from tests.processes import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES = sorted(COMPOSE["services"])
# A secret is a file, or stands in .env, which git does not get; here are names alone.
SECRET = re.compile(r"(?i)(key|token|password|secret)$")


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_bounded_and_can_write_to_tmp_alone(service):
    made = COMPOSE["services"][service]
    assert made["read_only"] is True
    assert [entry.split(":")[0] for entry in made["tmpfs"]] == ["/tmp"]
    assert made["cap_drop"] == ["ALL"]
    assert "cap_add" not in made
    assert "no-new-privileges:true" in made["security_opt"]
    assert not [entry for entry in made["security_opt"] if "unconfined" in entry]
    assert 0 < made["pids_limit"] <= 500
    assert made["mem_limit"]
    assert not {"privileged", "network_mode", "pid", "ipc", "userns_mode", "devices"} & set(made)
    # What is mounted is mounted to be read.
    assert [volume for volume in made.get("volumes", ()) if not str(volume).endswith(":ro")] == []
    assert "docker.sock" not in str(made)


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_stands_in_the_compose_file(service):
    """Of what is handed on by name the value comes from outside; by default there is none."""
    environment = COMPOSE["services"][service].get("environment", {})
    given = {name: str(value) for name, value in environment.items() if SECRET.search(name)}
    assert {name: value for name, value in given.items() if not value.startswith("${")} == {}


def test_every_setting_of_the_routers_reaches_its_container():
    """The edge reads .env whole; the router, which is to know no provider's key, gets its settings one by one."""
    own = {str(setting.validation_alias) for setting in Settings.model_fields.values()}
    own = {name for name in own if name.startswith("ROUTER_")}
    assert own - COMPOSE["services"]["router"]["environment"].keys() == set()


def test_ports_are_published_on_loopback_alone_and_the_gateways_not_at_all():
    for name, made in COMPOSE["services"].items():
        for port in made.get("ports", ()):
            assert str(port).startswith("127.0.0.1:"), name
    assert "ports" not in COMPOSE["services"]["portkey"]
    shared = set(COMPOSE["services"]["router"]["networks"]) & set(COMPOSE["services"]["portkey"]["networks"])
    assert shared == set()


def stages() -> dict[str, str]:
    parts = re.split(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_as_somebody_without_rights_and_is_healthy_without_curl(service):
    stage = stages()[service]
    users = re.findall(r"^USER (\S+)", stage, flags=re.MULTILINE)
    assert users
    assert set(users) == {"10001:10001"}
    assert stage.rindex("USER ") < stage.index("HEALTHCHECK")
    check = stage[stage.index("HEALTHCHECK") :]
    assert re.search(r'CMD \["(python3|node)"', check)
    assert not re.search(r"curl|wget|/bin/sh", check)
    # The command is the program itself, so that a signal reaches it.
    assert re.search(r'^CMD \["(python3|node)"', stage, flags=re.MULTILINE)


def test_no_image_keeps_a_build_secret_or_installs_what_it_does_not_need():
    assert not re.search(r"^(ARG|ENV) .*(TOKEN|PASSWORD|SECRET|API_KEY)", DOCKERFILE, flags=re.MULTILINE)
    assert not re.search(r"\bCOPY \. |\bADD\b|apt-get|apk add|curl|wget", DOCKERFILE)
    for install in re.findall(r"RUN --mount.*", DOCKERFILE):
        assert "type=secret" in install
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored
    assert ".env" in ignored or "*" in ignored


def test_an_image_gets_what_it_copies_and_the_gateway_every_module_of_its_own():
    """What .dockerignore keeps out would only be missed when the image is built, or started."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert sources
    assert [source for source in sources if not {source, source.split("/")[0]} & let_in] == []
    modules = {f"portkey/{path.name}" for path in (ROOT / "portkey").glob("*.mjs")}
    assert modules <= set(sources)
