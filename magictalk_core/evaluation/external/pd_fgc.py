"""PD-FGC (Wang et al., CVPR 2023): separate codes for lips, pose, eyes and emotion, a StyleGAN2-like generator.

Read in Dorniwang/PD-FGC-inference: `inference.py`, `lib/inferencer.py`, `lib/data/voxtest_dataset.py`,
`lib/config/config.py`, `configs/inference.yaml`, `scripts/inference.sh` (all 9c4d76c), `readme.md` (1868d2f).

- `python inference.py --all --name N --audio_path A --app_img_path P --pose_path D --exp_path D --eye_path D`, where D
  are folders of pictures. The first two of each are dropped, and a folder must hold at least eight more.
- The video is `test/mp4s/<name>.mp4` at 25 frames per second: five panels of 224 (portrait, **result**, pose,
  expression, eyes).
- Its first frame is for frame 2 of the sound (`target_frame_inds` begins at 2) while sound and picture are joined at 0:
  as the code leaves it the mouth is 80 ms early. We hold the first frame for two frames.
- Every picture is cut before use: the lower seventh and a fourteenth on both sides go (`crop_len=16` of 224).
- Which pose, eyes and emotion the paper gave is not said. Ours: all three from the style clip, never from the clip.
- Needs a GPU.
"""

from __future__ import annotations

from magictalk_core.evaluation.external.system import ExternalSystem, NeededFile, Output, Panel, Step

__all__ = ["PD_FGC"]

_WEIGHTS = "https://drive.google.com/file/d/1UtFpTnRvUNGNSsr1LDU6W5nNtzacIB9J/view"

PD_FGC = ExternalSystem(
    name="pd_fgc",
    title="PD-FGC",
    version="1",
    repository="https://github.com/Dorniwang/PD-FGC-inference",
    main_file="inference.py",
    needs=tuple(
        NeededFile(f"checkpoints/{part}_model.pth", _WEIGHTS) for part in ("appearance", "motion", "audio", "generator")
    ),
    own=("test",),
    gives={"portrait": "portrait.png", "audio": "audio.wav", "style_frames": "style"},
    steps=(
        Step(
            (
                "{python}",
                "inference.py",
                "--all",
                "--name",
                "clip",
                "--audio_path",
                "audio.wav",
                "--app_img_path",
                "portrait.png",
                "--pose_path",
                "style/",
                "--exp_path",
                "style/",
                "--eye_path",
                "style/",
            )
        ),
    ),
    output=Output("test/mp4s/clip.mp4", (1120, 224), Panel(224, 0, 224, 224), first_frame=2),
    terms="CC BY 4.0 by its readme; the checkpoints are trained on VoxCeleb2",
)
