"""Stand-ins for the public code of other systems: programs of the same command line, and checkouts around them.

Each program takes what the real one takes, refuses anything else, and leaves its video where the real one does, of the
real one's size and rate. `behaviour.txt` in the checkout says how it behaves.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from magictalk_core.config import ExternalConfig
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.evaluation.external.system import ExternalSystem
from magictalk_core.faces.extract import frames_table
from magictalk_core.faces.observation import FaceObservation
from magictalk_core.media.audio import write_wav
from magictalk_core.media.encode import write_video
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, MEDIA
from magictalk_core.work.manifest import build_manifest
from magictalk_core.workspace import Workspace
from tests.test_corpora_gates import clip, media

FRAMES_PER_CLIP = 20
RESULT, BESIDE = (40, 160, 220), (200, 40, 40)
"""Colours of the panel that shows the result, and of those beside it."""

_PRELUDE = f"""
import argparse, os, subprocess, sys, time, wave
RESULT, BESIDE = {RESULT}, {BESIDE}
HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = HERE
while not os.path.isfile(os.path.join(ROOT, "behaviour.txt")):
    ROOT = os.path.dirname(ROOT)
BEHAVIOUR = open(os.path.join(ROOT, "behaviour.txt")).read().strip()
with open(os.path.join(ROOT, "calls.log"), "a") as log:
    log.write(" ".join(sys.argv) + "\\n")
from fractions import Fraction
import av, numpy as np

def seconds(path):
    with wave.open(path) as sound:
        assert sound.getframerate() == 16000 and sound.getnchannels() == 1, "16 kHz mono"
        return sound.getnframes() / 16000

def misbehave():
    if BEHAVIOUR == "crash":
        raise RuntimeError("CUDA out of memory")
    if BEHAVIOUR == "hang":
        # Children of the program hang with it.
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        time.sleep(600)
    if BEHAVIOUR == "memory":
        held = bytearray(os.urandom(1 << 20)) * 400
        time.sleep(600)
    if BEHAVIOUR == "no_output":
        sys.exit(0)

