"""A trained EmoDiff: motion of any length by Algorithm 1, long-term dynamic sampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from magictalk_core.errors import PermanentError
from magictalk_core.models.emodiff.conditions import STYLE_FRAMES, condition_matrix, draw_style
from magictalk_core.models.emodiff.config import EmoDiffNetworkConfig, SamplingConfig
from magictalk_core.models.emodiff.diffusion import Predict, draw_noise, guided, sample
from magictalk_core.models.emodiff.legs import sample_legs
from magictalk_core.models.emodiff.network import Denoiser
from magictalk_core.training.model_folder import ModelFolder
from magictalk_core.training_set.normalizer import Normalizer
from magictalk_core.training_set.speech_context import speech_around
from magictalk_core.vocabulary.arkit import POSE_NAMES

__all__ = ["SAMPLING_FILE", "EmoDiffModel", "MotionRequest", "guided_by", "unguided"]

SAMPLING_FILE = "sampling.json"
"""How the preset of the training asked its models: the default of whoever brings no preset of their own."""

Motion = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MotionRequest:
    """One clip to generate: speech (L, F) features, style (k, D) frames, initial (D,) or None, seed."""

    speech: Motion
    style: Motion
    initial: Motion | None = None
    seed: int = 0


class _Clip:
    """A clip while its windows are made; every random number of it comes from its own generator."""

    def __init__(self, request: MotionRequest, model: EmoDiffModel) -> None:
        if not len(request.speech) or request.speech.shape[1] != model.feature_size:
            raise PermanentError(
                f"expected speech features (frames, {model.feature_size}) of `{model.feature_id}` with at least one "
                f"frame, found {request.speech.shape}"
            )
        if not len(request.style) or request.style.shape[1] != len(model.channels):
            raise PermanentError(
                f"expected style frames (k, {len(model.channels)}) with k at least 1, found {request.style.shape}"
            )
        self.length, step = len(request.speech), model.window - 1
        self.windows = max(1, -(-(self.length - 1) // step))
        self.speech = model.features.normal(torch.tensor(request.speech))
        self.style = model.states.normal(torch.tensor(request.style))
        self.generator = torch.Generator().manual_seed(request.seed)
        self.level = self.style.mean(dim=0) if model.config.is_relative else torch.zeros(len(model.channels))
        self.state = draw_style(self.style, 1, self.generator)[0]
        if request.initial is not None:
            self.state = model.states.normal(torch.tensor(request.initial))
        self.motion = torch.zeros(self.windows * step + 1, len(model.channels))

    def window_speech(self, start: int, window: int, context: int) -> Tensor:
        """(1, window, F'); beyond the end the last feature is repeated."""
        frames = torch.arange(start, start + window).clamp(max=self.length - 1)[None]
        low, high = torch.tensor([0]), torch.tensor([self.length])
        return speech_around(self.speech, frames, low, high, 2 * context + 1).flatten(2)


def unguided(network: nn.Module, condition: Tensor, speech: Tensor) -> Predict:
    """The noise under the condition alone, one evaluation a call; noise is drawn and kept on the CPU."""
    device = next(network.parameters()).device
    condition, speech = condition.to(device), speech.to(device)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        noise: Tensor = network(x.to(device), t.to(device), condition, speech).cpu()
        return noise

    return predict


def guided_by(network: nn.Module, guidance: float, condition: Tensor, speech: Tensor) -> Predict:
    """Eq. 5 with the conditional and the unconditional evaluation side by side in one batch."""
    device = next(network.parameters()).device
    both, sound = torch.cat([condition, condition]).to(device), torch.cat([speech, speech]).to(device)
    dropped = torch.tensor([False] * len(condition) + [True] * len(condition), device=device)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        noise = network(torch.cat([x, x]).to(device), torch.cat([t, t]).to(device), both, sound, dropped).cpu()
        conditional, unconditional = noise.chunk(2)
        return guided(conditional, unconditional, guidance)

    return predict


@dataclass(frozen=True, eq=False)
class EmoDiffModel:
    """A network and everything needed to use it. `channels` names the D columns of states, styles and results.

    `sampling` is how this model is asked: the preset's where one was given to `load`, else the folder's own.
    """

    network: Denoiser
    config: EmoDiffNetworkConfig
    sampling: SamplingConfig
    channels: tuple[str, ...]
    feature_id: str
    feature_size: int
    window: int
    states: Normalizer
    features: Normalizer

    @classmethod
    def load(cls, path: Path, device: str = "cpu", sampling: SamplingConfig | None = None) -> EmoDiffModel:
        """Load a model folder as training leaves it (safetensors and JSON). `device` is torch's name, `cpu` or `cuda`.

        Without `sampling` the model is asked as its own `sampling.json` says. Noise is drawn on the CPU either way, so
        that a seed means the same motion up to rounding. Raises `PermanentError` when there is no EmoDiff at `path`.
        """
        folder = ModelFolder.open(path, ("emodiff", "emodiff_no_style", "emodiff_student"))
        config = EmoDiffNetworkConfig.model_validate(folder.config["network"])
        window = int(folder.config["window"])
        network = Denoiser(config, window, len(folder.channels), folder.feature_size)
        network.load_state_dict(folder.weights())
        network.eval().requires_grad_(False).to(device)
        own = SamplingConfig.model_validate_json((path / SAMPLING_FILE).read_text(encoding="utf-8"))
        chosen = own if sampling is None or own.sampler == "student" else sampling
        sizes = folder.feature_id, folder.feature_size, window
        return cls(network, config, chosen, folder.channels, *sizes, folder.states, folder.features)

    @property
    def mean_state(self) -> Motion:
        """(D,) mean of the training split, the baseline that every method must beat."""
        return self.states.mean.numpy()

    def generate(
        self,
        speech: Motion,
        style: Motion,
        initial: Motion | None = None,
        seed: int = 0,
        on_window: Callable[[int, int], None] | None = None,
        autoregressive: bool = True,
    ) -> Motion:
        """Motion (L, D) in natural units for speech features (L, F); coefficients in [0, 1].

        style (k, D) frames of a reference clip, three of which are drawn anew for every window. initial (D,) the state
        to start from; None draws one of the style frames. Source: Algorithm 1. Raises `PermanentError` for shapes that
        do not fit the model.
        """
        return self.generate_many([MotionRequest(speech, style, initial, seed)], on_window, autoregressive)[0]

    def generate_many(
        self,
        requests: Sequence[MotionRequest],
        on_window: Callable[[int, int], None] | None = None,
        autoregressive: bool = True,
    ) -> list[Motion]:
        """`generate` for several clips, their windows side by side; equal to one at a time up to rounding.

        Windows advance by N - 1 frames and the last state of one is the initial state of the next. The frame that two
        windows share is the later one's, as Algorithm 1 has it. `on_window(done, windows of the longest clip)`.
        Without `autoregressive` every window begins at a style frame of its own: the ablation of independent windows.
        """
        clips = [_Clip(request, self) for request in requests]
        most = max((clip.windows for clip in clips), default=0)
        for number in range(most):
            live = [clip for clip in clips if number < clip.windows]
            start = number * (self.window - 1)
            motion = self._windows(live, start)
            for clip, values in zip(live, motion, strict=True):
                clip.motion[start : start + self.window] = values
                clip.state = values[-1] if autoregressive else draw_style(clip.style, 1, clip.generator)[0]
            if on_window:
                on_window(number + 1, most)
        return [self._natural(clip.motion[: clip.length]) for clip in clips]

    def _windows(self, clips: Sequence[_Clip], start: int) -> Tensor:
        styles = torch.stack([draw_style(clip.style, STYLE_FRAMES, clip.generator) for clip in clips])
        initial = torch.stack([clip.state for clip in clips])
        level = torch.stack([clip.level for clip in clips])
        initial = initial - level
        condition = condition_matrix(initial, None if self.config.style == "none" else styles, self.window)
        speech = torch.cat([clip.window_speech(start, self.window, self.config.speech_context) for clip in clips])
        noise = draw_noise((self.window, len(self.channels)), [clip.generator for clip in clips])
        with torch.inference_mode():
            made = self.drawn(self.asked(condition, speech), noise, [clip.generator for clip in clips], initial)
        return level[:, None] + made

    def asked(self, condition: Tensor, speech: Tensor) -> Predict:
        """The noise that the network predicts in windows of that `condition` (B, N, D + 1) and speech (B, N, F'), with
        guidance where the sampler has it."""
        if self.sampling.sampler == "student":
            return unguided(self.network, condition, speech)
        return guided_by(self.network, self.sampling.guidance, condition, speech)

    def drawn(self, ask: Predict, noise: Tensor, generators: Sequence[torch.Generator], initial: Tensor) -> Tensor:
        """Windows (B, N, D), normalised and less their level, from `noise` of that shape by the model's sampler.

        `initial` (B, D), the first frame, is held where the model was trained so; random numbers on the way come from
        one of the `generators` each.
        """
        held = initial if self.config.fixed_initial_frame else None
        if self.sampling.sampler == "student":
            return sample_legs(ask, noise, self.config, self.sampling.evaluations, held)
        return sample(ask, noise, self.config, self.sampling, generators, held)

    def _natural(self, motion: Tensor) -> Motion:
        values = self.states.natural(motion).numpy().astype(np.float32)
        coefficients = [i for i, name in enumerate(self.channels) if name not in POSE_NAMES]
        values[:, coefficients] = values[:, coefficients].clip(0.0, 1.0)
        return values
