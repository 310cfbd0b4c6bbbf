"""Settings of the residue generator; reference/models.md 2."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from magictalk_core.config import FamilySettings, InitialisedTraining, StrictModel, algorithm_switch

__all__ = ["LipResidueNetworkConfig", "LipResidueSettings", "LipResidueTrainingConfig"]


class LipResidueNetworkConfig(StrictModel):
    """The network; the speech states that it reads are those of the Audio2BS that it is trained on."""

    head: int = Field(128, description="width between the two encodings and the residue")
    reads: Literal["state", "mouth"] = algorithm_switch(
        "state",
        "what of Audio2BS is read beside the style; mouth: its neutral mouth and not the LSTM's state, so that the "
        "residue is wrong only where that mouth is: voices that the LSTM never heard have states of their own",
    )
    style_frames: int = Field(32, ge=8, description="frames of the style clip")
    style_size: int = Field(128, description="size of the encoded style")
    relative_to_style: bool = algorithm_switch(
        False,
        "the refined mouth moves around the mean mouth of the style clip: how a person and a mood hold their lips is "
        "copied, not learned from few people",
    )


class LipResidueTrainingConfig(InitialisedTraining):
    """Runs of frames of emotional speech, each with a style clip, and the frozen sync expert."""

    batch: int = Field(32, description="runs per step")
    learning_rate: float = Field(1e-4, description="Adam learning rate")
    epochs: int = Field(50, description="passes over the training runs")
    run: int = Field(5, ge=2, description="frames in a row per row of a batch")
    stride: int = Field(5, ge=1, description="frames between the starts of runs")
    velocity_weight: float = Field(1.0, ge=0, description="weight of the L1 error of first differences")
    residue_weight: float = Field(1e-3, ge=0, description="weight of the mean absolute residue")
    sync_weight: float = Field(0.03, ge=0, description="weight of the expert's loss; 0: no expert")
    sync_counts_below: float = Field(0.75, description="held-out expert loss of generated windows from which it counts")
    speech_noise: float = Field(
        0.0, ge=0, description="standard deviation of noise on the normalised features while training; small corpora"
    )
    style_noise: float = Field(0.0, ge=0, description="the same on the normalised style frames")


class LipResidueSettings(FamilySettings):
    """All of the residue generator."""

    network: LipResidueNetworkConfig = LipResidueNetworkConfig()
    training: LipResidueTrainingConfig = LipResidueTrainingConfig()
