"""Settings of a run: frozen pydantic models, one YAML file per preset, unknown keys refused.

`sample` and `paper` differ in numbers only; no code asks which one is running.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from magictalk_core.errors import UserError

__all__ = [
    "AllChannelsConfig",
    "EmoDiffConfig",
    "EvaluationConfig",
    "FacesConfig",
    "LipSyncConfig",
    "LipsConfig",
    "MediaConfig",
    "Preset",
    "QualityConfig",
    "SpeechConfig",
    "StrictModel",
    "StudentConfig",
    "SyncGateConfig",
    "TrainingConfig",
    "TrainingSetConfig",
    "load_preset",
    "preset_names",
]


class StrictModel(BaseModel):
    """Frozen, and unknown keys fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MediaConfig(StrictModel):
    """Standardized clips: constant frame rate, mono audio, one fixed square face crop per clip."""

    fps: int = Field(25, description="frames per second of every clip")
    sample_rate: int = Field(16_000, description="audio sample rate, Hz, mono")
    size: int = Field(256, description="side of the face crop written to disk, pixels")
    crop_scale: float = Field(1.9, description="side of the crop over the side of the union of the detected face boxes")
    crf: int = Field(18, description="x264 quality of the standardized video; smaller is better")
    max_decoded_s: float = Field(3600.0, description="no more of a clip is ever decoded, whatever its header says")
    timeout_s: float = Field(300.0, description="a decoding child that takes longer is killed: unreadable")
    max_memory_gb: float = Field(4.0, description="address space limit of a decoding child")
    max_side_px: int = Field(8192, description="larger pictures are refused")


class QualityConfig(StrictModel):
    """When a clip is rejected. Scores are stored with the media; a change here decodes nothing again."""

    min_duration_s: float = Field(0.8, description="shorter: too_short")
    max_duration_s: float = Field(600.0, description="longer: too_long")
    silent_dbfs: float = Field(-60.0, description="loudest 100 ms below this level: silent")
    min_face_share: float = Field(0.8, description="smaller share of probed frames with a face: no_face")
    max_second_face_share: float = Field(0.2, description="larger share of probed frames with a rival: several_faces")
    min_face_px: float = Field(48.0, description="median side of the face in the raw picture, smaller: face_too_small")
    min_sharpness: float = Field(4.0, description="variance of the Laplacian of the face at 128 px, smaller: blurred")
    max_yaw_deg: float = Field(65.0, description="median turn of the head, larger: extreme_pose")
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
        "logmel-29-1", "deepspeech-small-1", "deepspeech-0.9.3", "deepspeech-0.9.3-tflite", "deepspeech-0.1.0"
    ] = Field("deepspeech-small-1", description="feature id; sets never mix")


class SpeechRecipeConfig(StrictModel):
    """How `deepspeech-small` is made again; not read by anything else."""

    shards: int = Field(192, ge=1, description="shards of 128 sentences to synthesize")
    steps: int = Field(8000, ge=1, description="CTC training steps")
    seed: int = Field(1, description="seed of sentences, voices, noise, weights")


