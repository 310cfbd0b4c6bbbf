"""Settings of the rooms below the models: frozen pydantic models, unknown keys refused.

A model family's own settings lie in `models/<family>/config.py`, the whole of a run in `presets/preset.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "AdversarialTraining",
    "AllChannelsConfig",
    "DataSettings",
    "EvaluationConfig",
    "ExternalConfig",
    "FacesConfig",
    "FamilyRelease",
    "FamilySettings",
    "InitialisedTraining",
    "MediaConfig",
    "MetricRule",
    "PictureConfig",
    "QualityConfig",
    "ReleaseConfig",
    "RetrainingConfig",
    "SpeechConfig",
    "SpeechRecipeConfig",
    "StrictModel",
    "SyncGateConfig",
    "TrainingConfig",
    "TrainingSetConfig",
    "algorithm_switch",
]


class StrictModel(BaseModel):
    """Frozen, and unknown keys fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def algorithm_switch(default: Any, description: str, **limits: Any) -> Any:
    """A setting that changes what is computed, not only how much of it: presets that differ in one say so."""
    return Field(default, description=description, json_schema_extra={"algorithm": True}, **limits)


class MediaConfig(StrictModel):
    """Standardized clips: 25 frames per second, mono audio at 16 kHz, one fixed square face crop per clip."""

    size: int = Field(256, description="side of the face crop written to disk, pixels")
    crop_scale: float = Field(1.9, description="side of the crop over the side of the union of the detected face boxes")
    crf: int = Field(18, description="x264 quality of the standardized video; smaller is better")
    max_decoded_s: float = Field(3600.0, description="no more of a clip is ever decoded, whatever its header says")
    timeout_s: float = Field(300.0, description="a decoding child that takes longer is killed: unreadable")
    max_memory_gb: float = Field(4.0, description="limit on the private memory of a decoding child")
    max_side_px: int = Field(8192, description="larger pictures are refused")


class QualityConfig(StrictModel):
    """When a clip is rejected. Scores are stored with the media; a change here decodes nothing again."""

    min_duration_s: float = Field(0.8, description="shorter: too_short")
    max_duration_s: float = Field(600.0, description="longer: too_long")
    silent_dbfs: float = Field(-60.0, description="loudest 100 ms below this level: silent")
    max_cut_score: float = Field(2.5, description="larger step of the picture over those around it: scene_cut")
    max_fade_score: float = Field(0.15, description="more unlike ends of a fade-like stretch: scene_cut")
    max_other_speaker_share: float = Field(
        0.1, description="larger share of probed frames that show somebody else: several_speakers"
    )
    min_face_share: float = Field(0.8, description="smaller share of probed frames with a face: no_face")
    max_second_face_share: float = Field(0.2, description="larger share of probed frames with a rival: several_faces")
    min_face_px: float = Field(48.0, description="median side of the face in the raw picture, smaller: face_too_small")
    min_sharpness: float = Field(4.0, description="variance of the Laplacian of the face at 128 px, smaller: blurred")
    max_yaw_deg: float = Field(65.0, description="median turn of the head, larger: extreme_pose")
    max_roll_deg: float = Field(40.0, description="median tilt of the head, larger: extreme_pose")
    max_outside_share: float = Field(0.05, description="larger share of the face outside the picture: truncated_face")
    max_cut_off_share: float = Field(
        0.15, description="larger share of viewed frames with a face cut off by the picture's edge: truncated_face"
    )
    min_mesh_share: float = Field(0.5, description="smaller share of viewed frames with landmarks: occluded")
    min_lips_contrast: float = Field(8.0, description="lips that stand out less from what is around: occluded")
    max_covered_share: float = Field(0.15, description="larger share of viewed frames with covered lips: occluded")
    max_frozen_share: float = Field(0.5, description="larger share of probed frames equal to the one before: frozen")
    max_length_difference_s: float = Field(0.5, description="sound and picture differ by more: length_mismatch")
    max_lost_frames: int = Field(5, description="native frames of a listed cut that its file lacks, more: out_of_chunk")
    max_duplicate_distance: float = Field(
        0.18, description="share of differing signature bits up to which two clips of a corpus are one: duplicate"
    )


class FacesConfig(StrictModel):
    """Blendshape extraction."""

    tracker: Literal["auto", "mediapipe", "litert"] = Field(
        "auto", description="auto: mediapipe where face_landmarker.task is found, otherwise litert; recorded by its id"
    )


class SpeechConfig(StrictModel):
    """Speech features."""

    feature: Literal[
        "logmel-29-1",
        "deepspeech-small-1",
        "deepspeech-0.9.3",
        "deepspeech-0.9.3-tflite",
        "deepspeech-0.1.0",
        "whisper-tiny-en-l2",
    ] = Field("deepspeech-small-1", description="feature id; sets never mix")