def video(path, panels, side, n, fps=25, result=0):
    width = side * panels if BEHAVIOUR != "wrong_size" else side * panels + 32
    n = n if BEHAVIOUR != "too_short" else n // 2
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(100))
        stream.width, stream.height, stream.pix_fmt = width, side, "yuv420p"
        for k in range(n):
            frame = np.full((side, width, 3), BESIDE, np.uint8)
            frame[:, side * result : side * (result + 1)] = RESULT
            if k == 0:
                frame[: side // 2, side * result : side * (result + 1)] = 0
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    if BEHAVIOUR == "half":
        data = open(path, "rb").read()
        open(path, "wb").write(data[: len(data) // 2])
"""

_MAKEITTALK = """
import glob
p = argparse.ArgumentParser()
for name in ("--jpg", "--load_AUTOVC_name", "--load_a2l_G_name", "--load_a2l_C_name", "--load_G_name"):
    p.add_argument(name)
for name in ("--amp_lip_x", "--amp_lip_y", "--amp_pos"):
    p.add_argument(name, type=float)
o = p.parse_args()
from PIL import Image
assert Image.open("examples/" + o.jpg).size == (256, 256)
assert os.path.isfile("examples/dump/emb.pickle") and os.path.isfile(o.load_G_name)
open("examples/dump/random_val_fl.pickle", "w").write("x")
misbehave()
for wav in glob.glob1("examples", "*.wav"):
    name = "pred_fls_%s_audio_embed" % wav[:-4]
    n = int(seconds("examples/" + wav) * 62.5)
    video("examples/%s_%s.mp4" % (o.jpg.split(".")[0], name), 3, 256, n, 62.5, 1)
"""
_SADTALKER = """
p = argparse.ArgumentParser()
for name in ("--driven_audio", "--source_image", "--checkpoint_dir", "--result_dir", "--ref_pose"):
    p.add_argument(name)
p.add_argument("--size", type=int, default=256)
p.add_argument("--preprocess", default="crop", choices=["crop", "extcrop", "resize", "full", "extfull"])
p.add_argument("--still", action="store_true")
o = p.parse_args()
assert os.path.isfile(o.source_image) and os.path.isdir(o.checkpoint_dir) and os.path.isdir("src/config")
misbehave()
os.makedirs(o.result_dir, exist_ok=True)
name = time.strftime("%Y_%m_%d_%H.%M.%S") + ".mp4"
video(os.path.join(o.result_dir, name), 1, o.size, int(seconds(o.driven_audio) * 25))
"""
_EAMM = """
p = argparse.ArgumentParser()
for name in ("--source_image", "--driving_video", "--pose_file", "--in_file", "--emotion", "--result_path"):
    p.add_argument(name, required=True)
o = p.parse_args()
assert np.load(o.pose_file).shape == (1, 7) and os.path.isfile("shape_predictor_68_face_landmarks.dat")
assert o.emotion in ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
from PIL import Image
assert Image.open(o.source_image).size == (256, 256)
with av.open(o.driving_video) as driving:
    fps = float(driving.streams.video[0].average_rate)
misbehave()
n = int(seconds(o.in_file) * 25)
video(os.path.join(o.result_path, "neutral.mp4"), 1, 256, n, fps)
video(os.path.join(o.result_path, "emotion.mp4"), 1, 256, n, fps)
video(os.path.join(o.result_path, "all.mp4"), 3, 256, n, 25)
"""
_EAMM_PROCESS = """
import numpy as np
from PIL import Image
def crop_image(image_path, out_path):
    np.load("./M003_template.npy")
    Image.open(image_path).resize((256, 256)).save(out_path)
"""
_EAMM_POSE = """
p = argparse.ArgumentParser()
p.add_argument("-m", "--mode", default="cpu")
p.parse_args()
for name in os.listdir("test/image/"):
    np.save("test/pose/" + name.split(".")[0] + ".npy", np.zeros((1, 7)))
"""
_PD_FGC = """
p = argparse.ArgumentParser()
for name in ("--cfg_file", "--name", "--audio_path", "--app_img_path", "--pose_path", "--exp_path", "--eye_path"):
    p.add_argument(name)
p.add_argument("--all", action="store_true")
p.add_argument("opts", nargs=argparse.REMAINDER)
o = p.parse_args()
os.makedirs("test/images/" + o.name, exist_ok=True)
os.makedirs("test/mp4s", exist_ok=True)
for folder in (o.pose_path, o.exp_path, o.eye_path):
    assert len(os.listdir(folder)) >= 10
misbehave()
video("test/mp4s/%s.mp4" % o.name, 5, 224, int(seconds(o.audio_path) * 25) - 4, 25, 1)
"""
_EVP_AUDIO = """
p = argparse.ArgumentParser()
for name in ("--config", "--audio", "--condition", "--emo_audio", "--emo_feature"):
    p.add_argument(name)
o = p.parse_args()
assert os.path.isfile(o.config) and np.load(o.emo_feature) is not None and o.condition == "feature"
misbehave()
np.save("result/M003.npy", np.zeros((int(seconds(o.audio) * 25), 106, 2)))
"""
_EVP_MAP = """
name = "M003"
for file in os.listdir("data/" + name + "/3DMM/test_results/"):
    n = len(open("data/" + name + "/3DMM/test_results/" + file).readlines())
    for kind in ("keypoints", "img"):
        folder = "result/test_%s_M003_pose/%s" % (kind, file.split(".")[0])
        os.makedirs(folder)
        for k in range(n):
            open(folder + "/%06d.txt" % k, "w").write("0")
"""
_EVP_VID2VID = """
p = argparse.ArgumentParser()
for name in ("--name", "--dataroot", "--dataset_mode", "--input_nc", "--loadSize", "--mode", "--how_many"):
    p.add_argument(name)
p.add_argument("--use_real_img", action="store_true")
o = p.parse_args()
from PIL import Image
open("checkpoints/M003/loss_log.txt", "a").write("x")
folder = "results/M003/test_latest/images"
os.makedirs(folder)
root = o.dataroot + "test_keypoints" + o.mode
for sequence in os.listdir(root):
    frames = sorted(os.listdir(root + "/" + sequence))
    if BEHAVIOUR == "too_short":
        frames = frames[: len(frames) // 2]
    for frame in frames if BEHAVIOUR != "half" else []:
        Image.new("RGB", (512, 512), RESULT).save(folder + "/fake_B_" + frame[:-4] + ".jpg")
        Image.new("RGB", (512, 512), BESIDE).save(folder + "/real_A_" + frame[:-4] + ".jpg")
"""
_EVP_FIT = """
import numpy as np
landmarks = np.load("audio2lm/result/M003.npy")
with open("lm2video/data/M003/3DMM/test_results/M003_happy_clip.txt", "w") as file:
    for k in range(len(landmarks)):
        file.write(" ".join(["0"] * 234) + " %d.jpg\\n" % k)
"""

_PROGRAMS: dict[str, dict[str, str]] = {
    "makeittalk": {"main_end2end.py": _MAKEITTALK},
    "sadtalker": {"inference.py": _SADTALKER},
    "eamm": {"demo.py": _EAMM, "process_data.py": _EAMM_PROCESS, "3DDFA_V2/demo.py": _EAMM_POSE},
    "pd_fgc": {"inference.py": _PD_FGC},
    "evp": {
        "audio2lm/test.py": _EVP_AUDIO, "lm2video/lm2map.py": _EVP_MAP, "vid2vid/test.py": _EVP_VID2VID,
        "fit.py": _EVP_FIT,
    },
}  # fmt: skip
_PLAIN = {"process_data.py", "fit.py"}


def checkout_of(system: ExternalSystem, folder: Path) -> Path:
    """A checkout whose programs are stand-ins, and whose weights are a few bytes."""
    for one in system.needs:
        path = folder / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if one.path == "lm2video/data/M003/background":
            path.mkdir()
            (path / "M003.npy").write_bytes(b"poses")
        elif path.suffix == ".npy":
            np.save(path, np.zeros((68, 2)))
        else:
            path.write_bytes(system.name.encode())
    for name, text in _PROGRAMS[system.name].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if name in _PLAIN else _PRELUDE + text, encoding="utf-8")
    _beside(system.name, folder)
    behave(folder, "well")
    return folder


def _beside(name: str, folder: Path) -> None:
    """What a clone brings that is no program."""
    if name == "makeittalk":
        shutil.copyfile(__file__, folder / "examples" / "M6_04_16k.wav")  # sounds of the clone must not be read
    elif name == "sadtalker":
        (folder / "src" / "config").mkdir(parents=True)
    elif name == "eamm":
        (folder / "3DDFA_V2" / "test" / "image").mkdir(parents=True)
        (folder / "3DDFA_V2" / "test" / "image" / "other.png").write_bytes(b"of the clone")
    elif name == "evp":
        (folder / "audio2lm" / "config").mkdir()
        (folder / "audio2lm" / "config" / "M003_test.yaml").write_text("at_model: pth/M003_20.pth\n")
        (folder / "audio2lm" / "M003_feature").mkdir()
        np.save(folder / "audio2lm" / "M003_feature" / "happy.npy", np.zeros(4))


def behave(checkout: Path, how: str) -> None:
    (checkout / "behaviour.txt").write_text(how)


def calls_of(checkout: Path) -> list[str]:
    log = checkout / "calls.log"
    return log.read_text().splitlines() if log.is_file() else []


def config_of(system: ExternalSystem, checkout: Path, **more: Any) -> ExternalConfig:
    fit = (sys.executable, str(checkout / "fit.py")) if system.needs_fit else ()
    values = {"checkout": checkout, "python": Path(sys.executable), "fit": fit, "timeout_s": 60, "memory_gb": 8}
    return ExternalConfig.model_validate({"system": system.name, **values, **more})


def with_external(*configs: ExternalConfig, clips: int = 0) -> Preset:
    """A preset with these systems, and the first `clips` test clips alone."""
    external = [one.model_dump() for one in configs]
    return Preset.model_validate({"name": "tiny", "evaluation": {"external": external, "max_clips": clips}})


def held_out(
    workspace: Workspace, raw: Path, names: tuple[str, ...] = ("a", "b"), face: NDArray[np.uint8] | None = None
) -> None:
    """Test clips of speaker M003, happy, with sound; each the other's style. They show `face`, or nothing."""
    raw.mkdir()
    add_corpus(workspace, new_entry(name="c", kind="folder", root=raw))
    clips, medias, frames = [], [], []
    for number, name in enumerate(names):
        clips.append(clip(name, split="test", speaker="M003", emotion="happy"))
        picture = np.full((128, 128, 3), 60 + 40 * number, np.uint8) if face is None else face
        write_video(workspace.corpus("c") / f"{name}.mp4", [picture] * FRAMES_PER_CLIP, 25, None)
        sound = np.sin(np.arange(FRAMES_PER_CLIP * 640) / (20 + number)).astype(np.float32) / 2
        write_wav(workspace.corpus("c") / f"{name}.wav", sound, 16_000)
        files = {"video_path": f"{name}.mp4", "video_md5": name, "audio_path": f"{name}.wav", "audio_md5": name}
        medias.append(media(name, **files))
        seen = FaceObservation(True, 0.9, None, np.full(52, 0.1, np.float32), np.ones(6, np.float32))
        frames.append(frames_table(f"c/s/{name}", [seen] * FRAMES_PER_CLIP, "litert-geometric/3"))
    write_table(CLIPS, clips, workspace.clips_table("c"))
    write_table(MEDIA, medias, workspace.shard_table("c", "media", "b0"))
    write_table(FRAMES, pa.concat_tables(frames), workspace.shard_table("c", "blendshapes", "b0"))
    build_manifest(workspace.dataset("c"), workspace.manifest("c"))
