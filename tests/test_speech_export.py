"""`magictalk speech`: the layouts of one file, and what cannot be asked for. The checks of the asset on real shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from speech_fixtures import noise

from magictalk_core.commands.speech import featurize_file
from magictalk_core.errors import UserError
from magictalk_core.media.audio import write_wav
from magictalk_core.speech.checks import silence_problems_of, speech_problems
from magictalk_core.speech.features import speech_table
from magictalk_core.storage.parquet import read_table, table_metadata
from magictalk_core.storage.schema import SPEECH

SMALL = "deepspeech-small-1"


@pytest.fixture()
def sound(tmp_path: Path) -> Path:
    write_wav(tmp_path / "voice.wav", noise(1.0, level=0.2), 16_000)
    return tmp_path / "voice.wav"


def test_every_layout_holds_the_same_steps(sound: Path, tmp_path: Path) -> None:
    found = {}
    for layout in ("frames", "steps", "windows"):
        featurize_file(sound, tmp_path / f"{layout}.npy", layout=layout)
        found[layout] = np.load(tmp_path / f"{layout}.npy")
    assert [v.shape for v in found.values()] == [(25, 58), (50, 29), (25, 16, 29)]
    np.testing.assert_array_equal(found["frames"].reshape(50, 29), found["steps"])
    np.testing.assert_array_equal(found["windows"][12], found["steps"][16:32])


def test_logits_are_log_probabilities_but_for_one_number_a_step(sound: Path, tmp_path: Path) -> None:
    for logits in (False, True):
        featurize_file(sound, tmp_path / f"{logits}.npy", layout="steps", logits=logits)
    raw, probabilities = (np.load(tmp_path / f"{logits}.npy") for logits in (True, False))
    # Values near the floor of log(p + 1e-8) are lifted by it.
    difference = np.where(probabilities > -12, raw - probabilities, np.nan)
    assert np.nanmax(np.nanmax(difference, axis=1) - np.nanmin(difference, axis=1)) < 0.01
    assert np.nanmax(np.abs(difference)) > 0.1


def test_a_table_names_its_feature_and_its_weights(sound: Path, tmp_path: Path) -> None:
    summary = featurize_file(sound, tmp_path / "deep" / "voice.parquet")
    table = read_table(SPEECH, tmp_path / "deep" / "voice.parquet")
    assert summary.shape == "25 x 58" and set(table["feature_id"].to_pylist()) == {SMALL}
    metadata = table_metadata(tmp_path / "deep" / "voice.parquet")
    assert metadata["feature_id"] == SMALL and len(bytes.fromhex(metadata["weights"])) == 32


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("a.wav", {}, r"expected a name that ends in \.parquet or \.npy"),
        ("a.parquet", {"layout": "steps"}, "layout `steps` goes into a .npy file"),
        ("a.npy", {"layout": "phones"}, "expected one of frames, steps, windows"),
        ("a.npy", {"logits": True}, "`frames` are log-probabilities"),
        ("a.npy", {"layout": "steps", "feature": "logmel-29-1"}, "expected a DeepSpeech feature"),
        ("a.npy", {"feature": "hubert"}, "no speech feature `hubert`"),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_read(
    name: str, asked: dict[str, object], message: str, sound: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        featurize_file(sound, tmp_path / name, **asked)  # type: ignore[arg-type]
    assert not (tmp_path / name).exists()


def test_a_file_without_sound_is_one_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "letter.wav").write_text("Dear all", encoding="utf-8")
    with pytest.raises(UserError, match=r"letter\.wav"):
        featurize_file(tmp_path / "letter.wav", tmp_path / "a.npy")
    with pytest.raises(UserError, match="no such audio or video file"):
        featurize_file(tmp_path / "nothing.wav", tmp_path / "a.npy")


def test_checks_name_the_clip_and_what_is_wrong_with_it() -> None:
    good = speech_table(noise(1.0), "c/s/1", 25, SMALL)
    assert speech_problems(good, {"c/s/1": 25}) == {}
    assert "found 25 rows" in speech_problems(good, {"c/s/1": 26})["c/s/1"][0]
    assert speech_problems(good, {"c/s/1": 25, "c/s/2": 5}) == {"c/s/2": ["no rows"]}
    mixed = pa.concat_tables([good, speech_table(noise(1.0), "c/s/2", 25, "logmel-29-1")])
    assert "expected feature `deepspeech-small-1`" in speech_problems(mixed, {"c/s/1": 25, "c/s/2": 25})["c/s/2"][0]
    loud = good.set_column(2, "features", pa.array([[0.5] * 58] * 25, type=pa.list_(pa.float32())))
    assert "expected values from" in speech_problems(loud, {"c/s/1": 25})["c/s/1"][0]


def test_silence_is_asked_of_a_child_process(tmp_path: Path) -> None:
    assert silence_problems_of(SMALL, tmp_path) == ()
