"""Data and artefacts on S3: DVC's remote and MLflow's artefacts, against a server on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_fixtures import need_extra

BUCKET = "magictalk"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a server with one empty bucket; the environment is set for boto3, DVC and MLflow."""
    for module in ("moto.server", "dvc_s3", "boto3"):
        need_extra(module, "s3")
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", address)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    yield address
    server.stop()


def keys(prefix: str) -> list[str]:
    import boto3

    found = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [entry["Key"] for entry in found.get("Contents", [])]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_dataset_goes_to_s3_and_comes_back(s3: str, tmp_path: Path) -> None:
    from dvc.repo import Repo

    home = tmp_path / "home"
    (home / "dataset").mkdir(parents=True)
    for name in ("a.parquet", "b.parquet"):
        (home / "dataset" / name).write_bytes(name.encode() * 1000)
    with Repo.init(str(home), no_scm=True) as repo:
        with repo.config.edit() as config:
            config["remote"]["store"] = {"url": f"s3://{BUCKET}/dvc", "endpointurl": s3}
            config["core"]["remote"] = "store"
        repo.add(str(home / "dataset"))
        assert repo.push() == 3  # two files and the list of the folder
        shutil.rmtree(home / "dataset")
        shutil.rmtree(home / ".dvc" / "cache")
        repo.pull()
    assert (home / "dataset" / "b.parquet").read_bytes() == b"b.parquet" * 1000
    assert len(keys("dvc/")) == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_artefacts_of_mlflow_go_to_s3(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from magictalk_core.training.store import ExperimentStore

    monkeypatch.setenv("MAGICTALK_MLFLOW_ARTIFACTS", f"s3://{BUCKET}/mlflow")
    store = ExperimentStore(f"sqlite:///{tmp_path}/mlflow.db")
    run = store.client.create_run(store.experiment("toy"))
    file = tmp_path / "curves.csv"
    file.write_text("step,loss\n1,0.5\n", encoding="utf-8")
    store.client.log_artifact(run.info.run_id, str(file))
    assert [entry.path for entry in store.client.list_artifacts(run.info.run_id)] == ["curves.csv"]
    assert any(key.endswith("/artifacts/curves.csv") for key in keys("mlflow/"))
    assert not list(tmp_path.glob("**/artifacts"))
