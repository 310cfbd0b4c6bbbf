"""MakeItTalk (Zhou et al., SIGGRAPH Asia 2020): audio to landmarks to picture; no emotion.

Read in yzhou359/MakeItTalk: `main_end2end.py` (79df25b), `src/approaches/train_image_translation.py` (8319cd2),
`src/approaches/train_audio2landmark.py` (615b776), `README.md` (1e79ba5).

- `python main_end2end.py --jpg <name>` reads `examples/<name>` and **every** `examples/*.wav`: so `examples/` is the
  run's own, with one of each. `examples/dump` must exist and hold `emb.pickle`.
- The portrait must be 256x256: it is stacked with a 256x256 drawing of landmarks.
- The video is `examples/<name>_pred_fls_<audio>_audio_embed.mp4`: three panels of 256 (portrait, result, landmarks) at
  62.5 frames per second.
- The commits differ in the default of `--load_G_name`; the published file is `ckpt_116_i2i_comb.pth`: it is stated.
- Needs a GPU: `FaceAlignment(..., device='cuda')`.
"""

from __future__ import annotations

from magictalk_core.evaluation.external.system import ExternalSystem, NeededFile, Output, Panel, Step

__all__ = ["MAKEITTALK"]

_DRIVE = "https://drive.google.com/file/d/{}/view"

MAKEITTALK = ExternalSystem(
    name="makeittalk",
    title="MakeItTalk",
    version="1",
    repository="https://github.com/yzhou359/MakeItTalk",
    main_file="main_end2end.py",
    needs=(
        NeededFile("examples/ckpt/ckpt_autovc.pth", _DRIVE.format("1ZiwPp_h62LtjU0DwpelLUoodKPR85K7x")),
        NeededFile("examples/ckpt/ckpt_content_branch.pth", _DRIVE.format("1r3bfEvTVl6pCNw5xwUhEglwDHjWtAqQp")),
        NeededFile("examples/ckpt/ckpt_speaker_branch.pth", _DRIVE.format("1rV0jkyDqPW-aDJcj7xSO6Zt1zSXqn1mu")),
        NeededFile("examples/ckpt/ckpt_116_i2i_comb.pth", _DRIVE.format("1i2LJXKp-yWKIEEgJ7C6cE3_2NirfY_0a")),
        NeededFile("examples/dump/emb.pickle", _DRIVE.format("18-0CYl5E6ungS3H4rRSHjfYvvm-WwjTI")),
    ),
    own=("examples", "examples/dump"),
    linked=("examples/ckpt", "examples/dump/emb.pickle"),
    gives={"portrait": "examples/portrait.jpg", "audio": "examples/audio.wav"},
    portrait_side=256,
    steps=(
        Step(
            (
                "{python}",
                "main_end2end.py",
                "--jpg",
                "portrait.jpg",
                "--load_G_name",
                "examples/ckpt/ckpt_116_i2i_comb.pth",
            )
        ),
    ),
    output=Output("examples/portrait_pred_fls_audio_audio_embed.mp4", (768, 256), Panel(256, 0, 256, 256)),
    terms="licence of Adobe, in the checkout's LICENSE.md: research, no commercial use",
)
