"""The table contracts, one definition each; validation, column schemas and the docs page derive from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from magictalk_core.vocabulary.arkit import ARKIT_NAMES, BLIND_CHANNELS

__all__ = [
    "ARKIT",
    "CLAIMS",
    "CLIPS",
    "CLIP_IDS",
    "EXTERNAL_VIDEOS",
    "FRAMES",
    "MEASURED",
    "MEDIA",
    "MOTION",
    "PAPER_NUMBERS",
    "PICTURE_SCORES",
    "SCORES",
    "SEED_SCORES",
    "SET_SCORES",
    "SET_TRIALS",
    "SOURCE",
    "SPEECH",
    "TABLES",
    "Column",
    "TableSpec",
]


@dataclass(frozen=True)
class Column:
    """One column: Arrow type, meaning, unit, allowed range (inclusive), whether nulls may occur."""

    name: str
    type: pa.DataType
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    nullable: bool = False
    dictionary: bool = False
    blind: str = ""
    """Kinds of trackers that cannot see what this column means, comma-separated."""

    def field(self) -> pa.Field:
        metadata = {"description": self.description, "unit": self.unit}
        if self.blind:
            metadata["blind_trackers"] = self.blind
        if self.low is not None or self.high is not None:
            metadata["range"] = f"[{self.low}, {self.high}]"
        return pa.field(self.name, self.type, nullable=self.nullable, metadata=metadata)


@dataclass(frozen=True)
class TableSpec:
    """A table: name, schema version (bumped when a reader must know), columns and sort order."""

    name: str
    version: int
    description: str
    columns: tuple[Column, ...]
    sort_by: tuple[str, ...]

    def schema(self, extra: dict[str, str] | None = None) -> pa.Schema:
        metadata: dict[Any, Any] = {"magictalk.table": self.name, "magictalk.schema_version": str(self.version)}
        return pa.schema([c.field() for c in self.columns], metadata=metadata | (extra or {}))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)


_STR, _F32, _F64, _I32, _I64, _BOOL = pa.string(), pa.float32(), pa.float64(), pa.int32(), pa.int64(), pa.bool_()

_CLIP_ID = Column("clip_id", _STR, "stable id `<corpus>/<source>/<clip>`", dictionary=True)
_FRAME_INDEX = Column("frame_index", _I32, "frame of the 25 fps clip, from 0", low=0)
_TIME = Column("time_s", _F64, "presentation time of the frame in the clip", "s", low=0)


def _label(name: str, description: str, nullable: bool = True) -> Column:
    return Column(name, _STR, description, nullable=nullable, dictionary=True)


_COEFFICIENTS = tuple(
    Column(
        n,
        _F32,
        f"ARKit blend shape {n}; null where the tracker cannot see it",
        "1",
        0.0,
        1.0,
        nullable=True,
        blind=", ".join(kind for kind, names in BLIND_CHANNELS.items() if n in names),
    )
    for n in ARKIT_NAMES
)
_POSE_MEANING = {
    "head_pitch_deg": "positive looks down",
    "head_yaw_deg": "positive turns the nose to the subject's left",
    "head_roll_deg": "positive turns counter-clockwise in the picture",
    "head_x_cm": "towards the subject's left",
    "head_y_cm": "up",
    "head_z_cm": "towards the viewer",
}
_POSE = tuple(
    Column(n, _F32, f"head pose, R = Ry(yaw) Rx(pitch) Rz(roll): {m}", n.rsplit("_", 1)[1], nullable=True)
    for n, m in _POSE_MEANING.items()
)

_MEASURED = (
    Column("crop_x", _I32, "left edge of the square crop in the raw picture", "px", nullable=True),
    Column("crop_y", _I32, "top edge of the square crop in the raw picture", "px", nullable=True),
    Column("crop_size", _I32, "side of the square crop in the raw picture", "px", low=1, nullable=True),
    Column("native_fps", _F64, "average frame rate of the raw video", "1/s", low=0, nullable=True),
    Column("native_width", _I32, "raw picture width, after rotation, in square pixels", "px", low=1, nullable=True),
    Column("native_height", _I32, "raw picture height, after rotation, in square pixels", "px", low=1, nullable=True),
    Column("native_rate", _I32, "raw audio sample rate", "Hz", low=1, nullable=True),
    Column(
        "turned_deg",
        _I32,
        "turn of the raw picture, clockwise, that its file does not ask for: faces stand upright only so",
        "deg",
        low=0,
        high=270,
        nullable=True,
    ),
    Column("n_frames", _I32, "frames of the 25 fps clip", low=0, nullable=True),
    Column("duration_s", _F64, "length of the 25 fps clip", "s", low=0, nullable=True),
    Column("audio_offset_s", _F64, "start of the raw sound after the start of the raw picture", "s", nullable=True),
    Column("audio_excess_s", _F64, "how much longer the clip's sound is than its picture", "s", nullable=True),
    Column("loudest_dbfs", _F64, "level of the loudest 100 ms; -inf: digital silence", "dBFS", nullable=True),
    Column("face_share", _F64, "share of probed frames with the speaker's face", low=0, high=1, nullable=True),
    Column("second_face_share", _F64, "share with another face in the crop", low=0, high=1, nullable=True),
    Column("other_speaker_share", _F64, "share in which somebody else is shown instead", low=0, high=1, nullable=True),
    Column("face_px", _F64, "median side of the face in the raw picture", "px", low=0, nullable=True),
    Column("sharpness", _F64, "median variance of the Laplacian of the face at 128 px", low=0, nullable=True),
    Column("yaw_deg", _F64, "median absolute turn of the head, from five face points", "deg", low=0, nullable=True),
    Column("roll_deg", _F64, "median absolute tilt of the head, from the face points", "deg", low=0, nullable=True),
    Column("frozen_share", _F64, "share of probed frames equal to the one before", low=0, high=1, nullable=True),
    Column("cut_score", _F64, "largest lasting step of the picture over those around it", low=0, nullable=True),
    Column("fade_score", _F64, "how unlike the ends of the most fade-like stretch are", low=0, high=2, nullable=True),
    Column("mesh_share", _F64, "share of the viewed frames with sure landmarks", low=0, high=1, nullable=True),
    Column("lips_contrast", _F64, "median contrast of the lips to what is around them", low=0, nullable=True),
    Column(
        "covered_share", _F64, "share of viewed frames with a face whose lips do not show", low=0, high=1, nullable=True
    ),
    Column("outside_share", _F64, "median share of the face outside the raw picture", low=0, high=1, nullable=True),
    Column("cut_off_share", _F64, "share of viewed frames with a face partly outside", low=0, high=1, nullable=True),
    Column("signature", _STR, "fingerprint of sound and picture for near duplicates, hexadecimal", nullable=True),
)
"""What standardizing finds out about a clip; the same columns in MEDIA and CLIPS."""

MEASURED: tuple[str, ...] = tuple(column.name for column in _MEASURED)

SOURCE = TableSpec(
    "source",
    1,
    "the raw files of a corpus as they lie on disk",
    (
        Column("path", _STR, "path relative to the corpus root"),
        Column("bytes", _I64, "file size", "byte", low=0),
        Column("mtime_ns", _I64, "modification time", "ns"),
        Column("md5", _STR, "md5 of the content"),
    ),
    ("path",),
)

CLIPS = TableSpec(
    "clips",
    4,
    "one row per clip: labels, split, status and the reason of a rejection",
    (
        _CLIP_ID,
        _label("corpus", "corpus name", nullable=False),
        _label("shard", "unit of work and storage; a pure function of the clip's source", nullable=False),
        _label("speaker", "speaker id, unique within the corpus", nullable=False),
        _label("source", "source recording; splits never cut through it", nullable=False),
        _label("address", "where the source recording is published"),
        _label("emotion", "MEAD's spelling, or null when unlabelled"),
        Column("level", _I32, "emotion intensity 1-3, MEAD's level_k", low=1, high=3, nullable=True),
        _label("view", "camera view, MEAD's spelling"),
        _label("licence", "licence or terms of the raw clip", nullable=False),
        Column("raw_path", _STR, "raw video, relative to the corpus root; null: listed but not here", nullable=True),
        Column("raw_audio_path", _STR, "separate raw audio, relative to the corpus root", nullable=True),
        Column("raw_md5", _STR, "md5 of the raw video file", nullable=True),
        Column("raw_audio_md5", _STR, "md5 of the separate raw audio file", nullable=True),
        Column("start_s", _F64, "start of the clip in the raw file; null: its beginning", "s", low=0, nullable=True),
        Column("end_s", _F64, "end of the clip in the raw file; null: its end", "s", low=0, nullable=True),
        Column("box_x", _I32, "left edge of the corpus's own window in the raw picture", "px", nullable=True),
        Column("box_y", _I32, "top edge of the corpus's own window", "px", nullable=True),
        Column("box_width", _I32, "width of the corpus's own window", "px", low=1, nullable=True),
        Column("box_height", _I32, "height of the corpus's own window", "px", low=1, nullable=True),
        *_MEASURED,
        _label("split", "train, val or test; disjoint by speaker, or by clip (docs/corpora.md)", nullable=False),
        _label("status", "ok, rejected or withdrawn", nullable=False),
        _label("reason", "reason code of a rejection"),
        Column("detail", _STR, "the reason in words, or what is unusual about an accepted clip's file", nullable=True),
    ),
    ("clip_id",),
)

CLIP_IDS = TableSpec("clip_ids", 1, "the clips behind a provenance record", (_CLIP_ID,), ("clip_id",))

MEDIA = TableSpec(
    "media",
    4,
    "the standardized media of a shard, with the hash of every file",
    (
        _CLIP_ID,
        Column("video_path", _STR, "25 fps face crop, relative to the corpus folder", nullable=True),
        Column("video_md5", _STR, "md5 of the video file", nullable=True),
        Column("audio_path", _STR, "16 kHz mono WAV, relative to the corpus folder", nullable=True),
        Column("audio_md5", _STR, "md5 of the audio file", nullable=True),
        *_MEASURED,
        _label(
            "status", "ok, or rejected where the file itself cannot be used; scores decide the rest", nullable=False
        ),
        _label("reason", "reason code of a rejection"),
        Column("detail", _STR, "the reason in words, or what is unusual about an accepted clip's file", nullable=True),
    ),
    ("clip_id",),
)

FRAMES = TableSpec(
    "frames",
    1,
    "per-frame ARKit blendshapes and head pose of a shard",
    (
        _CLIP_ID,
        _FRAME_INDEX,
        _TIME,
        Column("face_found", _BOOL, "a face was found in this frame; otherwise every value is null"),
        Column("confidence", _F32, "face presence score of the tracker", "1", 0.0, 1.0, nullable=True),
        *_COEFFICIENTS,
        *_POSE,
        _label("tracker", "tracker id, `<kind>/<version>`", nullable=False),
    ),
    ("clip_id", "frame_index"),
)

ARKIT = TableSpec(
    "arkit",
    1,
    "the publishable dataset: frames with the labels of their clips",
    (
        _CLIP_ID,
        _label("corpus", "corpus name", nullable=False),
        _label("speaker", "speaker id, unique within the corpus", nullable=False),
        _label("emotion", "MEAD's spelling, or null when unlabelled"),
        Column("level", _I32, "emotion intensity 1-3, MEAD's level_k", low=1, high=3, nullable=True),
        *FRAMES.columns[1:],
    ),
    ("clip_id", "frame_index"),
)

SPEECH = TableSpec(
    "speech",
    1,
    "speech features aligned to 25 fps",
    (
        _CLIP_ID,
        _FRAME_INDEX,
        Column("features", pa.list_(_F32), "feature vector of this frame; its length belongs to the feature id"),
        _label("feature_id", "which extractor made it; feature sets never mix in one training set", nullable=False),
    ),
    ("clip_id", "frame_index"),
)

_STAND_INS = _label(
    "stand_ins",
    "parts of ours in place of the field's that the value stands on, `part=id` joined by `; `, or `none`",
    nullable=False,
)

MOTION = TableSpec(
    "motion",
    1,
    "generated motion with ARKit names",
    (_CLIP_ID, _label("method", "what generated it", nullable=False), _FRAME_INDEX, _TIME, *_COEFFICIENTS, *_POSE),
    ("method", "clip_id", "frame_index"),
)

SCORES = TableSpec(
    "scores",
    2,
    "one row per clip, method and metric",
    (
        _CLIP_ID,
        _label("method", "what generated the motion; `ground_truth` for the real clip", nullable=False),
        _label("metric", "metric name, as in `magictalk_core/metrics/catalogue.py`", nullable=False),
        Column("value", _F64, "the value; null where it does not exist for this clip", nullable=True),
        _label("unit", "unit of the value", nullable=False),
        _STAND_INS,
    ),
    ("clip_id", "method", "metric"),
)

SEED_SCORES = TableSpec(
    "seed_scores",
    1,
    "one row per training, clip, method and metric: the same training with several seeds",
    (
        Column("seed", _I64, "seed of the trainings; -1 for the models in use"),
        *SCORES.columns,
    ),
    ("seed", "clip_id", "method", "metric"),
)

SET_SCORES = TableSpec(
    "set_scores",
    3,
    "one row per method and metric over the whole test set",
    (
        _label("method", "what generated the motion; `ground_truth` for the real clips", nullable=False),
        _label("metric", "metric name, as in `magictalk_core/metrics/catalogue.py`", nullable=False),
        Column("value", _F64, "the value; null where it does not exist", nullable=True),
        Column("low", _F64, "lower end of its 95 % interval over the clips; null where none is taken", nullable=True),
        Column("high", _F64, "upper end of that interval", nullable=True),
        _label("unit", "unit of the value", nullable=False),
        Column("n", _I64, "generated motions that the value is over"),
        _STAND_INS,
        _label("detail", "what the value means, in words, and why there is none", nullable=False),
    ),
    ("method", "metric"),
)

EXTERNAL_VIDEOS = TableSpec(
    "external_videos",
    1,
    "what systems of others made of the test clips: one row per system and clip, with its video or the reason why not",
    (
        _CLIP_ID,
        _label("method", "the system, as it is called in every table", nullable=False),
        _label("state", "made or failed", nullable=False),
        _label("reason", "why there is no video, as in `magictalk_core/vocabulary/external.py`"),
        Column("detail", _STR, "the reason in words", nullable=True),
        Column("file", _STR, "the video, relative to the workspace", nullable=True),
        Column("md5", _STR, "md5 of the video", nullable=True),
        Column("width", _I32, "width of the video", "px", low=1, nullable=True),
        Column("height", _I32, "height of the video", "px", low=1, nullable=True),
        Column("frames", _I32, "frames of the video at 25 fps", low=1, nullable=True),
        _label("origin", "run: made here by the system's code; given: taken from a folder", nullable=False),
        _label("commit", "Git commit of the system's checkout; null where it is no repository, or given"),
        Column("work", _STR, "identity of the work: inputs, commands, code and weights by content"),
    ),
    ("method", "clip_id"),
)

SET_TRIALS = TableSpec(
    "set_trials",
    1,
    "one row per performance of a test clip's speech in the style of an emotion: whether it shows that emotion",
    (
        _CLIP_ID,
        _label("method", "what generated the motion", nullable=False),
        _label("metric", "which classifier looked, as in `set_scores`", nullable=False),
        _label("emotion", "the emotion that was asked for", nullable=False),
        Column("shown", _BOOL, "whether the classifier saw it"),
    ),
    ("clip_id", "method", "metric", "emotion"),
)

CLAIMS = TableSpec(
    "claims",
    1,
    "one row per claim: a method's number against the best of its baselines, clip by clip",
    (
        _label("claim", "what is claimed, in words", nullable=False),
        _label("method", "whose claim it is", nullable=False),
        _label("metric", "metric name, as in `scores` or `set_scores`", nullable=False),
        _label("better", "which way a value is better", nullable=False),
        Column(
            "value", _F64, "mean of the method over the clips that both have; null: nothing to compare", nullable=True
        ),
        _label("baseline", "the best baseline: the one with the least gain over it"),
        Column("baseline_value", _F64, "mean of that baseline over the same clips", nullable=True),
        Column("gain", _F64, "mean gain of the method, positive where it is better", nullable=True),
        Column("low", _F64, "lower end of the 95 % interval of the gain over the clips", nullable=True),
        Column("high", _F64, "upper end of that interval", nullable=True),
        _label("unit", "unit of the numbers", nullable=False),
        Column("n", _I64, "clips that the gain is over"),
        _label("outcome", "wins, loses, open (0 is in the interval), no value", nullable=False),
        _label("opponents", "the baselines of the claim", nullable=False),
        _STAND_INS,
    ),
    ("claim", "method", "metric"),
)

PICTURE_SCORES = TableSpec(
    "picture_scores",
    2,
    "one row per clip, method, renderer, head pose and metric of pictures",
    (
        _label(
            "clip_id",
            "stable id `<corpus>/<source>/<clip>`; `<corpus>/*` for what all its clips are needed for, FID",
            nullable=False,
        ),
        _label("method", "whose motion; `ground_truth`: the recording or its own curves", nullable=False),
        _label(
            "renderer", "recorded, portrait, rig, or external for finished videos of another system", nullable=False
        ),
        _label("pose", "head pose: generated, ground_truth, or none where nobody chose it", nullable=False),
        _label("metric", "metric name, as in `magictalk_core/metrics/catalogue.py`", nullable=False),
        Column("value", _F64, "the value; null where there is none, and `reason` says why", nullable=True),
        _label("unit", "unit of the value", nullable=False),
        _label("reason", "why there is no value: what to fetch, or why it is undefined"),
        _STAND_INS,
        _label("weights", "files of weights that judged, or `none`", nullable=False),
        _label("crop", "what part of the frames was judged, and against what", nullable=False),
        Column("size", _I32, "side of the judged pictures", "px", low=1, nullable=True),
        _label("split", "test set, and whose speech where not the clip's own", nullable=False),
    ),
    ("clip_id", "method", "renderer", "pose", "metric"),
)

PAPER_NUMBERS = TableSpec(
    "paper_numbers",
    1,
    "one row per number of a table of the paper, ours and the printed ones, in the order of the table",
    (
        _label("table", "which table", nullable=False),
        Column("position", _I32, "place in the table, row by row", low=0),
        _label("block", "on which data, through what", nullable=False),
        _label("title", "the row, as it is read", nullable=False),
        _label("method", "method name in the other tables; empty for printed rows", nullable=False),
        _label("renderer", "as in `picture_scores`", nullable=False),
        _label("pose", "as in `picture_scores`", nullable=False),
        _label("metric", "metric name", nullable=False),
        _label("source", "measured, or printed in the paper", nullable=False),
        Column("value", _F64, "mean over clips; null where there is none, and `reason` says why", nullable=True),
        Column("low", _F64, "lower end of the 95 % bootstrap interval over clips", nullable=True),
        Column("high", _F64, "upper end of it", nullable=True),
        Column("n", _I64, "clips with a value; 0 for printed numbers, which do not say it"),
        _label("unit", "unit of the value", nullable=False),
        _label("reason", "why there is no value"),
        _STAND_INS,
        _label("weights", "weights that judged, or `none`", nullable=False),
        _label("crop", "what part of the frames was judged, and against what", nullable=False),
        Column("size", _I32, "side of the judged pictures", "px", low=1, nullable=True),
        _label("split", "test set", nullable=False),
    ),
    ("table", "position"),
)

TABLES: dict[str, TableSpec] = {
    t.name: t
    for t in (
        SOURCE,
        CLIPS,
        CLIP_IDS,
        MEDIA,
        FRAMES,
        ARKIT,
        SPEECH,
        MOTION,
        SCORES,
        SEED_SCORES,
        SET_SCORES,
        SET_TRIALS,
        CLAIMS,
        EXTERNAL_VIDEOS,
        PICTURE_SCORES,
        PAPER_NUMBERS,
    )
}
