"""EmoDiff of speech that goes on: a few frames at a time, each window beginning with the last frames that were given.

Offline a window of N frames hears all of its speech (`model.py`), more than a second of it. Here a window begins `HELD`
frames back: these keep the values that they were given, with the noise of each diffusion step on them, and only the
next `HOP` frames are taken of what is made behind them. Speech that is not here yet is the last frame of it again. A
frame has its noise for good, so what a window planned for the frames after is made again by the next one, with more of
the speech known.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.models.emodiff.conditions import STYLE_FRAMES, condition_matrix, draw_style
from magictalk_core.models.emodiff.diffusion import NoiseSchedule, Predict
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.training_set.speech_context import speech_around
from magictalk_core.vocabulary.arkit import POSE_NAMES

__all__ = ["HELD", "HOP", "EmoDiffStream"]

HELD = 6
HOP = 6

Motion = NDArray[np.float32]


class EmoDiffStream:
    """Speech features in, motion of the model's channels in natural units out; `finish` ends it."""

    def __init__(self, model: EmoDiffModel, style: Motion, seed: int, look_ahead: int) -> None:
        """style (k, D) frames in natural units. `look_ahead`: features behind a frame that are waited for."""
        if model.window <= HELD + HOP:
            raise PermanentError(
                f"live: a window of {model.window} frames is too short: train with more than {HELD + HOP}"
            )
        self.model, self.look_ahead = model, look_ahead
        self._style = model.states.normal(torch.tensor(style, dtype=torch.float32))
        self._level = self._style.mean(dim=0) if model.config.is_relative else torch.zeros(len(model.channels))
        self._face = [i for i, name in enumerate(model.channels) if name not in POSE_NAMES]
        self._generator = torch.Generator().manual_seed(seed)
        self._schedule = NoiseSchedule(model.config)
        self._features, self._start = torch.zeros(0, model.feature_size), 0
        # Relative to the level, as the network has it; the first is an initial state, as in Algorithm 1.
        self._last = draw_style(self._style, 1, self._generator) - self._level
        self._noise = torch.zeros(0, len(model.channels))
        self._styles, self._styles_from = self._drawn_styles(), 0
        self._frame = 0
        self._made = np.zeros((0, len(model.channels)), np.float32)

    def push(self, speech: NDArray[np.float32]) -> Motion:
        """(m, D) of the frames that the features (n, F) make known."""
        self._features = torch.cat([self._features, self.model.features.normal(torch.from_numpy(speech))])
        return self._given(self._start + len(self._features) - self.look_ahead)

    def finish(self) -> Motion:
        """The frames that are left."""
        return self._given(self._start + len(self._features))

    def _given(self, until: int) -> Motion:
        """The frames up to `until` that were not given yet."""
        heard = self._start + len(self._features)
        made = [self._made]
        while self._frame < until:
            made.append(self._next(min(heard, self._frame + self.look_ahead + 1)))
        self._made = np.concatenate(made)
        ready = len(self._made) - max(0, self._frame - until)
        given, self._made = self._made[:ready], self._made[ready:]
        return given

    def _drawn_styles(self) -> Tensor:
        return draw_style(self._style, STYLE_FRAMES, self._generator)[None]

    @torch.inference_mode()
    def _next(self, known: int) -> Motion:
        """The next `HOP` frames while `known` frames of speech are there."""
        window, model = self.model.window, self.model
        if self._frame - self._styles_from >= window - 1:
            self._styles, self._styles_from = self._drawn_styles(), self._frame
        held, first = self._last, self._frame - len(self._last)
        fresh = torch.randn((window - len(self._noise), len(model.channels)), generator=self._generator)
        self._noise = torch.cat([self._noise, fresh])
        styles = None if model.config.style == "none" else self._styles
        condition = condition_matrix(held[:1], styles, window)
        ask = self._holding(model.asked(condition, self._speech(first, known)), held)
        made = model.drawn(ask, self._noise[None], [self._generator], held[:1])[0]
        new = made[len(held) : len(held) + HOP]
        self._last = torch.cat([held, new])[-HELD:]
        moved = self._frame + HOP - len(self._last) - first
        self._noise = self._noise[moved:]
        self._frame += HOP
        return self._natural(new + self._level)

    def _natural(self, motion: Tensor) -> Motion:
        values = np.asarray(self.model.states.natural(motion).numpy(), np.float32)
        values[:, self._face] = values[:, self._face].clip(0.0, 1.0)
        return values

    def _speech(self, first: int, known: int) -> Tensor:
        """(1, N, F') of the window that begins at frame `first`; beyond `known` the last feature is repeated."""
        context = self.model.config.speech_context
        unused = max(0, first - context - self._start)
        self._features, self._start = self._features[unused:], self._start + unused
        frames = torch.arange(first, first + self.model.window)[None] - self._start
        low, high = torch.tensor([0]), torch.tensor([known - self._start])
        return speech_around(self._features, frames, low, high, 2 * context + 1).flatten(2)

    def _holding(self, ask: Predict, held: Tensor) -> Predict:
        """`ask` with the frames `held` (h, D) at the beginning of the window, as noisy as the step is."""
        clean = 1 if self.model.config.fixed_initial_frame else 0
        noise = self._noise[: len(held)]

        def predict(x: Tensor, t: Tensor) -> Tensor:
            noisy = self._schedule.add_noise(held[None], noise[None], t)
            noisy[:, :clean] = held[:clean]
            return ask(torch.cat([noisy, x[:, len(held) :]], dim=1), t)

        return predict
