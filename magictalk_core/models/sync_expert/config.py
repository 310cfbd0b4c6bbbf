"""Settings of the lip-sync expert; reference/models.md 2.1."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from magictalk_core.config import FamilySettings, StrictModel, TrainingConfig, algorithm_switch

__all__ = [
    "SyncExpertNetworkConfig",
    "SyncExpertSettings",
    "SyncExpertTrainingConfig",
]


class SyncExpertNetworkConfig(StrictModel):
    """The two encoders, and what they look at."""

    frames: int = Field(5, ge=1, description="video frames of a window, 0.2 s")
    channels: Literal["mouth", "all"] = algorithm_switch(
        "mouth", "what it sees: jaw and mouth, or every blendshape (the ablation)"
    )
    widths: tuple[int, ...] = Field((64, 128, 256), min_length=1, description="channels of the convolutions")
    embedding: int = Field(256, description="size of the two vectors that are compared")
    relative_to_window: bool = algorithm_switch(
        False,
        "motion is the difference to the mean of its window: how a face holds its lips tells nothing about sync, and "
        "few people must not teach otherwise",
    )

    @model_validator(mode="after")
    def _check_window(self) -> SyncExpertNetworkConfig:
        if self.relative_to_window and self.frames < 2:
            raise ValueError(
                f"relative_to_window needs a window of at least 2 frames to move in, found frames {self.frames}"
            )
        return self


class SyncExpertTrainingConfig(TrainingConfig):
    """Pairs in sync and out of it."""

    batch: int = Field(64, description="windows per step")
    learning_rate: float = Field(1e-4, description="Adam learning rate")
    epochs: int = Field(50, description="passes over the training windows")
    min_shift: int = Field(5, ge=1, description="least frames that an off-sync window is away")
    negatives: int = Field(1, ge=1, description="off-sync windows per window in sync")
    motion_noise: float = Field(0.0, ge=0, description="noise on the normalised motion while training; small corpora")
    level_noise: float = Field(0.0, ge=0, description="offset per window and channel while training; small corpora")
    speech_noise: float = Field(0.0, ge=0, description="noise on the normalised features while training; small corpora")


class SyncExpertSettings(FamilySettings):
    """All of the sync expert."""

    network: SyncExpertNetworkConfig = SyncExpertNetworkConfig()
    training: SyncExpertTrainingConfig = SyncExpertTrainingConfig()
