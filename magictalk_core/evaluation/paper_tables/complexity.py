"""Table 3: weights and multiply-adds of our networks, per second of video, counted while they make a motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from magictalk_core.evaluation.generate import EMODIFF
from magictalk_core.evaluation.paper_tables.printed import printed_in
from magictalk_core.evaluation.paper_tables.sheet import Column, Number, Row, Sheet, printed_rows
from magictalk_core.metrics.complexity import Complexity, count, count_calls
from magictalk_core.models.emodiff.config import SamplingConfig
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig
from magictalk_core.models.facevid2vid.network import FaceVid2Vid
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["renderer_rows", "table3"]

_SECONDS = 10
_COLUMNS = (
    Column("gmacs_per_second", "GMACs per second of video", "↓", 3),
    Column("gflops", "GFLOPs", "↓", 0),
    Column("parameters_m", "Params (M)", "↓", 2),
)


def table3(folders: Mapping[str, Path], sampling: SamplingConfig, preset: str) -> Sheet:
    """Complexity of the models in `folders` as they are asked. A second of video is 25 frames."""
    found = _count(folders, sampling)
    block = f"preset {preset}: {sampling.sampler}, {sampling.evaluations} evaluations per window"
    rows = [_row(block, f"Ours: {name}", one) for name, one in found.items()]
    total = Complexity(
        sum(one.parameters for one in found.values()),
        sum(one.gmacs for one in found.values()),
        {},
        tuple(name for one in found.values() for name in one.uncounted),
    )
    rows.append(_row(block, "Ours: speech to motion, all networks", total))
    notes = (
        "GMACs: one multiply-add counts once; convolutions, linear layers, attention and recurrent cells are counted. "
        "The paper does not say of how much video its GFLOPs are, nor whether a multiply-add counts once or twice.",
        "The renderers of our videos, a rig and a warped mesh, have no network; the paper's is face-vid2vid. The "
        "public networks were counted without weights: the estimator looks at each frame, the generator draws it, "
        "the keypoint detector looks at the portrait once. "
        "Speech features and face tracking are not counted, on either side as far as the paper tells.",
        *(
            f"Weights of no counted layer, such as position embeddings, belong to {', '.join(total.uncounted)}."
            for _ in total.uncounted[:1]
        ),
    )
    return Sheet(
        "table3", "Table 3: complexity", _COLUMNS, (*rows, *renderer_rows(), *printed_rows(printed_in("table3"))), notes
    )


def _count(folders: Mapping[str, Path], sampling: SamplingConfig) -> dict[str, Complexity]:
    """Of ten seconds of motion, for which a network's work does not depend on what is said."""
    model = EmoDiffModel.load(folders[EMODIFF], sampling=sampling)
    lips = LipRefiner.load(folders["audio2bs"], folders["lip_residue"])
    speech = np.zeros((_SECONDS * FRAME_RATE, model.feature_size), np.float32)
    style = np.repeat(model.mean_state[None], 2 * FRAME_RATE, axis=0)
    networks = {
        "EmoDiff": model.network,
        "Audio2BS": lips.audio2bs.network,
        "lip residue": lips.network,
    }

    def run() -> None:
        motion = model.generate_many([MotionRequest(speech, style)])[0]
        lips.refine(motion, model.channels, speech, model.feature_id, style)

    return count_calls(networks, run)


def renderer_rows() -> list[Row]:
    """Face-vid2vid of section 3.4 as everybody has it, SPADE, 15 keypoints, 256 pixels: of ten seconds of video."""
    with torch.device("meta"):  # no memory and no arithmetic: only layers and sizes count
        network = FaceVid2Vid(FaceVid2VidNetworkConfig())
        picture, keypoints = torch.zeros(1, 3, network.config.size, network.config.size), torch.zeros(1, 15, 3)
        frames = _SECONDS * FRAME_RATE
        found = {
            "generator": _times(count(network.generator, picture, keypoints, keypoints), frames),
            "pose and expression estimator": _times(count(network.he_estimator, picture), frames),
            "keypoint detector": count(network.kp_detector, picture),
        }
    block = "face-vid2vid, SPADE, K = 15, 256 px: the paper's renderer, which drew none of our videos"
    rows = [_row(block, f"Renderer: {name}", one) for name, one in found.items()]
    parameters, gmacs = (sum(getattr(one, name) for one in found.values()) for name in ("parameters", "gmacs"))
    return [*rows, _row(block, "Renderer: all networks", Complexity(parameters, gmacs, {}, ()))]


def _times(one: Complexity, calls: int) -> Complexity:
    return replace(one, gmacs=one.gmacs * calls, parts={})


def _row(block: str, title: str, found: Complexity) -> Row:
    numbers = {
        "gmacs_per_second": Number(found.per_second(_SECONDS), "GMAC/s"),
        "parameters_m": Number(found.parameters / 1e6, "1e6"),
    }
    return Row(block, title, numbers, method="magictalk")
