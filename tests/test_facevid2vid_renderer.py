"""Face-vid2vid in use: one portrait, a stream of driving frames, and `magictalk animate --renderer facevid2vid`.

The networks have weights of chance or of no training at all: what they draw is noise, and only its form is looked at.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from facevid2vid_fixtures import random_network, small
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from magictalk_core.commands import renderer_choice
from magictalk_core.commands.renderer_choice import RendererWish, open_renderer, renderer_wish
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.media.decode import read_frames
from magictalk_core.models.facevid2vid import checkpoint
from magictalk_core.models.facevid2vid.checkpoint import write_public
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig
from magictalk_core.models.facevid2vid.model import FaceVid2VidModel, MotionMode
from magictalk_core.models.facevid2vid.network import FaceVid2Vid
from magictalk_core.models.facevid2vid.renderer import NeuralAnimator
from magictalk_core.models.facevid2vid.transform import place, relative
from magictalk_core.portrait.provenance import work_in_video
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.render import RigRenderer
from magictalk_core.sample_corpus.portraits import speaker_portrait
from magictalk_core.training.in_use import point_newest
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.work.provenance import read_record, record_path
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from tests.face_fixtures import need_embedded_weights

runner = CliRunner()
Frame = NDArray[np.uint8]


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> FaceVid2VidNetworkConfig:
    """Public files that hold small networks are taken for what they are. The plain decoder: with weights of chance
    SPADE divides by next to nothing, and rounding would be seen."""
    config = small("plain")
    monkeypatch.setattr(checkpoint, "_shape_of", lambda path, groups: config)
    return config


@pytest.fixture
def weights(tmp_path: Path, small_files: FaceVid2VidNetworkConfig) -> Path:
    write_public(random_network(small_files), tmp_path / "small.pth.tar")
    return tmp_path / "small.pth.tar"


@pytest.fixture
def model(weights: Path) -> FaceVid2VidModel:
    return FaceVid2VidModel.load(weights, device="cpu")


def _frames(count: int, seed: int = 0) -> list[Frame]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), np.uint8))


# --- a model in use -------------------------------------------------------------------------------------------------


def test_a_driving_that_stays_neutral_draws_the_source_as_it_is(model: FaceVid2VidModel) -> None:
    """Relative motion of none: the same frame as the generator makes of keypoints that did not move."""
    portrait, neutral = _frames(2)
    source = model.look_at(portrait)
    modes: tuple[MotionMode, ...] = ("relative", "pose-aware")
    with torch.inference_mode():
        still = model.network.generator.move(source.volume, source.keypoints, source.keypoints).pictures[0]
    wanted = (still.permute(1, 2, 0) * 255).round().numpy().astype(np.uint8)
    for mode in modes:
        (made,) = model.animate(source, [neutral], neutral, mode)
        assert made.shape == (64, 64, 3) and int(np.abs(made.astype(int) - wanted).max()) <= 1


def test_batches_do_not_change_the_frames(model: FaceVid2VidModel, monkeypatch: pytest.MonkeyPatch) -> None:
    portrait, neutral, *driving = _frames(9)
    source = model.look_at(portrait)
    one_by_one = list(model.animate(source, driving, neutral))
    monkeypatch.setattr("magictalk_core.models.facevid2vid.model._BATCH_CPU", 3)
    together = list(model.animate(source, driving, neutral))
    assert len(together) == len(driving) == 7
    assert max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(one_by_one, together, strict=True)) <= 1


def test_frames_are_asked_for_when_they_are_needed(model: FaceVid2VidModel) -> None:
    """Constant memory: of a stream without end no more is taken than a batch ahead."""
    taken = 0

    def endless() -> Iterator[Frame]:
        nonlocal taken
        while True:
            taken += 1
            yield _frames(1, seed=taken)[0]

    made = model.animate(model.look_at(_frames(1)[0]), endless(), _frames(1)[0])
    for count in range(1, 6):
        next(made)
        assert taken == count


def test_each_mode_puts_the_keypoints_where_it_says(model: FaceVid2VidModel) -> None:
    portrait, neutral, driving = _frames(3)
    source = model.look_at(portrait)
    made = {mode: next(model.animate(source, [driving], neutral, mode)) for mode in renderer_choice.MOTION_MODES}
    assert not np.array_equal(made["relative"], made["absolute"])
    with torch.inference_mode():
        at, start = (place(source.canonical, model._pose(model._pictures([one]))) for one in (driving, neutral))
        wanted_at: dict[MotionMode, torch.Tensor] = {"absolute": at, "relative": relative(source.keypoints, at, start)}
        for mode, keypoints in wanted_at.items():
            picture = model.network.generator.move(source.volume, source.keypoints, keypoints).pictures[0]
            wanted = (picture.permute(1, 2, 0) * 255).round().numpy().astype(int)
            assert int(np.abs(made[mode].astype(int) - wanted).max()) <= 1
    scaled = next(model.animate(source, [driving], neutral, adapt_scale=True))
    assert scaled.shape == made["relative"].shape


def test_a_frame_of_another_size_is_refused(model: FaceVid2VidModel) -> None:
    with pytest.raises(PermanentError, match=r"expected frames \(64, 64, 3\) of uint8, found \(32, 64, 3\)"):
        model.look_at(np.zeros((32, 64, 3), np.uint8))


def test_the_rig_drives_the_portrait_from_its_neutral_frame(model: FaceVid2VidModel) -> None:
    portrait, landmarks = speaker_portrait("W901")
    rig = builtin_rig()
    motion = np.zeros((3, len(MOTION_NAMES)), np.float32)
    motion[1:, MOTION_NAMES.index("jawOpen")] = 1.0
    motion[2] = np.nan
    animator = NeuralAnimator(model, portrait, landmarks, rig, size=96)
    drawn = RigRenderer(rig, 64)
    try:
        made = list(animator.render(motion))
        assert [frame.shape for frame in made] == [(96, 96, 3)] * 3
        # A motion that nobody made, NaN, is the neutral one.
        assert np.array_equal(made[0], made[2])
        driving = list(drawn.render(motion))
        assert not np.array_equal(driving[0], driving[1])
    finally:
        animator.close()
        drawn.close()


def _model_folder(folder: Path, gain: float | None) -> FaceVid2Vid:
    """As a training leaves it, discriminator and all; `gain`: what it measured on held-out clips."""
    network = random_network(small())
    folder.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict() | {"discriminator.a": torch.ones(1)}, folder / "model.safetensors")
    scales = {"mean": [0.0], "std": [1.0]}
    held_out = None if gain is None else {"l1": {"gain": gain}}
    said = {"family": "facevid2vid", "network": small().model_dump(mode="json"), "held_out": held_out}
    files = {"config": said, "channels": ["jawOpen"], "normalizer": {"states": scales, "features": scales}}
    for name, values in files.items():
        (folder / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")
    return network


@pytest.mark.parametrize(("gain", "lost"), [(-0.01, True), (0.01, False), (None, False)])
def test_a_model_folder_of_ours(gain: float | None, lost: bool, tmp_path: Path, workspace: Workspace) -> None:
    """The discriminator in it is left alone; a model that lost against copying its source says so."""
    network = _model_folder(tmp_path, gain)
    model = FaceVid2VidModel.load(tmp_path, device="cpu")
    assert model.is_worse_than_copying is lost
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in model.network.state_dict().items())
    opened = open_renderer(workspace, RendererWish("facevid2vid", tmp_path))
    assert opened is not None and opened.stand_ins == () and opened.inputs[0].kind == "model"
    said_of = " ".join(opened.remarks(64))
    assert ("worse than its source picture copied" in said_of) is lost and "enlarged" not in said_of
    with pytest.raises(UserError, match=r"an estimator of its own: leave out --renderer-estimator$"):
        open_renderer(workspace, RendererWish("facevid2vid", tmp_path, tmp_path / "other.pth.tar"))


def test_the_workspace_s_own_is_taken_without_a_word(workspace: Workspace) -> None:
    runs = workspace.models("facevid2vid")
    _model_folder(runs / "r1" / "model", 0.02)
    result = {"metrics": {}, "measured": {}, "weights_md5": "0", "run_id": "none"}
    (runs / "r1" / "result.json").write_text(json.dumps(result), encoding="utf-8")
    point_newest(runs, "r1")
    opened = open_renderer(workspace, RendererWish("facevid2vid", mode="pose-aware"))
    assert opened is not None and opened.model.files == (runs / "r1" / "model" / "model.safetensors",)
    assert opened.inputs[0].name == "models/facevid2vid/r1/model" and str(workspace.home) not in opened.name


# --- the command line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("mesh", None, None, None, False), "--renderer mesh: expected one of warp, facevid2vid"),
        (("facevid2vid", None, None, "free", False), "--renderer-motion free: expected one of relative, pose-aware"),
        ((None, Path("a"), None, None, False), "--renderer-weights: only --renderer facevid2vid takes it"),
        (("warp", None, None, "relative", True), "--renderer-motion, --adapt-scale: only --renderer facevid2vid"),
        (("facevid2vid", None, None, "pose-aware", True), "--adapt-scale: has a meaning for relative motion"),
    ],
)
def test_what_has_no_meaning_is_one_line(given: tuple[str, Path, Path, str, bool], says: str) -> None:
    with pytest.raises(UserError, match=says):
        renderer_wish(*given)


def test_the_warp_needs_nothing(workspace: Workspace) -> None:
    assert open_renderer(workspace, renderer_wish(None, None, None, None, False)) is None


def test_without_weights_it_is_said_what_to_fetch(workspace: Workspace) -> None:
    with pytest.raises(UserError) as raised:
        open_renderer(workspace, RendererWish("facevid2vid"))
    said = str(raised.value)
    assert f"{workspace.home}/models/facevid2vid has no trained model" in said and "\n" not in said
    assert "--renderer-weights FILE" in said and "facevid2vid_00189-model.pth.tar" in said
    assert f"`magictalk run --select models/facevid2vid --home {workspace.home}`" in said


@pytest.mark.parametrize("name", ["none.pth.tar", "x" * 300, "loop", "\0"])
def test_a_file_that_cannot_be_opened_is_one_line(name: str, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="file of face-vid2vid's weights"):
        open_renderer(workspace, RendererWish("facevid2vid", weights=tmp_path / name))


def test_a_folder_that_is_no_model_names_the_next_command(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no facevid2vid model at .*magictalk run --select models/facevid2vid"):
        open_renderer(workspace, RendererWish("facevid2vid", weights=tmp_path))


def _sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.sin(np.arange(3200) / 10) * 9000).astype("<i2").tobytes())
    return path


@pytest.fixture
def line(tmp_path: Path, weights: Path) -> Callable[..., list[str]]:
    need_embedded_weights()
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "me.png")
    words = ["animate", "--audio", _sound(tmp_path / "a.wav"), "--portrait", tmp_path / "me.png", "--style", "happy"]
    words += ["--model", "magictalk-base", "--home", tmp_path / "home", "-o", tmp_path / "out.mp4"]
    return lambda *more: [str(word) for word in (*words, "--renderer", "facevid2vid", *more)]


def test_a_video_says_that_the_network_drew_it(
    line: Callable[..., list[str]], weights: Path, model: FaceVid2VidModel, tmp_path: Path
) -> None:
    done = runner.invoke(app, line("--renderer-weights", weights, "--size", 96, "--adapt-scale", "--json"))
    assert done.exit_code == 0, done.output
    (made,) = json.loads(done.stdout)
    assert made["renderer"] == model.name and model.name.startswith("facevid2vid ") and made["frames"] == 5
    assert f"{model.name} draws 64 pixels: enlarged to 96 by Lanczos" in done.stderr
    frames = list(read_frames(tmp_path / "out.mp4"))
    assert [frame.shape for frame in frames] == [(96, 96, 3)] * 5
    said = work_in_video(tmp_path / "out.mp4")
    assert said is not None and said["validation_state"] == "Valid"
    assert said["settings"]["renderer"] == model.name
    assert (said["settings"]["renderer_motion"], said["settings"]["adapt_scale"]) == ("relative", True)
    assert {"kind": "model", "name": "small.pth.tar"}.items() <= said["inputs"][-1].items()
    record = read_record(record_path(tmp_path / "out.mp4"))
    assert record is not None and list(record.stand_ins) == ["portrait=facevid2vid-as-published"]


def test_a_broken_file_leaves_no_video(line: Callable[..., list[str]], weights: Path, tmp_path: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:5000])
    done = runner.invoke(app, line("--renderer-weights", weights))
    (said,) = done.stderr.strip().splitlines()
    assert done.exit_code == 2 and str(weights) in said and "fetch it again" in said
    assert not (tmp_path / "out.mp4").exists()


def test_curves_have_no_renderer(line: Callable[..., list[str]], tmp_path: Path) -> None:
    words = line()
    words[words.index("-o") + 1] = str(tmp_path / "out.csv")
    done = runner.invoke(app, words)
    assert done.exit_code == 2 and "--portrait, --renderer: -o" in done.stderr
