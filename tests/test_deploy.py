"""Containers and values for Kubernetes: linted where the linters are installed, and held to the code and to each other.

Helm itself is not installable here: the keys of its values are held to what Dagster's chart of the locked release
takes, copied by hand from the models in its `helm/dagster/schema`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from magictalk_core import __version__
from magictalk_core.config import StrictModel

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
PROGRAMS = {"dagster", "dagster-webserver", "dagster-daemon", "mlflow", "ray", "magictalk"}
GIVEN = {"POSTGRES_PASSWORD": "secret", "RAW": "/srv/raw"}


def rendered(text: str) -> str:
    """What compose makes of `${NAME:-default}` and `${NAME:?why}` with the two variables that must be given."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if kind == ":?":
            return GIVEN[name]
        return GIVEN.get(name, rest)

    return re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", value, text)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    text = rendered((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    assert "${" not in text
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.fixture(scope="module")
def dagster() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "dagster-values.yaml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def ray() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "ray-values.yaml").read_text(encoding="utf-8"))
    return found


# --- linters ---------------------------------------------------------------------------------------------------------


def lint(program: str, *arguments: str) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: scripts/test-cluster installs it and runs this")
    done = subprocess.run([found, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_containerfile_is_clean() -> None:
    lint("hadolint", "--failure-threshold", "info", "deploy/Containerfile")


def test_compose_keeps_its_schema() -> None:
    lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml")


def test_scripts_of_the_shell_are_clean() -> None:
    for script in ("postgres", "test-cluster"):
        done = subprocess.run(
            ["bash", "-n", f"scripts/{script}"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    lint("shellcheck", "scripts/postgres", "scripts/test-cluster")


# --- the container ---------------------------------------------------------------------------------------------------


def test_what_is_copied_is_there_and_sent() -> None:
    """`.dockerignore` lets nothing through but what the Containerfile copies: no data, no weights, no history."""
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8").splitlines()
    copied = {word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)
    assert not any(fnmatch(name, "*.env") for name in copied)


def test_the_image_has_the_libraries_of_the_system() -> None:
    environment = (ROOT / "scripts/environment.sh").read_text(encoding="utf-8")
    wanted = re.search(r'SYSTEM_PACKAGES="([^"]+)"', environment)
    assert wanted is not None
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert [package for package in wanted[1].split() if package not in text] == []


def test_nothing_in_a_container_is_root() -> None:
    assert "USER 10001" in (DEPLOY / "Containerfile").read_text(encoding="utf-8")


# --- compose ---------------------------------------------------------------------------------------------------------


def test_services_of_compose_fit_each_other(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name
        if name != "postgres":
            assert service["command"][0] in PROGRAMS, name
            assert service["image"] == f"magictalk:{__version__}"
            assert service["volumes"] == ["home:/data", "/srv/raw:/raw:ro"], name
            assert service["environment"]["MAGICTALK_HOME"] == "/data"
            assert service["environment"]["DAGSTER_HOME"] == "/data/dagster"
    assert services["webserver"]["environment"]["MAGICTALK_EXECUTOR"] == "ray"


def test_ports_of_compose_are_this_machines_alone(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_a_password_must_be_given() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert re.search(r"POSTGRES_PASSWORD: \$\{POSTGRES_PASSWORD:\?", text)
    assert not re.search(r"(?i)password: [a-z0-9]", text)


# --- Kubernetes ------------------------------------------------------------------------------------------------------


class ChartValues(StrictModel):
    """The first level of the chart's values, as far as ours go; unknown keys are refused, as its own schema does."""

    global_: dict[str, Any]
    telemetry: dict[str, bool]
    postgresql: dict[str, Any]
    generatePostgresqlPasswordSecret: bool
    rabbitmq: dict[str, bool]
    redis: dict[str, bool]
    flower: dict[str, bool]
    user_deployments: dict[str, Any]
    runLauncher: dict[str, Any]
    dagsterDaemon: dict[str, Any]
    pythonLogs: dict[str, Any]
    additionalInstanceConfig: dict[str, Any]


DEPLOYMENT_KEYS = {
    "name", "image", "dagsterApiGrpcArgs", "codeServerArgs", "includeConfigInLaunchedRuns", "port", "env",
    "envConfigMaps", "envSecrets", "annotations", "nodeSelector", "affinity", "tolerations", "podSecurityContext",
    "securityContext", "resources", "livenessProbe", "readinessProbe", "startupProbe", "labels", "volumeMounts",
    "volumes", "schedulerName",
}  # fmt: skip
LAUNCHER_KEYS = {
    "image", "imagePullPolicy", "jobNamespace", "loadInclusterConfig", "kubeconfigFile", "envConfigMaps", "envSecrets",
    "envVars", "volumeMounts", "volumes", "labels", "failPodOnRunFailure",
}  # fmt: skip


def test_the_charts_keys_are_its_own(dagster: dict[str, Any]) -> None:
    names = {"global": "global_", "dagster-user-deployments": "user_deployments"}
    ChartValues.model_validate({names.get(key, key): value for key, value in dagster.items()})
    (deployment,) = dagster["dagster-user-deployments"]["deployments"]
    assert set(deployment) <= DEPLOYMENT_KEYS
    assert set(dagster["runLauncher"]["config"]["k8sRunLauncher"]) <= LAUNCHER_KEYS
    assert dagster["runLauncher"]["type"] == "K8sRunLauncher"


def test_the_chart_is_of_the_locked_release() -> None:
    locked = re.search(r"^dagster==(\S+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert locked is not None
    assert f"--version {locked[1]} " in (DEPLOY / "dagster-values.yaml").read_text(encoding="utf-8")


def test_ray_and_dagster_see_the_same_files(dagster: dict[str, Any], ray: dict[str, Any]) -> None:
    """Paths of pieces and raw files are handed from one to the other."""
    (deployment,) = dagster["dagster-user-deployments"]["deployments"]
    groups = [ray["head"], ray["worker"], *ray["additionalWorkerGroups"].values()]
    for group in groups:
        assert group["volumes"] == deployment["volumes"]
        assert group["volumeMounts"] == deployment["volumeMounts"]
    image = {key: deployment["image"][key] for key in ("repository", "tag")}
    assert {key: ray["image"][key] for key in image} == image and image["tag"] == __version__
    environment = {entry["name"]: entry.get("value") for entry in deployment["env"]}
    for entry in ray["worker"]["containerEnv"]:
        assert environment.get(entry["name"], entry.get("value")) == entry.get("value")
    assert environment["RAY_ADDRESS"] == f"http://{ray['fullnameOverride']}-head-svc:8265"
    assert environment["MAGICTALK_HOME"] in {mount["mountPath"] for mount in deployment["volumeMounts"]}


def test_a_step_fits_a_machine_of_the_cluster(dagster: dict[str, Any], ray: dict[str, Any]) -> None:
    """A step that asks for more than any machine has would wait for ever."""
    (deployment,) = dagster["dagster-user-deployments"]["deployments"]
    environment = {entry["name"]: entry.get("value") for entry in deployment["env"]}
    limits = ray["additionalWorkerGroups"]["gpu"]["resources"]["limits"]
    assert float(environment["MAGICTALK_STEP_CPUS"]) <= float(ray["worker"]["resources"]["limits"]["cpu"])
    assert float(environment["MAGICTALK_STEP_GPUS"]) <= float(limits["nvidia.com/gpu"])


def test_variables_of_the_files_are_read_by_the_code() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for package in ("magictalk_core", "assets", "pipelines")
        for path in (ROOT / package).rglob("*.py")
    )
    named = {
        name
        for file in DEPLOY.iterdir()
        for name in re.findall(r"\bMAGICTALK_[A-Z_]+", file.read_text(encoding="utf-8"))
    }
    assert {name for name in named if name not in code} == set() and "MAGICTALK_EXECUTOR" in named
