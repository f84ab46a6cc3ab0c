"""Kubernetes: manifests against the schema of the API, and against what our own programs answer."""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from dbplanmon_pipeline import __version__
from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline.web.app import build_app
from dbplanmon_pipeline_tests.defs.locations import settings_of
from dbplanmon_pipeline_tests.deploy.programs import DEPLOY, assert_is_a_command

FOLDER = DEPLOY / "kubernetes"
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "status.yaml").read_text("utf-8")))
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "values.yaml").read_text("utf-8"))


def manifest(kind: str) -> dict[str, Any]:
    (found,) = [document for document in MANIFESTS if document["kind"] == kind]
    return found


def container() -> dict[str, Any]:
    (found,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    return found


def user_deployment() -> dict[str, Any]:
    (found,) = VALUES["dagster-user-deployments"]["deployments"]
    return found


@pytest.mark.parametrize("document", MANIFESTS, ids=lambda document: document["kind"])
def test_manifests_are_what_the_api_takes(document):
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"volumes": user_deployment()["volumes"], "securityContext": user_deployment()["podSecurityContext"]}, "pod"),
        ({}, "container"),
    ],
)
def test_pieces_of_pods_in_the_values_are_what_the_api_takes(spec, where):
    ours = {key: user_deployment()[key] for key in ("env", "volumeMounts", "securityContext", "resources")}
    piece = ours if where == "container" else {}
    pod = {"containers": [{"name": "code", "image": "x", **piece}], **spec}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "code"}, "spec": pod}
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_probes_ask_for_routes_that_answer_without_login(tmp_path):
    app = build_app(Monitor(settings_of(tmp_path)))
    paths = {route.path for route in app.routes}
    port = {port["name"]: port["containerPort"] for port in container()["ports"]}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container()[kind]["httpGet"]
        assert asked["path"] in paths
        assert asked["path"].startswith("/health/")
        assert port[asked["port"]] == 3001
    annotations = manifest("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] in paths


def test_the_command_is_one():
    words = container()["args"]
    assert_is_a_command(words)
    assert words[words.index("--port") + 1] == "3001"


def test_pods_have_no_rights_to_spare():
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert user_deployment()["podSecurityContext"] == pod["securityContext"]


def test_service_and_policy_choose_the_pods_of_the_deployment():
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert manifest("Service")["spec"]["selector"] == labels
    assert manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    (ingress,) = manifest("NetworkPolicy")["spec"]["ingress"]
    assert [port["port"] for port in ingress["ports"]] == [3001]


def test_volumes_and_settings_the_values_refer_to_are_in_the_manifests():
    names = {(document["kind"], document["metadata"]["name"]) for document in MANIFESTS}
    volumes = {volume["name"]: volume for volume in user_deployment()["volumes"]}
    assert ("ConfigMap", volumes["settings"]["configMap"]["name"]) in names
    assert ("PersistentVolumeClaim", volumes["state"]["persistentVolumeClaim"]["claimName"]) in names
    mounted = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert {m["name"]: m["mountPath"] for m in user_deployment()["volumeMounts"]}.items() <= mounted.items()


def test_settings_load_and_know_the_name_of_the_service(tmp_path, caplog):
    (tmp_path / "dbplanmon.yaml").write_text(manifest("ConfigMap")["data"]["dbplanmon.yaml"])
    settings = load_settings(tmp_path / "dbplanmon.yaml", environ={})
    assert manifest("Service")["metadata"]["name"] in settings.web.trusted_hosts
    assert caplog.records == []


def test_images_have_the_version_of_the_package():
    assert container()["image"].endswith(f":{__version__}")
    assert user_deployment()["image"]["tag"] == __version__


def test_the_queue_keeps_a_job_from_overlapping_itself():
    one_host = yaml.safe_load((DEPLOY / "dagster-postgres.yaml").read_text("utf-8"))["concurrency"]["runs"]
    queue = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert queue["tagConcurrencyLimits"] == one_host["tag_concurrency_limits"]
    assert queue["maxConcurrentRuns"] == one_host["max_concurrent_runs"]
    assert VALUES["dagsterDaemon"]["runMonitoring"]["enabled"]
    assert VALUES["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"
