"""The manifests build with any kubectl, are valid, start nothing with rights, and agree with the services' settings."""

import re
from pathlib import Path

import kubernetes_validate
import pytest

from edge_gateway import settings as edge_settings
from edge_gateway.server.run import LAST_WORDS
from router_service import settings as router_settings
from router_service.credentials import check_exposure
from router_service.wiring import GRACE
from tests.deploy.manifests import FOLDER, OVERLAYS, PRODUCTION, Document, build, built
from tests.processes import ROOT

VERSION = "1.37"
UID = 10001
EXAMPLES = sorted((FOLDER / "secrets").glob("*.example"))
# What is left of a grace period when all that is waited for has been, seconds.
SPARE = 5
# What the cluster has no schema for: Prometheus's operator brings it.
FOREIGN = ("PodMonitor",)

overlays = pytest.mark.parametrize("overlay", OVERLAYS)
productions = pytest.mark.parametrize("overlay", PRODUCTION)


def bounds_of(probe: Document) -> int:
    return probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)


def read_env(path: Path) -> dict[str, str]:
    """The variables of an example, those that are commented out too."""
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", path.read_text(), flags=re.MULTILINE))


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Document]:
    """The secrets as their examples would make them, by name."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "kustomization.yaml").write_text((FOLDER / "secrets" / "kustomization.yaml").read_text())
    for example in EXAMPLES:
        (folder / example.stem).write_text(example.read_text())
    return {made["metadata"]["name"]: made for made in build(folder)}


@overlays
def test_every_document_is_valid_and_has_no_field_that_kubernetes_does_not_know(overlay):
    for document in built(overlay).documents:
        kubernetes_validate.validate(document, VERSION, strict=True)


@pytest.mark.parametrize("folder", ["cluster", "monitoring"])
def test_what_stands_beside_is_valid_but_for_what_an_operator_defines(folder):
    known = [document for document in build(FOLDER / folder) if document["kind"] not in FOREIGN]
    assert known
    for document in known:
        kubernetes_validate.validate(document, VERSION, strict=True)


@overlays
def test_everything_lands_in_the_overlays_own_namespace_where_pods_are_restricted(overlay):
    manifests = built(overlay)
    (namespace,) = manifests.of("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for document in manifests.documents:
        expected = None if document["kind"] == "Namespace" else namespace["metadata"]["name"]
        assert document["metadata"].get("namespace") == expected, document["metadata"]["name"]


def test_the_base_names_no_namespace():
    assert [made for made in build(FOLDER / "base") if "namespace" in made["metadata"]] == []


@overlays
def test_every_pod_runs_as_somebody_without_rights_who_can_write_to_tmp_alone(overlay):
    manifests = built(overlay)
    for name, pod in manifests.pods().items():
        spec = pod["spec"]
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert (context["runAsUser"], context["runAsGroup"]) == (UID, UID), name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        writable = {volume["name"] for volume in spec["volumes"] if "emptyDir" in volume}
        assert all("sizeLimit" in volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume), name
        assert not [volume for volume in spec["volumes"] if "hostPath" in volume], name
        assert writable == {"tmp"}, name
    for name, container in manifests.containers():
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert [path for path, mount in mounts.items() if path != "/tmp" and not mount.get("readOnly")] == [], name


def test_the_user_is_the_images_own():
    assert set(re.findall(r"^USER (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)) == {f"{UID}:{UID}"}


@overlays
def test_every_container_asks_for_cpu_and_memory_and_is_bounded(overlay):
    for name, container in built(overlay).containers():
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert set(requests) == set(limits) == {"cpu", "memory"}, name


@productions
def test_each_service_asks_for_the_core_that_it_can_use_and_is_not_throttled_at_it(overlay):
    for name, container in built(overlay).containers():
        assert container["resources"]["requests"]["cpu"] == "1", name
        assert container["resources"]["limits"]["cpu"] == "1500m", name


@overlays
def test_every_container_says_that_it_has_started_serves_and_lives(overlay):
    for name, container in built(overlay).containers():
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), name
        # A busy pod is not killed: it is taken from the Service long before.
        assert bounds_of(container["livenessProbe"]) >= 3 * bounds_of(container["readinessProbe"]), name
        assert bounds_of(container["startupProbe"]) >= 60, name


@overlays
def test_probes_ask_what_the_services_answer(overlay):
    manifests = built(overlay)
    paths = (ROOT / "edge_gateway" / "endpoints.py").read_text()
    edge, router = (manifests.pods()[name]["spec"]["containers"][0] for name in ("edge", "router"))
    for probe, path in (("startupProbe", "/healthz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
        assert edge[probe]["httpGet"]["path"] == path
        assert f'@surface.get("{path}")' in paths
    # Where no client can take the last connection.
    assert edge["livenessProbe"]["httpGet"]["port"] == "metrics"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        # The kubelet asks over gRPC, but not over TLS.
        if "ROUTER_TLS_CERT" in manifests.environment("router"):
            assert router[probe]["tcpSocket"] == {"port": "grpc"}
            assert "grpc" not in router[probe]
        else:
            assert router[probe]["grpc"]["port"] == 50051


@overlays
def test_selectors_find_the_pods_that_they_are_for(overlay):
    manifests = built(overlay)
    labels = {name: pod["metadata"]["labels"] for name, pod in manifests.pods().items()}
    for name, made in manifests.of("Deployment").items():
        assert made["spec"]["selector"]["matchLabels"].items() <= labels[name].items()
        for spread in made["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            assert spread["labelSelector"]["matchLabels"].items() <= labels[name].items()
    for kind in ("Service", "PodDisruptionBudget"):
        for name, made in manifests.of(kind).items():
            selector = made["spec"]["selector"]
            selector = selector.get("matchLabels", selector)
            assert {other for other, own in labels.items() if selector.items() <= own.items()} == {name}, kind
    for name, made in manifests.of("Service").items():
        named = {port["name"] for port in manifests.pods()[name]["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in made["spec"]["ports"]} <= named
    for name, made in manifests.of("HorizontalPodAutoscaler").items():
        assert made["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert name in labels


@overlays
def test_what_pods_refer_to_is_there(overlay, secrets):
    manifests = built(overlay)
    priorities = {made["metadata"]["name"] for made in build(FOLDER / "cluster")}
    # TLS comes from whoever issues it.
    known = {*secrets, "router-tls"}
    for name, pod in manifests.pods().items():
        for volume in pod["spec"]["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in manifests.of("ConfigMap"), name
            if "secret" in volume:
                assert volume["secret"]["secretName"] in known, name
        for source in pod["spec"]["containers"][0].get("envFrom", ()):
            if "secretRef" in source:
                assert source["secretRef"]["name"] in known, name
        priority = pod["spec"].get("priorityClassName")
        assert priority in ({*priorities} if overlay in PRODUCTION else {None}), name


@overlays
def test_the_router_is_found_replica_by_replica_at_the_edges_address(overlay):
    manifests = built(overlay)
    service = manifests.of("Service")["router"]["spec"]
    assert service["clusterIP"] == "None"
    (port,) = service["ports"]
    assert manifests.environment("edge")["EDGE_ROUTER"] == f"dns:///router:{port['port']}"
    assert manifests.environment("router")["ROUTER_LISTEN"].endswith(f":{port['port']}")


@overlays
def test_figures_are_where_annotations_and_monitors_say(overlay):
    manifests = built(overlay)
    (monitor,) = [made for made in build(FOLDER / "monitoring") if made["kind"] == "PodMonitor"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (expression,) = monitor["spec"]["selector"]["matchExpressions"]
    for name, variable in (("edge", "EDGE_METRICS_LISTEN"), ("router", "ROUTER_METRICS_LISTEN")):
        pod = manifests.pods()[name]
        ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
        assert manifests.environment(name)[variable] == f"0.0.0.0:{ports[endpoint['port']]}"
        assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
        assert pod["metadata"]["labels"][expression["key"]] in expression["values"]


def known_settings() -> dict[str, set[str]]:
    """For each container the variables that its program reads."""
    keys = {entry.key for entry in edge_settings.load_config("").providers.values() if entry.key}
    urls = {entry.url for entry in edge_settings.load_config("").providers.values() if entry.url}
    scripts = "".join(path.read_text() for path in (ROOT / "portkey").glob("*.mjs"))
    return {
        "edge": aliases(edge_settings.Settings) | keys | urls,
        "router": aliases(router_settings.Settings),
        "portkey": set(re.findall(r"(?:process\.env\.|positiveNumber\(')([A-Z_]+)", scripts)),
        "demo": {"DEMO_LISTEN", "DEMO_PACE"},
    }


def aliases(settings) -> set[str]:
    found = [entry.validation_alias for entry in settings.model_fields.values()]
    return {name for alias in found for name in ([alias] if isinstance(alias, str) else alias.choices)}


@overlays
def test_every_variable_is_a_setting_that_its_service_reads(overlay, secrets):
    manifests, known = built(overlay), known_settings()
    for name in manifests.pods():
        assert set(manifests.environment(name)) <= known[name], name
    for example in EXAMPLES:
        if example.suffixes[0] == ".env":
            given = read_env(example)
            assert given
            assert set(given) <= known[example.name.split(".")[0]], example.name


def test_the_examples_hold_no_value_and_git_ignores_what_is_made_of_them(secrets):
    assert set(secrets) == {"edge-secrets", "router-secrets", "portkey-secrets", "edge-keys", "router-tokens"}
    for example in EXAMPLES:
        lines = [line for line in example.read_text().splitlines() if line and not line.startswith("# ")]
        assert [line for line in lines if not line.endswith("=")] == [], example.name
    ignored = (FOLDER / "secrets" / ".gitignore").read_text().split()
    assert ignored == ["*", "!.gitignore", "!kustomization.yaml", "!*.example"]


@overlays
def test_no_secret_stands_in_a_manifest(overlay):
    manifests = built(overlay)
    assert manifests.of("Secret") == {}
    for made in manifests.of("ConfigMap").values():
        # A path to one is none.
        given = {name for name, value in made["data"].items() if not value.startswith("/")}
        assert [name for name in given if re.search(r"(?i)(_key|token|password|secret|redis_url)$", name)] == []


@overlays
def test_the_services_take_their_settings(overlay, monkeypatch):
    """What secrets would add is added; a wrong setting stops a service, and so would stop a rollout."""
    manifests = built(overlay)
    given = manifests.environment("edge") | manifests.environment("router")
    production = overlay in PRODUCTION
    if production:
        given |= {"EDGE_REDIS_URL": "redis://redis:6379/0", "EDGE_ROUTER_TOKEN": "t", "PORTKEY_GATEWAY_TOKEN": "t"}
        given |= {"ROUTER_REDIS_URL": "redis://redis:6379/0", "ROUTER_LEDGER_URL": "postgresql://u:p@db/router"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    edge, router = edge_settings.load(), router_settings.load()
    edge_settings.check_exposure(edge)
    check_exposure(router.listen, bool(router.tls_cert), router.trusted_network)
    assert bool(edge.api_keys_file) is production
    # What is mounted nowhere cannot be written: a ledger of its own is none.
    assert not router.ledger_url.startswith("sqlite")
    for name, path in (("edge", edge.config), ("router", router.config)):
        folder = {mount["mountPath"] for mount in manifests.pods()[name]["spec"]["containers"][0]["volumeMounts"]}
        assert str(Path(path).parent) in folder
        assert (FOLDER / "base" / Path(path).name).exists()
    edge_settings.load_config(str(FOLDER / "base" / "edge.toml"))
    router_settings.load_catalog(str(FOLDER / "base" / "router.toml"))


@overlays
def test_a_pod_has_longer_to_stop_than_it_needs(overlay):
    manifests = built(overlay)
    edge = float(manifests.environment("edge")["EDGE_DRAIN_SECONDS"]) + LAST_WORDS
    router = float(manifests.environment("router")["ROUTER_DRAIN_SECONDS"]) + GRACE
    answers = edge_settings.Settings.model_fields["total_timeout"].default if overlay in PRODUCTION else 30
    for name, needed in (("edge", edge), ("router", router), ("portkey", answers)):
        spec = manifests.pods()[name]["spec"]
        waits = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert waits >= 5, name
        assert spec["terminationGracePeriodSeconds"] >= waits + needed + SPARE, name


@overlays
def test_a_rollout_takes_no_pod_away_before_another_serves(overlay):
    manifests = built(overlay)
    for name in ("edge", "router", "portkey"):
        rolling = manifests.of("Deployment")[name]["spec"]["strategy"]["rollingUpdate"]
        assert (rolling["maxSurge"], rolling["maxUnavailable"]) == (1, 0)


@overlays
def test_each_image_is_named_once_and_has_a_version(overlay):
    base = "\n".join(path.read_text() for path in FOLDER.glob("**/*.yaml"))
    images = [container["image"] for _, container in built(overlay).containers()]
    assert len(images) == len(set(images))
    for image in images:
        name, _, tag = image.rpartition(":")
        assert name, image
        assert tag not in ("", "latest")
        assert len(re.findall(rf"image: {name}$", base, flags=re.MULTILINE)) == 1, name
    assert len({image.rpartition(":")[2] for image in images}) == 1


@productions
def test_the_version_is_the_projects(overlay):
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
    assert version
    for _, container in built(overlay).containers():
        assert container["image"].endswith(f":{version[1]}")


@productions
def test_a_disruption_leaves_pods_and_lets_nodes_be_emptied(overlay):
    manifests = built(overlay)
    scalers, budgets = manifests.of("HorizontalPodAutoscaler"), manifests.of("PodDisruptionBudget")
    assert set(scalers) == set(budgets) == set(manifests.pods())
    for name, budget in budgets.items():
        least = scalers[name]["spec"]["minReplicas"]
        assert 1 <= budget["spec"]["maxUnavailable"] < least, name
        assert "minAvailable" not in budget["spec"], name
        # The autoscaler says how many; a number here would be set again by every apply.
        assert "replicas" not in manifests.of("Deployment")[name]["spec"], name


@productions
def test_what_is_scaled_by_is_cpu_for_each_is_one_busy_thread(overlay):
    for name, made in built(overlay).of("HorizontalPodAutoscaler").items():
        (metric,) = made["spec"]["metrics"]
        assert metric["resource"]["name"] == "cpu", name
        assert 50 <= metric["resource"]["target"]["averageUtilization"] <= 70, name
        assert made["spec"]["maxReplicas"] > made["spec"]["minReplicas"], name
        # Whoever is taken away has answers to finish.
        assert made["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 300, name
