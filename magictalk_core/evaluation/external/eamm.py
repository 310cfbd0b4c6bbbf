"""EAMM (Ji et al., SIGGRAPH 2022): keypoints of a first order motion model, emotion taken from a driving video.

Read in jixinya/EAMM: `demo.py` (6c9cfaa), `process_data.py` (e176a79), `3DDFA_V2/demo.py` (c85c129), `README.md`
(0601ef9), issue 2.

- The portrait is aligned to a template (`process_data.crop_image`, which has no command of its own), then its head pose
  is found by 3DDFA_V2 with two files of this repository in place: `demo.py` there reads every picture of `test/image`
  and writes `test/pose/<name>.npy` (1, 7), relative to its own folder.
- `python demo.py --source_image P --driving_video V --pose_file N --in_file A --emotion E --result_path R`. It looks
  for `shape_predictor_68_face_landmarks.dat` in the working folder and writes `neutral.mp4`, `emotion.mp4`, `all.mp4`
  into R, which must exist. `emotion.mp4` is 256x256 at the **driving video's** frame rate, ours 25.
- Head pose is held: one row is repeated. The emotion of `--emotion` only moves the template of two emotions; what is
  shown is what the driving video shows, ours the clip's style clip.
- `deco_out` and the filters call `.cuda()` whatever `--cpu` says: a GPU is needed.
"""

from __future__ import annotations

from magictalk_core.evaluation.external.system import ExternalSystem, NeededFile, Output, Step
from magictalk_core.vocabulary.emotions import EMOTIONS

__all__ = ["EAMM"]

_DATA = "https://drive.google.com/file/d/1IL9LjH3JegyMqJABqMxrX3StAq_v8Gtp/view"
_POSE = "https://github.com/cleardusk/3DDFA_V2 (EAMM's own demo.py and utils/pose.py kept)"
_ALIGNED = "3DDFA_V2/test/image/portrait.png"

EAMM = ExternalSystem(
    name="eamm",
    title="EAMM",
    version="1",
    repository="https://github.com/jixinya/EAMM",
    main_file="demo.py",
    needs=(
        NeededFile("log/124_52000.pth.tar", _DATA),
        NeededFile("log/1-6000.pth.tar", _DATA),
        NeededFile("log/5-3000.pth.tar", _DATA),
        NeededFile("M003_template.npy", _DATA),
        NeededFile("shape_predictor_68_face_landmarks.dat", "http://dlib.net/files/"),
        NeededFile("3DDFA_V2/TDDFA.py", _POSE),
        NeededFile("3DDFA_V2/weights/mb1_120x120.pth", _POSE),
    ),
    own=("result", "3DDFA_V2/test", "3DDFA_V2/test/image", "3DDFA_V2/test/pose"),
    gives={"portrait": "portrait.png", "audio": "audio.wav", "style_video": "style.mp4"},
    steps=(
        Step(("{python}", "-c", f"from process_data import crop_image; crop_image('portrait.png', '{_ALIGNED}')")),
        Step(("{python}", "demo.py"), folder="3DDFA_V2"),
        Step(
            (
                "{python}",
                "demo.py",
                "--source_image",
                _ALIGNED,
                "--driving_video",
                "style.mp4",
                "--pose_file",
                "3DDFA_V2/test/pose/portrait.npy",
                "--in_file",
                "audio.wav",
                "--emotion",
                "{emotion}",
                "--result_path",
                "result/",
            )
        ),
    ),
    output=Output("result/emotion.mp4", (256, 256)),
    emotions={emotion: emotion for emotion in EMOTIONS},
    terms="no licence file in the versions read: ask its authors",
)
