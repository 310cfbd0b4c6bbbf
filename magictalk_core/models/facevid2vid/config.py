"""Settings of face-vid2vid; reference/models.md 5.1. The defaults are those of the public vox-256 networks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from magictalk_core.config import StrictModel, algorithm_switch

__all__ = ["FaceVid2VidNetworkConfig"]


class FaceVid2VidNetworkConfig(StrictModel):
    """Generator, detector of canonical keypoints, estimator of pose and expression. Every width can be shrunk."""

    size: int = Field(256, ge=16, description="side of the square pictures that go in and come out")
    keypoints: int = Field(15, ge=1, description="K, keypoints in space; 15 in all public weights, 20 in the article")
    decoder: Literal["spade", "plain"] = algorithm_switch(
        "spade", "what makes the picture: the large decoder with SPADE and spectral norm, or residual blocks"
    )
    rotation: Literal["pitch_yaw_roll", "roll_pitch_yaw"] = algorithm_switch(
        "pitch_yaw_roll",
        "the head's angles about x, y and z: the second order, and the other axes that go with it, are what the public "
        "beta weights were trained with",
    )

    width: int = Field(64, ge=1, description="generator: channels after the first convolution")
    halvings: int = Field(2, ge=1, description="generator: how often the picture is halved before its features turn 3D")
    volume_channels: int = Field(32, ge=1, description="channels of the 3D appearance features")
    volume_depth: int = Field(16, ge=2, description="depth of the 3D appearance features and of the keypoint maps")
    residual_blocks: int = Field(6, ge=1, description="residual blocks in 3D, and in 2D of the plain decoder")
    spade_hidden: int = Field(128, ge=1, description="SPADE: channels between the features and their scale and shift")

    motion_width: int = Field(32, ge=1, description="motion field: hourglass channels at full resolution")
    motion_max_width: int = Field(1024, ge=1, description="motion field: most channels of the hourglass")
    motion_levels: int = Field(5, ge=1, description="motion field: halvings of the hourglass")
    motion_compressed: int = Field(4, ge=1, description="motion field: channels of the features that are tried out")

    detector_shrink: int = Field(4, ge=1, description="keypoint detector: the picture is made so many times smaller")
    detector_width: int = Field(32, ge=1, description="keypoint detector: channels of its last 3D features")
    detector_max_width: int = Field(1024, ge=1, description="keypoint detector: most channels")
    detector_levels: int = Field(5, ge=1, description="keypoint detector: halvings")
    temperature: float = Field(0.1, gt=0, description="keypoint detector: softness of the maps' expectation")

    estimator_width: int = Field(64, ge=1, description="estimator: channels after the first convolution")
    estimator_widths: tuple[int, int, int, int] = Field(
        (256, 512, 1024, 2048), description="estimator: channels of its four stages, multiples of 4"
    )
    estimator_blocks: tuple[int, int, int, int] = Field(
        (3, 3, 5, 2), description="estimator: bottlenecks of its stages, beside the one that begins each later stage"
    )

    @model_validator(mode="after")
    def _check_halvings(self) -> FaceVid2VidNetworkConfig:
        feature_step = 2 ** (self.halvings + self.motion_levels)
        detector_step = self.detector_shrink * 2**self.detector_levels
        for step, of in (
            (feature_step, "2^(halvings + motion_levels)"),
            (detector_step, "detector_shrink * 2^detector_levels"),
        ):
            if self.size % step:
                raise ValueError(f"size {self.size}: expected a multiple of {of} = {step}")
        if any(width % 4 for width in self.estimator_widths):
            raise ValueError(f"estimator_widths {self.estimator_widths}: expected multiples of 4")
        return self

    @property
    def feature_size(self) -> int:
        """Side of the appearance features, in their pixels."""
        return self.size // int(2**self.halvings)
