"""Settings of Audio2BS; reference/models.md 2."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from magictalk_core.config import FamilySettings, InitialisedTraining, StrictModel, algorithm_switch

__all__ = ["Audio2BSNetworkConfig", "Audio2BSSettings", "Audio2BSTrainingConfig"]


class Audio2BSNetworkConfig(StrictModel):
    """The network; channel counts follow from the training set."""

    window: int = Field(8, ge=1, description="T: speech features that one frame's mouth is read from, centred on it")
    feature_frames: int = Field(8, ge=1, description="video frames joined into one feature; 8 are 16 DeepSpeech steps")
    encoder: int = Field(64, description="size of one encoded feature")
    hidden: int = Field(256, description="width of the LSTM")
    layers: int = Field(2, ge=1, description="layers of the LSTM")
    head: int = Field(128, description="width between LSTM and mouth weights")
    base: Literal["none", "linear"] = algorithm_switch(
        "none",
        "linear: a ridge readout of the features around the frame gives the mouth, and the LSTM, from zero on, what is "
        "missing; for features that hold phones already, and little data",
    )
    base_components: int = Field(96, ge=1, description="principal components of a frame's features that the base reads")
    base_ridge: float = Field(
        1.0, gt=0, description="weight of the base's squared weights, in units of the mean variance of the components"
    )


class Audio2BSTrainingConfig(InitialisedTraining):
    """Runs of frames of neutral speech, and what else may teach."""

    batch: int = Field(32, description="runs per step")
    learning_rate: float = Field(1e-4, description="Adam learning rate")
    epochs: int = Field(50, description="passes over the training runs")
    run: int = Field(5, ge=2, description="frames in a row per row of a batch")
    stride: int = Field(5, ge=1, description="frames between the starts of runs")
    clips: Literal["neutral", "all"] = algorithm_switch(
        "neutral", "what is learned from; all: emotional and unlabelled clips too, but only how their mouths move"
    )
    velocity_weight: float = Field(1.0, ge=0, description="weight of the L1 error of first differences")
    speech_noise: float = Field(
        0.0, ge=0, description="standard deviation of noise on the normalised features while training; small corpora"
    )


class Audio2BSSettings(FamilySettings):
    """All of Audio2BS."""

    network: Audio2BSNetworkConfig = Audio2BSNetworkConfig()
    training: Audio2BSTrainingConfig = Audio2BSTrainingConfig()
