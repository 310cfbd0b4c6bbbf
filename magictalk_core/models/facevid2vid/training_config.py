"""Settings of the training of face-vid2vid; reference/models.md 5.3."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from magictalk_core.config import AdversarialTraining, FamilySettings, StrictModel, algorithm_switch
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig

__all__ = ["ClipChoice", "FaceVid2VidSettings", "FaceVid2VidTrainingConfig", "LossWeights"]


_LEAST_TRUNK_SIDE = 16
"""Below it the fourth pooling of VGG19 leaves nothing."""


class ClipChoice(StrictModel):
    """Which clips of the training set are learned from, by what is stored of them. The paper fine-tunes on selected
    high-resolution expressive clips of TalkingHead-1KH; all clips with the defaults."""

    corpora: tuple[str, ...] = Field((), description="corpora to learn from, by their names; none: all")
    min_native_px: int = Field(
        0, ge=0, description="least side of the face crop in the raw picture, `crop_size` of the clips table; 0: any"
    )
    min_expression: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="least range of expression: 5th to 95th percentile of a coefficient in the frames table, averaged "
        "over those that the tracker sees; 0: any",
    )


class LossWeights(StrictModel):
    """What each loss counts; 0 leaves it out."""

    perceptual: float = Field(10.0, ge=0, description="difference of the pictures, per size and per layer looked at")
    adversarial: float = Field(1.0, ge=0, description="hinge loss of the discriminator's verdict")
    matching: float = Field(10.0, ge=0, description="difference in what the discriminator sees")
    equivariance: float = Field(10.0, ge=0, description="keypoints of a warped picture that do not follow the warp")
    prior: float = Field(10.0, ge=0, description="keypoints that crowd, or lie elsewhere in depth than at 0.33")
    pose: float = Field(20.0, ge=0, description="degrees between the estimated and the tracked head pose")
    expression: float = Field(5.0, ge=0, description="size of the keypoints' offsets; fine-tunings take 0 to 1")


class FaceVid2VidTrainingConfig(AdversarialTraining):
    """Pairs of frames of one clip."""

    batch: int = Field(32, description="pairs per step")
    learning_rate: float = Field(2e-4, description="Adam learning rate, of all networks")
    epochs: int = Field(300, description="passes over the clips, `repeats` pairs of each")
    repeats: int = Field(75, ge=1, description="pairs of a clip in an epoch")
    clip_norm: float = Field(
        1e9, description="gradient norm limit; Adam's step does not depend on it, and no one sets it"
    )
    ema: float = Field(0.999, description="decay of the weight average used for generation")
    clip_frames: int = Field(16, ge=2, description="frames of a clip that are kept, evenly spread")
    clips: ClipChoice = ClipChoice()
    mirror: bool = Field(True, description="half of the pairs are mirrored")
    colour_noise: float = Field(0.1, ge=0, lt=1, description="largest change of brightness, contrast, saturation, hue")

    weights: LossWeights = LossWeights()
    perceptual: Literal["vgg19", "squeeze", "edges"] = algorithm_switch(
        "vgg19", "what pictures are compared by: a trunk, whose weights must be here, or pixels and edges"
    )
    sizes: int = Field(4, ge=1, description="sizes that pictures are compared at, each half of the one before")
    discriminator_width: int = Field(64, ge=1, description="channels after the first block")
    discriminator_blocks: int = Field(4, ge=1, description="blocks, each with twice the channels")
    warp_affine: float = Field(0.05, ge=0, description="deviation of the warp's affine part")
    warp_bend: float = Field(0.005, ge=0, description="deviation of the strength of a thin-plate spline")
    warp_points: int = Field(5, ge=2, description="splines along a side")

    weights_from: str = Field(
        "", description="file of the public weights that the training begins at, an absolute path; empty: chance"
    )
    frozen: tuple[Literal["generator", "kp_detector", "he_estimator"], ...] = Field(
        (), description="networks that stay as they are"
    )
    norm: Literal["batch", "stored"] = algorithm_switch(
        "batch", "statistics of batch norm: of the batch, or those stored, as a fine-tuning wants them"
    )

    @field_validator("weights_from")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if path and not Path(path).is_absolute():
            raise ValueError(f"expected an absolute path, found `{path}`")
        return path


class FaceVid2VidSettings(FamilySettings):
    """All of face-vid2vid."""

    network: FaceVid2VidNetworkConfig = FaceVid2VidNetworkConfig()
    training: FaceVid2VidTrainingConfig = FaceVid2VidTrainingConfig()

    @model_validator(mode="after")
    def _check_sizes(self) -> FaceVid2VidSettings:
        size, training = self.network.size, self.training
        if training.weights.adversarial or training.weights.matching:
            least = _least_side(training.discriminator_blocks)
            if size < least:
                raise ValueError(
                    f"network.size {size}: {training.discriminator_blocks} blocks of a discriminator look at {least} "
                    "pixels or more: lower training.discriminator_blocks"
                )
        if training.perceptual != "edges" and size // 2 ** (training.sizes - 1) < _LEAST_TRUNK_SIDE:
            raise ValueError(
                f"network.size {size}: of {training.sizes} sizes the last is below {_LEAST_TRUNK_SIDE} pixels, which "
                f"`{training.perceptual}` cannot look at: lower training.sizes"
            )
        return self


def _least_side(blocks: int) -> int:
    """Of a picture whose last features are two places wide: instance norm needs more than one."""
    side = 5
    for _ in range(blocks - 1):
        side = side * 2 + 3
    return side