class SpeechRecipeConfig(StrictModel):
    """How `deepspeech-small` is made again; not read by anything else."""

    shards: int = Field(192, ge=1, description="shards of 128 sentences to synthesize")
    steps: int = Field(8000, ge=1, description="CTC training steps")
    seed: int = Field(1, description="seed of sentences, voices, noise, weights")


class SyncGateConfig(StrictModel):
    """Clips whose face does not move with the voice, or moves before or after it, found by a sync expert."""

    expert: str = Field(
        "",
        description="magictalk-base: the one of the package; or the folder of an earlier run's, a copy outside of the "
        "workspace's models; empty: no gate",
    )
    action: Literal["report", "reject", "correct"] = Field(
        "reject",
        description="report: judge and keep; reject: leave out what is shifted or fits at no shift; correct: move the "
        "speech of shifted clips, leave out the others",
    )
    threshold: float | None = Field(
        None,
        description="confidence below which no shift fits, or is believed; empty: the one that the expert measured for "
        "itself",
    )
    tolerance: int = Field(2, ge=0, description="frames that a clip may be shifted; the sound of video is often late")
    least_frames: int = Field(40, ge=16, description="shorter clips are kept without a verdict: too few shifts")


class TrainingSetConfig(StrictModel):
    """What is packed for training."""

    corpora: tuple[str, ...] = Field((), description="corpora to use; empty: all registered")
    window: int = Field(32, description="frames per training window")
    stride: int = Field(8, description="frames between window starts")
    state: Literal["full57", "paper49"] = Field(
        "full57", description="channels that EmoDiff models, as far as the tracker sees them; paper49: no eyeLook"
    )
    min_std: float = Field(0.02, description="least standard deviation to divide by; less is noise of the tracker")
    sync_gate: SyncGateConfig = SyncGateConfig()


class DataSettings(StrictModel):
    """All that a dataset and a training set depend on."""

    media: MediaConfig = MediaConfig()
    quality: QualityConfig = QualityConfig()
    faces: FacesConfig = FacesConfig()
    speech: SpeechConfig = SpeechConfig()
    training_set: TrainingSetConfig = TrainingSetConfig()


class AllChannelsConfig(StrictModel):
    """The ablation without separated mouth parameters: every coefficient optimised against the sync loss."""

    steps: int = Field(100, ge=1, description="gradient steps per clip")
    learning_rate: float = Field(0.01, gt=0, description="of Adam, on coefficients in 0..1")
    sync_weight: float = Field(0.03, gt=0, description="weight of the expert's loss beside the mean absolute change")


class TrainingConfig(StrictModel):
    """One training run."""

    batch: int = Field(64, description="windows per step")
    learning_rate: float = Field(4e-4, description="Adam learning rate")
    epochs: int = Field(1000, description="passes over the training windows")
    clip_norm: float = Field(10.0, description="gradient norm limit")
    ema: float = Field(0.9999, description="decay of the weight average used for generation")
    seed: int = Field(0, description="seed of weights, data order, noise")
    checkpoint_every: int = Field(1000, description="optimizer steps between checkpoints")
    keep_checkpoints: int = Field(3, description="newest checkpoints kept")
    decay: Literal["constant", "cosine"] = Field("constant", description="learning rate over the run")
    threads: int = Field(2, description="CPU threads; fixed, since sums depend on it in the last bit")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda when present")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: autocast, for GPUs; weights stay float32")
    processes: int = Field(1, ge=1, description="started by torchrun when more than 1; one per GPU")
    validate_every: int = Field(50, ge=1, description="optimizer steps between looks at the held-out loss")
    patience: int = Field(0, ge=0, description="validations without a better held-out loss before the end; 0: never")
    sample_every: int = Field(0, ge=0, description="epochs between rendered samples in MLflow; 0: none")


class InitialisedTraining(TrainingConfig):
    """A training that may begin from a finished model of its family instead of from chance."""

    init: str = Field(
        "",
        description="model that it begins from: base (magictalk-base, shipped), a workspace or folder of models; "
        "empty: none. `magictalk run --init` sets it",
    )


class AdversarialTraining(TrainingConfig):
    """A training in which a part of the network judges what the other part makes."""

    beta1: float = Field(
        0.5, ge=0, lt=1, description="of Adam, 0.9 elsewhere: a remembered slope is of another opponent"
    )


class FamilySettings(StrictModel):
    """Settings of one model family. `training` is how its weights are found; a family adds its network, and where
    using the model has settings too, `sampling`, which no training reads."""

    training: TrainingConfig


