"""The records of the corpus kinds, and a new kind: one folder and one line of the registry."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from magictalk_core.corpora.kind import CorpusKind
from magictalk_core.corpora.kinds import KINDS, corpus_of, kind_of
from magictalk_core.corpora.registry import new_entry
from magictalk_core.corpora.sample.phonemes import phonemes_file
from magictalk_core.corpora.sample.true_curves import true_curves_file
from magictalk_core.errors import PermanentError
from magictalk_core.media.encode import write_video
from magictalk_core.presets.preset import load_preset
from magictalk_core.storage.hashes import file_md5
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.manifest import read_manifest
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from pipelines.run import run
from tests.face_fixtures import astronaut, need_embedded_weights

STUDIO = {
    "__init__.py": "",
    "clips.py": '''
from pathlib import Path, PurePosixPath

from magictalk_core.corpora.records import ClipSource
from magictalk_core.corpora.splits import speaker_splits
from magictalk_core.vocabulary.clips import clip_id


def find_clips(corpus, paths):
    """`<speaker>.<emotion>.<take>.vid`"""
    names = {path: PurePosixPath(path).name.split(".") for path in paths}
    splits = speaker_splits([speaker for speaker, *_ in names.values()], corpus.split)
    return [
        ClipSource(
            clip_id(corpus.name, speaker, f"{emotion}-{take}"), corpus.name, corpus.shard(speaker, speaker), speaker,
            speaker, Path(path), emotion=emotion, licence=corpus.licence, split=splits[speaker],
        )
        for path, (speaker, emotion, take, _) in sorted(names.items())
    ]
''',
    "check.py": """
from magictalk_core.corpora.findings import count_clips
from studio.clips import find_clips


def check(corpus, files):
    return count_clips(find_clips(corpus, list(files)))
""",
    "kind.py": """
from magictalk_core.corpora.kind import CorpusKind
from studio.check import check
from studio.clips import find_clips

STUDIO = CorpusKind(
    name="studio", summary="our studio", suffixes=frozenset((".vid",)), find_clips=find_clips, check=check,
    licence="in-house", terms="For us.", obligations=("for us",), splits=("rank", "train"), buckets=None,
)
""",
}


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Raw clips of a kind that the project does not know, which is a folder of code and a line of the registry."""
    (tmp_path / "code/studio").mkdir(parents=True)
    for name, text in STUDIO.items():
        (tmp_path / "code/studio" / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    monkeypatch.setitem(KINDS, "studio", importlib.import_module("studio.kind").STUDIO)
    root = tmp_path / "raw"
    root.mkdir()
    sound = np.sin(np.arange(16_000) * 0.2).astype(np.float32) / 4
    write_video(tmp_path / "clip.mp4", (np.roll(astronaut(), i % 3, axis=0) for i in range(25)), 25, sound)
    (tmp_path / "clip.mp4").rename(root / "ann.happy.1.vid")
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == "studio"]:
        del sys.modules[name]


def test_a_new_kind_flows_from_add_to_snapshot(studio: Path, workspace: Workspace) -> None:
    need_embedded_weights()
    home = ["--home", str(workspace.home)]
    added = CliRunner().invoke(app, ["corpus", "add", "ours", "--kind", "studio", "--root", str(studio), *home])
    assert added.exit_code == 0, added.output
    checked = CliRunner().invoke(app, ["corpus", "check", "ours", "--json", *home])
    assert checked.exit_code == 0 and '"speakers": 1' in checked.stdout
    values = load_preset("sample").model_dump(mode="json")
    values["name"], values["faces"]["tracker"], values["speech"]["feature"] = "quick", "litert", "logmel-29-1"
    (workspace.home / "quick.yaml").write_text(yaml.safe_dump(values))
    report = run(workspace, str(workspace.home / "quick.yaml"), "+ours/snapshot ours/card")
    versions = {outcome.asset: outcome.version for outcome in report.outcomes}
    clips = pd.read_parquet(workspace.clips_table("ours"))
    assert clips[["speaker", "emotion", "shard", "licence", "status"]].to_numpy().tolist() == [
        ["ann", "happy", "ann", "in-house", "ok"],
    ]
    assert versions["ours/clips"] == file_md5(workspace.clips_table("ours"))
    assert versions["ours/index"] == file_md5(workspace.index_table("ours"))
    lock = yaml.safe_load((workspace.home / "dvc.lock").read_text())
    digest = read_manifest(workspace.manifest("ours")).digest
    assert lock["stages"]["dataset@ours"]["outs"][0]["md5"] == digest == versions["ours/snapshot"]
    assert "Terms of the kind `studio`: For us." in (workspace.card("ours") / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_kind_is_one_folder(name: str) -> None:
    kind = KINDS[name]
    folder = Path(str(importlib.import_module(f"magictalk_core.corpora.{name}").__file__)).parent
    assert isinstance(kind, CorpusKind) and kind.name == name and kind.terms and kind.licence and kind.summary
    assert {"README.md", "check.py", "kind.py"} <= {file.name for file in folder.iterdir()}
    assert {"rank", "train"} <= set(kind.splits)


def test_true_curves_have_the_ids_of_the_clips(tmp_path: Path) -> None:
    path = "M901/video/front/happy/level_3/001.mp4"
    rows = [{"path": path, "frame_index": i, **dict.fromkeys(MOTION_NAMES, 0.1 * i)} for i in range(3)]
    true_curves_file(tmp_path).parent.mkdir()
    pd.DataFrame(rows).to_parquet(true_curves_file(tmp_path))
    entry = new_entry(name="s", kind="sample", root=tmp_path)
    (clip,) = kind_of(entry).find_clips(corpus_of(entry), [path])
    read = kind_of(entry).true_curves
    assert read is not None
    curves = read(corpus_of(entry))
    assert list(curves.columns) == ["clip_id", "frame_index", *MOTION_NAMES]
    assert set(curves["clip_id"]) == {clip.clip_id} and curves["jawOpen"].tolist() == [0.0, 0.1, 0.2]
    assert [name for name, kind in KINDS.items() if kind.true_curves or kind.is_synthetic] == ["sample"]


def test_phonemes_have_the_ids_of_the_clips_and_an_old_corpus_says_what_to_do(tmp_path: Path) -> None:
    path = "M901/video/front/happy/level_3/001.mp4"
    entry = new_entry(name="s", kind="sample", root=tmp_path)
    (clip,) = kind_of(entry).find_clips(corpus_of(entry), [path])
    read = kind_of(entry).phonemes
    assert read is not None
    with pytest.raises(PermanentError, match=r"phonemes\.parquet: not there.*magictalk demo"):
        read(corpus_of(entry))
    phonemes_file(tmp_path).parent.mkdir()
    rows = pd.DataFrame([{"path": path, "symbol": "b", "start_s": 0.1, "end_s": 0.2}])
    rows.to_parquet(phonemes_file(tmp_path))
    found = read(corpus_of(entry))
    assert found.to_dict("records") == [{"clip_id": clip.clip_id, "symbol": "b", "start_s": 0.1, "end_s": 0.2}]
    assert [name for name, kind in KINDS.items() if kind.phonemes] == ["sample"]
