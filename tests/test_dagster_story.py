"""What Dagster's pages say of every asset: whose it is, what it holds, where it comes from, where to look further."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from chain_fixtures import CORPUS

from assets.keys import SHARD_STAGES
from magictalk_core.corpora.registry import add_corpus, load_corpus, new_entry
from magictalk_core.storage.atomic import write_text
from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import DAGSTER_YAML, open_instance, write_instance_files
from pipelines.results_server import results_server
from pipelines.retention import forget_superseded_runs

TABLES = {f"{CORPUS}/{name}" for name in ("index", "clips", *SHARD_STAGES)}
TABLES |= {"arkit_dataset", "generated", "refined", "scores", "set_scores", "picture_motion", "picture_scores"}
TABLES |= {"external_videos", "tables/claims"}


def test_every_asset_says_what_it_is_whose_it_is_and_where_its_code_stands(
    workspace: Workspace, tmp_path: Path
) -> None:
    add_corpus(workspace, new_entry(name=CORPUS, kind="folder", root=tmp_path))
    for spec in build_definitions(workspace).resolve_all_asset_specs():
        name = spec.key.to_user_string()
        assert spec.description and spec.group_name not in (None, "default"), name
        if spec.key.path[-1] == "source":
            continue  # observed, not made
        assert spec.owners and spec.kinds and spec.code_version, name
        assert spec.tags["magictalk/stage"] == spec.group_name and spec.tags["magictalk/device"] in ("cpu", "gpu"), name
        assert spec.tags.get("magictalk/corpus") == (CORPUS if name.startswith(f"{CORPUS}/") else None), name
        (reference,) = spec.metadata["dagster/code_references"].code_references
        code = Path(reference.file_path)
        line = code.read_text(encoding="utf-8").splitlines()[reference.line_number - 1]
        assert code.parent.name == "assets" and line.strip().startswith("@dg.asset"), f"{name}: {code}: {line}"


def _metadata(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """asset -> metadata of its newest materialization."""
    instance, found = open_instance(workspace), {}
    for key in instance.all_asset_keys():
        event = instance.get_latest_materialization_event(key)
        if event is not None and event.asset_materialization is not None:
            found[key.to_user_string()] = dict(event.asset_materialization.metadata)
    return found


def test_every_materialization_speaks_the_same_words(tiny_chain: Workspace) -> None:
    found = _metadata(tiny_chain)
    assert len(found) > 25
    for name, metadata in found.items():
        assert {"path", "bytes", "duration_s"} <= metadata.keys(), name
        assert isinstance(metadata["path"], dg.PathMetadataValue), name
        in_dvc = name.split("/")[-1] in (*SHARD_STAGES, "clips", "manifest", "snapshot")
        assert ("dvc.md5" in metadata) == in_dvc and ("md5" in metadata) != in_dvc, name
        is_table = name in TABLES
        for word in ("dagster/row_count", "dagster/column_schema", "dagster/column_lineage"):
            assert (word in metadata) == is_table, f"{name}: {word}"


def test_pages_show_plots_and_lead_on(tiny_chain: Workspace) -> None:
    found = _metadata(tiny_chain)
    for family in ("emodiff", "audio2bs", "sync_expert"):
        page = found[f"models/{family}"]
        assert str(page["losses"].value).startswith("![loss curves](data:image/svg+xml;base64,")
        assert str(page["mlflow.url"].value).endswith(f"/#/runs/{page['mlflow.run_id'].value}")
    assert "data:image/svg+xml" in str(found[f"{CORPUS}/card"]["funnel"].value)
    assert r"jaw\_open\_correlation" in str(found["tables/summary"]["table"].value)  # escaped, as Markdown has it
    assert str(found["report"]["page"].value).endswith("/report/report.html")
    assert ".mp4)" in str(found["videos/comparison"]["preview"].value)


def test_columns_lead_from_frames_back_to_the_raw_files(tiny_chain: Workspace) -> None:
    found = _metadata(tiny_chain)

    def origins(asset: str, column: str) -> set[str]:
        deps = found[asset]["dagster/column_lineage"].value.deps_by_column[column]
        return {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps}

    assert origins(f"{CORPUS}/blendshapes", "jawOpen") == {f"{CORPUS}/media.video_path", f"{CORPUS}/media.video_md5"}
    assert f"{CORPUS}/index.raw_md5" in origins(f"{CORPUS}/media", "video_path")
    assert origins(f"{CORPUS}/index", "raw_md5") == {f"{CORPUS}/source.path", f"{CORPUS}/source.md5"}
    assert origins("arkit_dataset", "jawOpen") == {f"{CORPUS}/blendshapes.jawOpen"}


def test_what_is_promised_has_a_policy_that_says_when_it_is_broken(workspace: Workspace, tmp_path: Path) -> None:
    add_corpus(workspace, new_entry(name=CORPUS, kind="folder", root=tmp_path))
    specs = build_definitions(workspace).resolve_all_asset_specs()
    assert {spec.key.to_user_string() for spec in specs if spec.freshness_policy} == {
        f"{CORPUS}/index",
        f"{CORPUS}/manifest",
    }


# --- the instance ----------------------------------------------------------------------------------------------------


def test_an_instance_of_an_earlier_release_gets_the_settings_of_this_one_but_not_where_the_user_changed_them(
    workspace: Workspace,
) -> None:
    config = workspace.dagster / "dagster.yaml"
    earlier = "".join(
        f"{line}\n"
        for line in (
            "telemetry:", "  enabled: false", "nux:", "  enabled: false", "concurrency:", "  pools:",
            "    granularity: op", "    default_limit: 1", "run_monitoring:", "  enabled: true",
            "  free_slots_after_run_end_seconds: 120", "python_logs:", "  managed_python_loggers: [magictalk]",
            "  python_log_level: INFO",
        )
    )  # fmt: skip
    write_text(config, earlier)
    write_instance_files(workspace)
    assert config.read_text() == DAGSTER_YAML
    write_text(config, "telemetry:\n  enabled: false\n")
    write_instance_files(workspace)
    assert config.read_text() == "telemetry:\n  enabled: false\n"


@pytest.mark.slow
def test_runs_of_which_nothing_is_current_are_forgotten(workspace: Workspace) -> None:
    instance = open_instance(workspace)
    parts = dg.StaticPartitionsDefinition(["a", "b"])

    @dg.asset(partitions_def=parts)
    def shard() -> None: ...

    @dg.asset
    def table() -> None: ...

    def made(asset: Any, partition: str | None = None) -> str:
        return dg.materialize([asset], instance=instance, partition_key=partition).run_id

    first, again = made(shard, "a"), [made(table) for _ in range(3)]
    last = made(shard, "b")
    assert forget_superseded_runs(instance, keep=1) == 2
    assert {run.run_id for run in instance.get_runs()} == {first, again[-1], last}
    assert instance.get_materialized_partitions(shard.key) == {"a", "b"}
    assert forget_superseded_runs(instance, keep=100) == 0


# --- shards of a folder ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("files", "shards"), [(10, None), (1000, 5)])
def test_a_large_folder_has_more_shards_and_keeps_them(
    workspace: Workspace, tmp_path: Path, files: int, shards: int | None
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for n in range(files):
        (raw / f"{n}.mp4").touch()
    entry = new_entry(name="clips", kind="folder", root=raw)
    add_corpus(workspace, entry)
    assert load_corpus(workspace, "clips").buckets == shards
    for n in range(files, 2 * files):
        (raw / f"{n}.mp4").touch()
    add_corpus(workspace, entry)
    add_corpus(workspace, new_entry(name="clips", kind="folder", root=raw, licence="CC0"), replace=True)
    assert load_corpus(workspace, "clips").buckets == shards, "a clip never moves to another shard by itself"


# --- what the browser gets -------------------------------------------------------------------------------------------


def test_the_results_are_served_and_nothing_else(workspace: Workspace) -> None:
    for name in ("report/report.html", "videos/comparison/a b.mp4", "corpora/c/dataset/clips.parquet", "preset.yaml"):
        write_text(workspace.home / name, name)
    (workspace.videos / "out").symlink_to(workspace.corpora)
    server = results_server(workspace.home, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:

        def status(path: str) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
            connection.request("GET", path)
            answer = connection.getresponse().status
            connection.close()
            return answer

        assert [status(path) for path in ("/", "/report/report.html", "/videos/comparison/a%20b.mp4")] == [200] * 3
        refused = (
            "/preset.yaml",
            "/videos/../preset.yaml",
            "/videos/%2e%2e/preset.yaml",
            "/report/..%2f..%2fetc/passwd",
        )
        outside = (*refused, "/videos/out/c/dataset/clips.parquet", "/corpora/", "//etc/passwd")
        assert [status(path) for path in outside] == [404] * len(outside)
    finally:
        server.shutdown()
        server.server_close()
