"""Settings of EmoDiff; reference/models.md 1.3."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from magictalk_core.config import FamilySettings, InitialisedTraining, StrictModel, algorithm_switch

__all__ = [
    "EmoDiffNetworkConfig",
    "EmoDiffSettings",
    "EmoDiffTrainingConfig",
    "SamplingConfig",
]


class EmoDiffNetworkConfig(StrictModel):
    """The network, the diffusion and what a state means: what a trained model cannot be asked to change. The state
    size follows from the training set."""

    hidden: int = Field(512, description="width of the transformer")
    blocks: int = Field(8, description="pre-norm self-attention blocks")
    heads: int = Field(8, description="attention heads")
    mlp_ratio: int = Field(4, description="feed-forward width over hidden width")
    time_code: Literal["sinusoidal", "beta"] = algorithm_switch("sinusoidal", "beta: the faithful (b, sin b, cos b)")
    speech_context: int = Field(0, ge=0, description="speech frames on each side joined to every frame's own")
    noise_skip: bool = algorithm_switch(
        False, "eps = sigma_t x_t + alpha_t network(x_t): a small network need not copy its noisy input"
    )
    cross_attention: bool = algorithm_switch(
        False, "attend to condition and speech in every block too, as the paper's text says"
    )
    style: Literal["frames", "none"] = algorithm_switch(
        "frames", "frames: three style frames in the condition; none: the ablation without style embedding"
    )
    relative_to_style: bool = algorithm_switch(
        False,
        "motion is the difference to the mean of its style clip: levels are copied, not learned from few people",
    )
    fixed_initial_frame: bool = algorithm_switch(
        False, "the initial state is frame 0, free of noise, in training and sampling: windows then join"
    )
    steps: int = Field(500, description="diffusion steps T")
    beta_start: float = Field(1e-4, description="linear schedule, first variance")
    beta_end: float = Field(0.02, description="linear schedule, last variance")

    @property
    def is_relative(self) -> bool:
        """Whether states are differences to the mean of a style clip: without a style there is none."""
        return self.relative_to_style and self.style != "none"


class EmoDiffTrainingConfig(InitialisedTraining):
    """How the denoiser is trained."""

    loss: Literal["noise", "velocity"] = algorithm_switch(
        "noise", "noise: Eq. 4; velocity: Eq. 4 over abar_t, so that noisy steps, led by the speech, count"
    )
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


class SamplingConfig(StrictModel):
    """How a trained model is asked: no training reads it, everything generated is stamped with it."""

    guidance: float = Field(0.15, description="w of Eq. 5")
    sampler: Literal["ddpm", "code65", "ddim", "dpmpp", "student"] = algorithm_switch(
        "ddpm",
        "ddpm: Eq. 2; code65: posterior variance and stabilizer; ddim, dpmpp: 20-50 evaluations; student: of a "
        "distilled model alone",
    )
    evaluations: int = Field(500, ge=1, description="network evaluations per window")
    join_frames: int = algorithm_switch(
        0, "frames over which the jump where a window begins fades away; 0: windows stay as they are drawn", ge=0, le=15
    )
    relative_pose: bool = algorithm_switch(
        False, "the head turns about where the portrait holds it, not about the mean of the style clip"
    )
    head_hz: float = algorithm_switch(
        0.0, "what the head does faster than this is smoothed away, causally; 0: nothing is", ge=0, le=12
    )
    rest: bool = algorithm_switch(
        False, "begin in the style's face at rest, and return to its mouth while nobody speaks; else in any style frame"
    )
    blinks: Literal["model", "drawn"] = algorithm_switch(
        "model", "drawn: a renewal process with the rate and shape of the training speakers' blinks"
    )


class EmoDiffSettings(FamilySettings):
    """All of EmoDiff."""

    network: EmoDiffNetworkConfig = EmoDiffNetworkConfig()
    training: EmoDiffTrainingConfig = EmoDiffTrainingConfig()
    sampling: SamplingConfig = SamplingConfig()
