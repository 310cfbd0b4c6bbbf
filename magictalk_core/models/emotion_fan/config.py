"""Settings of the project's own Emotion-FAN."""

from __future__ import annotations

from pydantic import Field

from magictalk_core.config import FamilySettings, StrictModel, TrainingConfig

__all__ = ["EmotionFanNetworkConfig", "EmotionFanSettings", "EmotionFanTrainingConfig"]


class EmotionFanNetworkConfig(StrictModel):
    """The network, and what it looks at."""

    side: int = Field(224, ge=32, description="pixels of a face crop")
    width: int = Field(64, ge=1, description="channels of the first of four stages; each has twice those before it")
    blocks: int = Field(2, ge=1, description="residual blocks of a stage; 2 is a ResNet-18")


class EmotionFanTrainingConfig(TrainingConfig):
    """Clips, a few frames of each."""

    batch: int = Field(48, description="clips per step")
    learning_rate: float = Field(1e-4, description="Adam learning rate")
    epochs: int = Field(60, description="passes over the training clips")
    clip_frames: int = Field(8, ge=3, description="frames of a clip that are kept, evenly spread")
    frames: int = Field(3, ge=1, description="of those, the frames of a clip in a step")
    light_noise: float = Field(0.1, ge=0, description="standard deviation of a crop's brightness factor while training")
    shift: float = Field(
        0.06, ge=0, lt=0.5, description="largest shift of a crop while training, in shares of its side"
    )


class EmotionFanSettings(FamilySettings):
    """All of Emotion-FAN."""

    network: EmotionFanNetworkConfig = EmotionFanNetworkConfig()
    training: EmotionFanTrainingConfig = EmotionFanTrainingConfig()
