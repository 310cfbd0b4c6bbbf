"""A trained face-vid2vid on clips that its training never saw: beside a copied source frame, and to look at.

    python benchmarks/face_vid2vid.py HOME [--model FOLDER] [--split test] [--sheet pairs.png]

HOME is a workspace with its corpora and its training set; FOLDER a model folder, the newest of HOME without it. Prints
L1 and SSIM of made and of copied pictures with the gain per clip and its paired 95 % interval, how keypoints follow a
warp beside keypoints that stay, and the error of the head's angles beside their mean. The sheet has source, driving
and made side by side, a pair from every second clip or so. Pictures of real people: never publish them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from magictalk_core.models.facevid2vid.clip_frames import ClipFrames
from magictalk_core.models.facevid2vid.head_angles import angles_of_turns
from magictalk_core.models.facevid2vid.model import FaceVid2VidModel
from magictalk_core.models.facevid2vid.pairs import Pairs, held_out_pairs
from magictalk_core.models.facevid2vid.reenacted import measured_on, reenact
from magictalk_core.models.facevid2vid.training_config import ClipChoice
from magictalk_core.training.run import newest_run
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split
from magictalk_core.workspace import Workspace

FRAMES, PAIRS_PER_CLIP = 24, 4
SHOWN, SCALE = 12, 2


def sheet(model: FaceVid2VidModel, pairs: Pairs) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: source, driving and made of `SHOWN` pairs, in two columns."""
    at = torch.from_numpy(np.linspace(0, len(pairs.source) - 1, SHOWN).round().astype(np.int64))
    source, driving = pairs.source[at], pairs.driving[at]
    with torch.inference_mode():
        made = reenact(model.network, source, driving).made.pictures
    rows = (torch.cat((source, driving, made), dim=3).permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    columns = [np.concatenate(list(half)) for half in (rows[: SHOWN // 2], rows[SHOWN // 2 :])]
    both = np.concatenate(columns, axis=1)
    return np.asarray(cv2.resize(both, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--split", type=Split, default=Split.TEST)
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    workspace = Workspace(asked.home)
    model = FaceVid2VidModel.load(asked.model or newest_run(workspace.models("facevid2vid")).path, device="cpu")
    frames = ClipFrames.cut(TrainingSet.open(workspace.training_set), model.size, FRAMES, ClipChoice())
    pairs, of_clip = held_out_pairs(frames, frames.rows(asked.split), PAIRS_PER_CLIP)
    told = torch.from_numpy(angles_of_turns(pairs.driving_angles.numpy(), model.config.rotation))
    print(json.dumps(measured_on(model.network, pairs, of_clip, told), indent=1))
    if asked.sheet is not None:
        cv2.imwrite(str(asked.sheet), sheet(model, pairs)[..., ::-1])


if __name__ == "__main__":
    main()