class ExternalConfig(StrictModel):
    """A system of others that is compared with (docs/compare.md): run from its code, or given as finished videos.

    `magictalk compare add` writes it.
    """

    system: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
        description="its name in every table: makeittalk, sadtalker, eamm, pd_fgc, evp; with `videos` any other",
    )
    checkout: Path | None = Field(None, description="folder of its public code, with its weights; absolute")
    python: Path | None = Field(None, description="the interpreter of its own environment; absolute")
    videos: Path | None = Field(None, description="folder of finished videos instead, named by clip; absolute")
    arguments: tuple[str, ...] = Field((), description="added to its last command, where they win")
    fit: tuple[str, ...] = Field((), description="evp: the command that fits a face model to its landmarks")
    environment: dict[str, str] = Field({}, description="variables that its process gets beside the usual ones")
    size: tuple[int, int] | None = Field(None, description="width and height of its output where `arguments` change it")
    timeout_s: float = Field(3600.0, gt=0, description="a clip that takes longer fails")
    memory_gb: float = Field(32.0, gt=0, description="a clip that takes more memory fails")

    @model_validator(mode="after")
    def _check_way(self) -> ExternalConfig:
        if (self.videos is None) == (self.checkout is None) or (self.checkout is None) != (self.python is None):
            raise ValueError("expected `checkout` and `python`, or `videos` alone")
        for path in (self.checkout, self.python, self.videos):
            if path is not None and not path.is_absolute():
                raise ValueError(f"expected an absolute path, found `{path}`")
        return self


class EvaluationConfig(StrictModel):
    """Generation for the test clips, scores and videos."""

    max_clips: int = Field(0, description="test clips to generate for; 0: all")
    max_videos: int = Field(4, description="comparison videos to render")
    video_size: int = Field(256, description="side of one panel, pixels")
    rig: str = Field("", description="file or folder of the rig in comparison videos; empty: the built-in one")
    seed: int = Field(0, description="seed of the generated motion")
    seeds: tuple[int, ...] = Field(
        (1, 2), description="further training seeds of `seed_scores`, beside the model in use"
    )
    external: tuple[ExternalConfig, ...] = Field((), description="systems of others in tables, figures and the study")

    @field_validator("external")
    @classmethod
    def _check_names(cls, external: tuple[ExternalConfig, ...]) -> tuple[ExternalConfig, ...]:
        names = [one.system for one in external]
        if len(set(names)) < len(names):
            raise ValueError(f"one system twice: {', '.join(names)}")
        return external


class PictureConfig(StrictModel):
    """Pictures of the test clips: which clips, whose motion, what is judged. Read by tables and figures alone."""

    test_set: Literal["held_out", "mead_eat", "mead_edtalk", "mead_last", "mead_eat_last", "hdtf"] = Field(
        "held_out", description="which held-out clips: a name of evaluation/test_sets.py"
    )
    driven: Literal["self", "cross"] = Field(
        "self", description="speech of the clip itself, or of another clip, of another person where there is one"
    )
    clips: int = Field(0, ge=0, description="clips that are rendered and judged, spread over the test set; 0: all")
    seconds: float = Field(0.0, ge=0, description="how much of a clip, from its beginning; 0: what the test set says")
    methods: tuple[str, ...] = Field(
        ("magictalk", "emodiff", "emodiff_no_style", "emodiff_all_channels", "emodiff_independent_windows"),
        description="whose motion is rendered, by the names of the motion tables; recordings are always there",
    )
    every: int = Field(
        1, ge=1, description="frames from one to the next that sharpness, identity and expression are read from"
    )


class MetricRule(StrictModel):
    """A metric that two models of a family are compared in, clip by clip."""

    metric: str = Field(description="its name in the metric catalogue")
    better: Literal["higher", "lower"] = Field(description="which way is better")
    margin: float = Field(ge=0, description="loss, in the metric's unit, that its 95 % interval must exclude")


class FamilyRelease(StrictModel):
    """A challenger replaces the champion when one of the metrics is better for sure, and none is worse than its margin
    allows."""

    metrics: tuple[MetricRule, ...] = Field(min_length=1, description="what challenger and champion are compared in")


def _rules(**metrics: tuple[Literal["higher", "lower"], float]) -> FamilyRelease:
    rules = (MetricRule(metric=name, better=way, margin=margin) for name, (way, margin) in metrics.items())
    return FamilyRelease(metrics=tuple(rules))


class ReleaseConfig(StrictModel):
    """When a newly trained model replaces the one in use; a section per family that is used to generate or to judge."""

    emodiff: FamilyRelease = _rules(
        jaw_open_correlation=("higher", 0.05),
        mouth_correlation=("higher", 0.05),
        mae_mouth=("lower", 0.005),
        velocity_mae_mouth=("lower", 0.005),
        mae_brows=("lower", 0.02),
    )
    audio2bs: FamilyRelease = _rules(jaw_open_correlation=("higher", 0.05), mouth_correlation=("higher", 0.05))
    lip_residue: FamilyRelease = _rules(
        jaw_open_correlation=("higher", 0.05),
        mae_mouth=("lower", 0.005),
        sync_expert_confidence=("higher", 0.05),
    )
    sync_expert: FamilyRelease = _rules(sync_pair_accuracy=("higher", 0.02), sync_shifts_found=("higher", 0.05))


class RetrainingConfig(StrictModel):
    """What the schedule waits for before it trains."""

    min_new_hours: float = Field(1.0, ge=0, description="accepted hours that no released model was trained on")
