"""EVP (Ji et al., CVPR 2021): audio to landmarks of one person, then vid2vid of that person; a model for each.

Read in jixinya/EVP: `audio2lm/test.py` and `audio2lm/config/M003_test.yaml` (04e084d), `lm2video/lm2map.py`,
`lm2video/test_M003.sh` and `lm2video/base_options.py` (b9afe20), `README.md` (0753bc0); in NVIDIA/vid2vid: `test.py`
and `options/test_options.py` (4501f4b), `util/visualizer.py` (b4c4569).

- M003 and M030 are published; `lm2map.py` has `name = 'M003'` in its text, so that M003 alone runs unchanged.
- `python test.py --config config/M003_test.yaml --audio A --condition feature --emo_feature M003_feature/<emotion>.npy`
  in `audio2lm` writes `result/M003.npy`: (frames, 106, 2).
- What turns these landmarks into the parameters that `lm2map.py` reads (`lm2video/data/M003/3DMM/test_results/`) is
  **not published**. The user's own fitting is called for it (`fit` in the preset, run in the run's folder): it reads
  `audio2lm/result/M003.npy` and writes `lm2video/data/M003/3DMM/test_results/M003_<emotion>_clip.txt`: a line a frame,
  199 of shape, 29 of expression, 6 of pose, the frame's number as `<n>.jpg`.
- `lm2map.py` writes `lm2video/result/test_keypoints_M003_pose/` and `test_img_M003_pose/`; vid2vid, put into `vid2vid/`
  of the checkout with EVP's two files in place, reads them from `datasets/face/`.
- vid2vid writes pictures, `results/M003/test_latest/images/fake_B_<n>.jpg`, and stops after 300 unless `--how_many`
  says otherwise; it adds to a log beside its checkpoint. Their size follows the person's video.
"""

from __future__ import annotations

from magictalk_core.evaluation.external.system import ExternalSystem, NeededFile, Output, Step
from magictalk_core.vocabulary.emotions import EMOTIONS

__all__ = ["EVP"]

_DATA = "https://drive.google.com/file/d/1QQeE8ahQC_ErPBzTc6Kx5pzOAWcRoNs4/view"
_VID2VID = "https://github.com/NVIDIA/vid2vid (data/face_dataset.py, options/base_options.py of EVP in place)"

EVP = ExternalSystem(
    name="evp",
    title="EVP",
    version="1",
    repository="https://github.com/jixinya/EVP",
    main_file="audio2lm/test.py",
    needs=(
        NeededFile("audio2lm/pth/M003_20.pth", _DATA),
        NeededFile("lm2video/base_weight.pickle", _DATA),
        NeededFile("lm2video/data/M003/background", _DATA),
        NeededFile("vid2vid/test.py", _VID2VID),
        NeededFile("vid2vid/checkpoints/M003/latest_net_G0.pth", _DATA),
    ),
    own=(
        "audio2lm/result",
        "lm2video/data/M003/3DMM/test_results",
        "lm2video/result",
        "vid2vid/checkpoints",
        "vid2vid/checkpoints/M003",
        "vid2vid/datasets",
        "vid2vid/results",
    ),
    linked=("vid2vid/checkpoints/M003/latest_net_G0.pth",),
    aliases={"vid2vid/datasets/face": "lm2video/result"},
    gives={"audio": "audio.wav"},
    steps=(
        Step(
            (
                "{python}",
                "test.py",
                "--config",
                "config/M003_test.yaml",
                "--audio",
                "../audio.wav",
                "--condition",
                "feature",
                "--emo_feature",
                "M003_feature/{emotion}.npy",
            ),
            folder="audio2lm",
        ),
        Step(("{fit}",)),
        Step(("{python}", "lm2map.py"), folder="lm2video"),
        Step(
            (
                "{python}",
                "test.py",
                "--name",
                "M003",
                "--dataroot",
                "datasets/face/",
                "--dataset_mode",
                "face",
                "--input_nc",
                "15",
                "--loadSize",
                "512",
                "--use_real_img",
                "--mode",
                "_M003_pose",
                "--how_many",
                "100000",
            ),
            folder="vid2vid",
        ),
    ),
    output=Output("vid2vid/results/M003/test_latest/images/fake_B_*.jpg", None, is_frames=True),
    speakers=("M003",),
    emotions={emotion: emotion for emotion in EMOTIONS} | {"disgusted": "disgust"},
    terms="no licence file in the versions read; vid2vid: CC BY-NC-SA 4.0",
)
