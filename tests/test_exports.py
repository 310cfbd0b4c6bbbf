"""What is exported passes the validators of its standards, and an independent loader reads the datasets with it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from store_fixtures import CLIP_IDS, CORPUS, small_store
from typer.testing import CliRunner

from magictalk_core.arkit_dataset.build import build_arkit_dataset
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.lineage.exports.datasets import corpus_croissant, write_corpus_croissant
from magictalk_core.lineage.exports.ml_bom import ml_bom
from magictalk_core.lineage.exports.model_facts import model_facts
from magictalk_core.lineage.exports.openlineage import run_events
from magictalk_core.lineage.integrity.audit import audit
from magictalk_core.lineage.registry import Registry
from magictalk_core.report.model_card import model_card_text, write_model_cards
from magictalk_core.storage.hashes import file_sha256
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import ARKIT, FRAMES, SPEECH
from magictalk_core.training.sync import send_what_waits
from magictalk_core.training.tracking import MlflowTracker
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace
from pipelines.cli import app


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return small_store(tmp_path / "home")


def loaded(document: Path, caplog: pytest.LogCaptureFixture) -> Any:
    """The dataset as mlcroissant opens it; what it warns of is one property that only a publisher knows."""
    import mlcroissant

    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(str(document))
    problems = dataset.metadata.ctx.issues
    assert not problems.errors
    assert all("datePublished" in warning for warning in problems.warnings)
    return dataset


def records(dataset: Any, name: str) -> pd.DataFrame:
    rows = [{key.split("/")[1]: value for key, value in row.items()} for row in dataset.records(name)]
    return pd.DataFrame(rows)


def test_mlcroissant_reads_the_arkit_dataset(store: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    made = build_arkit_dataset(store, [CORPUS])
    document = json.loads((made.path / "croissant.json").read_text())
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    hashes = {part["contentUrl"]: part["sha256"] for part in document["distribution"] if "sha256" in part}
    assert hashes == {name: file_sha256(made.path / name) for name in hashes} and len(hashes) == 3
    dataset = loaded(made.path / "croissant.json", caplog)
    found = records(dataset, "frames")
    truth = pd.concat([read_frame(ARKIT, path) for path in sorted((made.path / "data").glob("*.parquet"))])
    assert len(found) == len(truth) == 8 and set(found.columns) == {*ARKIT.names, "split"}
    np.testing.assert_array_equal(found["jawOpen"].to_numpy(np.float32), truth["jawOpen"].to_numpy(np.float32))
    assert dict(zip(found["clip_id"], found["split"], strict=True)) == {
        CLIP_IDS[0].encode(): b"train",
        CLIP_IDS[1].encode(): b"test",
    }
    assert len(records(dataset, "clips")) == 2


def test_mlcroissant_refuses_a_file_that_was_changed(store: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    path = write_corpus_croissant(store, CORPUS)
    table = store.clips_table(CORPUS)
    content = bytearray(table.read_bytes())
    content[100] ^= 1
    table.write_bytes(content)
    with pytest.raises(Exception, match=r"(?i)hash|operation Download"):
        records(loaded(path, caplog), "clips")


def test_mlcroissant_reads_the_snapshot_of_a_corpus(store: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    path = write_corpus_croissant(store, CORPUS)
    dataset = loaded(path, caplog)
    frames = records(dataset, "frames")
    truth = read_frame(FRAMES, store.shard_table(CORPUS, "blendshapes", "b000"))
    assert frames["frame_index"].tolist() == truth["frame_index"].tolist()
    speech = records(dataset, "speech")
    expected = read_frame(SPEECH, store.shard_table(CORPUS, "speech", "b000"))
    np.testing.assert_allclose(np.stack(speech["features"]), np.stack(expected["features"]))
    assert {name.decode() for name in records(dataset, "media")["clip_id"]} == set(CLIP_IDS)
    assert audit(store).report.findings == ()  # it is recorded as everything else
    assert corpus_croissant(store, CORPUS) == json.loads(path.read_text())


def _rebuilt(event: dict[str, Any]) -> Any:
    """The event made of the classes that OpenLineage generates from its schemas: they refuse what is not in them."""
    from openlineage.client import event_v2, facet_v2

    classes = {
        "jobType": facet_v2.job_type_job.JobTypeJobFacet,
        "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
        "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
        "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    }

    def facets(values: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for name, facet in values.items():
            fields = {key: value for key, value in facet.items() if not key.startswith("_")}
            if name == "schema":
                schema = facet_v2.schema_dataset
                fields["fields"] = [schema.SchemaDatasetFacetFields(**field) for field in fields["fields"]]
                made: Any = schema.SchemaDatasetFacet(producer=facet["_producer"], **fields)
            elif name == "parent":
                parent = facet_v2.parent_run
                made = parent.ParentRunFacet(
                    run=parent.Run(**fields["run"]), job=parent.Job(**fields["job"]), producer=facet["_producer"]
                )
            elif name in classes:
                made = classes[name](producer=facet["_producer"], **fields)
            else:
                assert facet["_producer"] and facet["_schemaURL"]  # a facet of our own: what every facet must have
                continue
            assert made._schemaURL == facet["_schemaURL"]
            found[name] = made
        return found

    return event_v2.RunEvent(
        eventType=event_v2.RunState[event["eventType"]],
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=event_v2.Run(runId=event["run"]["runId"], facets=facets(event["run"]["facets"])),
        job=event_v2.Job(event["job"]["namespace"], event["job"]["name"], facets(event["job"]["facets"])),
        inputs=[
            event_v2.InputDataset(namespace=d["namespace"], name=d["name"], facets=facets(d["facets"]))
            for d in event["inputs"]
        ],
        outputs=[
            event_v2.OutputDataset(
                namespace=d["namespace"],
                name=d["name"],
                facets=facets(d["facets"]),
                outputFacets=facets(d["outputFacets"]),
            )
            for d in event["outputs"]
        ],
    )


def test_openlineage_takes_every_event(store: Workspace) -> None:
    made = list(Registry.read(store).current.values())
    events = list(run_events(store.home, made))
    assert len(events) == 2 * len(made) and len(made) >= 9
    for event in events:
        assert set(event) == {"eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"}
        rebuilt = _rebuilt(event)
        assert rebuilt.schemaURL == event["schemaURL"]
    training = next(e for e in events if e["job"]["name"].startswith("model/"))
    assert training["inputs"][0]["name"] == (store.home / "training_set").as_posix()
    starts = {e["run"]["runId"]: e["eventTime"] for e in events if e["eventType"] == "START"}
    assert all(starts[e["run"]["runId"]] <= e["eventTime"] for e in events) and len(starts) == len(made)


def test_the_bill_of_materials_is_valid_and_complete(store: Workspace) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    bom = ml_bom(model_facts(store, "emodiff"))
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(bom)) is None
    assert validator.validate_str(json.dumps(bom | {"specVersion": 1})) is not None
    model = bom["metadata"]["component"]
    weights = store.models("emodiff") / ("5" * 32) / "model" / "model.safetensors"
    assert {h["alg"]: h["content"] for h in model["hashes"]}["SHA-256"] == file_sha256(weights)
    parts = {part["bom-ref"].split(":")[0]: part for part in bom["components"]}
    assert parts["corpus"]["licenses"] == [{"license": {"id": "CC0-1.0"}}]
    assert parts["weights"]["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert parts["weights"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    metrics = {m["type"]: m for m in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]}
    assert metrics["jaw_open_correlation [1]"]["confidenceInterval"] == {"lowerBound": "0.5", "upperBound": "0.9"}
    refs = {bom["metadata"]["component"]["bom-ref"], *(part["bom-ref"] for part in bom["components"])}
    assert {d["ref"] for d in bom["dependencies"]} == refs
    assert all(set(d.get("dependsOn", ())) <= refs for d in bom["dependencies"])


def test_the_model_card_says_data_terms_weights_and_scores(store: Workspace) -> None:
    text = model_card_text(model_facts(store, "emodiff"))
    for said in (
        "CC0-1.0 (1)",
        "Apache-2.0",
        "What the owner of the videos allows",
        "filmed people",
        "0.75",
        "0.5 to 0.9",
    ):
        assert said in text, said
    assert "`tracker=litert/1`" in text and "personal" not in text.split("## Limits")[0]


def test_cards_are_laid_into_the_report_once_and_recorded(store: Workspace) -> None:
    (folder,) = write_model_cards(store)
    assert {path.name for path in folder.iterdir()} == {"README.md", "curves.svg", "ml-bom.cdx.json"}
    before = (folder / "README.md").stat().st_mtime_ns
    write_model_cards(store)
    assert (folder / "README.md").stat().st_mtime_ns == before
    assert audit(store).report.findings == ()


@pytest.mark.slow
def test_a_card_goes_into_the_mlflow_run_of_its_training_and_waits_for_a_server_that_is_down(
    store: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    (run,) = (path.parent for path in store.models("emodiff").glob("*/result.json"))
    uri = f"sqlite:///{store.mlflow / 'mlflow.db'}"
    tracker = MlflowTracker(uri)
    tracker.start("magictalk/emodiff", "tiny", run)
    run_id = tracker.finish()
    client = mlflow.MlflowClient(uri)
    ended = client.get_run(run_id).info

    def stored() -> str:
        text: str = mlflow.artifacts.load_text(f"{ended.artifact_uri}/model_card/README.md")
        return text

    (folder,) = write_model_cards(store)
    names = {file.path for file in client.list_artifacts(run_id, "model_card")}
    assert names == {"model_card/README.md", "model_card/curves.svg", "model_card/ml-bom.cdx.json"}
    assert stored() == (folder / "README.md").read_text() and "0.75" in stored()

    table = store.tables / "summary.csv"
    table.write_text(table.read_text().replace("0.75", "0.8125"))
    Work(store.home, "tables", table, "1", [input_of(store.home, "model", run / "model")]).record()
    with monkeypatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        write_model_cards(store)
    assert "0.8125" in (folder / "README.md").read_text() and "0.8125" not in stored()
    (sent,) = send_what_waits(store.home / "models", uri)
    assert (sent.sent, sent.waiting, sent.mlflow_run) == (3, 0, run_id) and "0.8125" in stored()
    now = client.get_run(run_id).info
    assert (now.status, now.end_time) == ("FINISHED", ended.end_time), "a card does not open a training again"


def test_scores_of_another_model_are_not_shown(store: Workspace) -> None:
    table = store.tables / "summary.csv"
    Work(store.home, "tables", table, "2", []).record()
    assert "None of this very model yet" in model_card_text(model_facts(store, "emodiff"))


def test_a_model_without_record_or_of_no_family_is_refused(store: Workspace) -> None:
    with pytest.raises(UserError, match="no model family `gpt`"):
        model_facts(store, "gpt")
    next(store.models("emodiff").rglob(".model.provenance.json")).unlink()
    with pytest.raises(PermanentError, match="no provenance record"):
        model_facts(store, "emodiff")


def test_the_commands_write_files_and_standard_output(store: Workspace, tmp_path: Path) -> None:
    runner, home = CliRunner(), ["--home", str(store.home)]
    events = runner.invoke(app, ["export", "openlineage", *home])
    assert events.exit_code == 0 and all(json.loads(line)["eventTime"] for line in events.stdout.splitlines())
    out = tmp_path / "c.json"
    options = ["--published", "2026-12-01", "--url", "https://example.org/c", "--creator", "Us", "-o", str(out)]
    assert runner.invoke(app, ["export", "croissant", CORPUS, *home, *options]).exit_code == 0
    document = json.loads(out.read_text())
    assert document["datePublished"] == "2026-12-01" and document["creator"]["name"] == "Us"
    assert document["url"] == "https://example.org/c"
    assert json.loads(runner.invoke(app, ["export", "ml-bom", "emodiff", *home]).stdout)["bomFormat"] == "CycloneDX"
    assert runner.invoke(app, ["export", "model-card", "emodiff", *home]).stdout.startswith("# emodiff")
    missing = runner.invoke(app, ["export", "croissant", *home])
    assert missing.exit_code == 1 and "--select arkit_dataset" in missing.stderr
