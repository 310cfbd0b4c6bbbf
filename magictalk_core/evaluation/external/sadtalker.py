"""SadTalker (Zhang et al., CVPR 2023): audio to coefficients of a face model to face-vid2vid; no emotion.

Read in OpenTalker/SadTalker: `inference.py`, `src/utils/init_path.py`, `src/utils/preprocess.py`,
`src/facerender/animate.py` (all 002631b), `src/face3d/extract_kp_videos_safe.py` (0f70f0f), `README.md` (d2fe0c8).

- `python inference.py --driven_audio A --source_image P --checkpoint_dir C --result_dir R --size 256 --preprocess M`.
- The video is `<result_dir>/<time of day>.mp4`, 25 frames per second, `--size` wide; its height follows the portrait's.
- Where no face is found it says so and **ends with 0 and no video**.
- `--preprocess resize` [our choice] takes the picture as it is, so that the result lies where the real clip does: our
  clips are face crops already. `crop`, the default, cuts into the crop; `full` pastes back and wants `--still`. In
  `arguments` they win, since argparse keeps the last value.
- One safetensors file in `checkpoints/` is enough to select the new layout; `resize` reads `mapping_00229`.
- The detectors lie in `gfpgan/weights` below the working folder, and are downloaded there where they are missing.
"""

from __future__ import annotations

from magictalk_core.evaluation.external.system import ExternalSystem, NeededFile, Output, Step

__all__ = ["SADTALKER"]

_RELEASE = "https://github.com/OpenTalker/SadTalker/releases"
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download/v0.1.0/{}"

SADTALKER = ExternalSystem(
    name="sadtalker",
    title="SadTalker",
    version="1",
    repository="https://github.com/OpenTalker/SadTalker",
    main_file="inference.py",
    needs=(
        NeededFile("checkpoints/SadTalker_V0.0.2_256.safetensors", _RELEASE),
        NeededFile(
            "checkpoints/mapping_00229-model.pth.tar", f"{_RELEASE}/download/v0.0.2/mapping_00229-model.pth.tar"
        ),
        NeededFile("gfpgan/weights/alignment_WFLW_4HG.pth", _FACEXLIB.format("alignment_WFLW_4HG.pth")),
        NeededFile("gfpgan/weights/detection_Resnet50_Final.pth", _FACEXLIB.format("detection_Resnet50_Final.pth")),
    ),
    own=("result",),
    gives={"portrait": "portrait.png", "audio": "audio.wav"},
    steps=(
        Step(
            (
                "{python}",
                "inference.py",
                "--driven_audio",
                "audio.wav",
                "--source_image",
                "portrait.png",
                "--checkpoint_dir",
                "checkpoints",
                "--result_dir",
                "result",
                "--size",
                "256",
                "--preprocess",
                "resize",
            )
        ),
    ),
    output=Output("result/*.mp4", (256, 256)),
    terms="LICENSE of the checkout (versions differ); its README: personal, research, non-commercial",
)