class SyncGateConfig(StrictModel):
    """Clips whose face does not move with the voice, found by a sync expert of an earlier run."""

    expert: str = Field("", description="its folder, such as data/models/lip_sync_expert; empty: no gate")
    action: Literal["report", "reject", "correct"] = Field(
        "reject",
        description="report: judge and keep; reject: leave out what is shifted or fits at no shift; correct: move the "
        "speech of shifted clips, leave out the others",
    )
    threshold: float | None = Field(
        None, description="confidence below which no shift fits; empty: the one that the expert measured for itself"
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


class EmoDiffConfig(StrictModel):
    """Network and diffusion of EmoDiff; reference/models.md 1.3. The state size follows from the training set."""

    hidden: int = Field(512, description="width of the transformer")
    blocks: int = Field(8, description="pre-norm self-attention blocks")
    heads: int = Field(8, description="attention heads")
    mlp_ratio: int = Field(4, description="feed-forward width over hidden width")
    time_code: Literal["sinusoidal", "beta"] = Field("sinusoidal", description="beta: the faithful (b, sin b, cos b)")
    speech_context: int = Field(0, ge=0, description="speech frames on each side joined to every frame's own")
    noise_skip: bool = Field(
        False, description="eps = sigma_t x_t + alpha_t network(x_t): a small network need not copy its noisy input"
    )
    cross_attention: bool = Field(
        False, description="attend to condition and speech in every block too, as the paper's text says"
    )
    style: Literal["frames", "none"] = Field(
        "frames", description="frames: three style frames in the condition; none: the ablation without style embedding"
    )
    loss: Literal["noise", "velocity"] = Field(
        "noise", description="noise: Eq. 4; velocity: Eq. 4 over abar_t, so that noisy steps, led by the speech, count"
    )
    steps: int = Field(500, description="diffusion steps T")
    beta_start: float = Field(1e-4, description="linear schedule, first variance")
    beta_end: float = Field(0.02, description="linear schedule, last variance")
    condition_drop: float = Field(0.1, description="probability that the whole condition becomes the learned null")
    condition_noise: float = Field(
        0.0, ge=0, description="standard deviation of noise on the normalised conditions while training; small corpora"
    )
    level_noise: float = Field(
        0.0,
        ge=0,
        description="standard deviation of an offset per window and channel, on motion and conditions alike while "
        "training: levels are then taken from the style, not learned from few people",
    )
    around_style: bool = Field(
        False,
        description="motion is the difference to the mean of its style clip: levels are copied, not learned from few "
        "people",
    )
    guidance: float = Field(0.15, description="w of Eq. 5")
    hold_initial: bool = Field(
        False, description="the initial state is frame 0, free of noise, in training and sampling: windows then join"
    )
    sampler: Literal["ddpm", "code65", "ddim", "dpmpp", "student"] = Field(
        "ddpm",
        description="ddpm: Eq. 2; code65: posterior variance and stabilizer; ddim, dpmpp: 20-50 evaluations; student: "
        "of a distilled model alone",
    )
    sampling_steps: int = Field(500, description="network evaluations per window when generating")


class StudentConfig(StrictModel):
    """The few-step student of EmoDiff."""

    legs: int = Field(4, ge=1, le=8, description="network evaluations per window")


class LipsConfig(StrictModel):
    """Audio2BS and the residue generator; reference/models.md 2. Channel counts follow from the training set."""

    window: int = Field(8, ge=1, description="T: speech features that one frame's mouth is read from, centred on it")
    feature_frames: int = Field(8, ge=1, description="video frames joined into one feature; 8 are 16 DeepSpeech steps")
    encoder: int = Field(64, description="size of one encoded feature")
    hidden: int = Field(256, description="width of the LSTM")
    layers: int = Field(2, ge=1, description="layers of the LSTM")
    head: int = Field(128, description="width between LSTM and mouth weights")
    style_frames: int = Field(32, ge=8, description="frames of the style clip")
    style_size: int = Field(128, description="size of the encoded style")
    run: int = Field(5, ge=2, description="frames in a row per row of a batch")
    stride: int = Field(5, ge=1, description="frames between the starts of runs")
    audio2bs_clips: Literal["neutral", "all"] = Field(
        "neutral", description="what Audio2BS learns from; all: emotional clips too, but only how their mouths move"
    )
    velocity_weight: float = Field(1.0, ge=0, description="weight of the L1 error of first differences")
    sync_weight: float = Field(0.03, ge=0, description="weight of the expert's loss; 0: no expert")
    sync_gate: float = Field(0.75, description="held-out expert loss of generated windows below which it counts")
    residue_weight: float = Field(1e-3, ge=0, description="weight of the mean absolute residue")
    speech_noise: float = Field(
        0.0, ge=0, description="standard deviation of noise on the normalised features while training; small corpora"
    )
    style_noise: float = Field(0.0, ge=0, description="the same on the normalised style frames")
    around_style: bool = Field(
        False,
        description="the refined mouth moves around the mean mouth of the style clip: how a person and a mood hold "
        "their lips is copied, not learned from few people",
    )


class AllChannelsConfig(StrictModel):
    """The ablation without separated mouth parameters: every coefficient optimised against the sync loss."""

    steps: int = Field(100, ge=1, description="gradient steps per clip")
    learning_rate: float = Field(0.01, gt=0, description="of Adam, on coefficients in 0..1")
    sync_weight: float = Field(0.03, gt=0, description="weight of the expert's loss beside the mean absolute change")


class LipSyncConfig(StrictModel):
    """The lip-sync expert; reference/models.md 2.1."""

    frames: int = Field(5, ge=1, description="video frames of a window, 0.2 s")
    channels: Literal["mouth", "all"] = Field("mouth", description="what it sees: jaw and mouth, or every blendshape")
    widths: tuple[int, ...] = Field((64, 128, 256), min_length=1, description="channels of the convolutions")
    embedding: int = Field(256, description="size of the two vectors that are compared")
    around_window: bool = Field(
        False,
        description="motion is the difference to the mean of its window: how a face holds its lips tells nothing about "
        "sync, and few people must not teach otherwise",
    )
    min_shift: int = Field(5, ge=1, description="least frames that an off-sync window is away")
    negatives: int = Field(1, ge=1, description="off-sync windows per window in sync")
    motion_noise: float = Field(0.0, ge=0, description="noise on the normalised motion while training; small corpora")
    level_noise: float = Field(0.0, ge=0, description="offset per window and channel while training; small corpora")
    speech_noise: float = Field(0.0, ge=0, description="noise on the normalised features while training; small corpora")

    @model_validator(mode="after")
    def _check_window(self) -> LipSyncConfig:
        if self.around_window and self.frames < 2:
            raise ValueError(
                f"around_window needs a window of at least 2 frames to move in, found frames {self.frames}"
            )
        return self


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


class EvaluationConfig(StrictModel):
    """Generation for the test clips, scores and videos."""

    max_clips: int = Field(0, description="test clips to generate for; 0: all")
    max_videos: int = Field(4, description="comparison videos to render")
    video_size: int = Field(256, description="side of one panel, pixels")
    seed: int = Field(0, description="seed of the generated motion")


class Preset(StrictModel):
    """All settings of a run."""

    name: str
    media: MediaConfig = MediaConfig()
    quality: QualityConfig = QualityConfig()
    faces: FacesConfig = FacesConfig()
    speech: SpeechConfig = SpeechConfig()
    speech_recipe: SpeechRecipeConfig = SpeechRecipeConfig()
    training_set: TrainingSetConfig = TrainingSetConfig()
    emodiff: EmoDiffConfig = EmoDiffConfig()
    emodiff_training: TrainingConfig = TrainingConfig()
    student: StudentConfig = StudentConfig()
    student_training: TrainingConfig = TrainingConfig()
    lip_sync: LipSyncConfig = LipSyncConfig()
    lip_sync_training: TrainingConfig = TrainingConfig(batch=64, learning_rate=1e-4, epochs=50)
    lips: LipsConfig = LipsConfig()
    all_channels: AllChannelsConfig = AllChannelsConfig()
    audio2bs_training: TrainingConfig = TrainingConfig(batch=32, learning_rate=1e-4, epochs=50)
    lip_residue_training: TrainingConfig = TrainingConfig(batch=32, learning_rate=1e-4, epochs=50)
    evaluation: EvaluationConfig = EvaluationConfig()


def preset_names() -> tuple[str, ...]:
    files = resources.files("magictalk_core.presets").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def load_preset(name_or_path: str | Path) -> Preset:
    """The preset of that name, or the YAML file at that path. Raises `UserError` naming the wrong key."""
    if str(name_or_path) in preset_names():
        text = resources.files("magictalk_core.presets").joinpath(f"{name_or_path}.yaml").read_text(encoding="utf-8")
    elif Path(name_or_path).is_file():
        text = Path(name_or_path).read_text(encoding="utf-8")
    else:
        known = ", ".join(preset_names())
        raise UserError(f"no preset `{name_or_path}`: expected one of {known}, or the path of a YAML file")
    values: Any = yaml.safe_load(text) or {}
    try:
        return Preset.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UserError(f"preset `{name_or_path}`: {problems}") from error
