"""The mark in the pixels and the verdicts on tampered videos, measured.

    python benchmarks/video_marks.py ../shared/samples/portraits ../shared/samples/audio/*.wav [--frames 75]
        [--library /path/with/imwatermark]

Every portrait with a face is animated with two of the voices at 256 px until there are 20 videos, the last two of them
the rig. Each is written as `magictalk animate` does, then encoded again with x264 at crf 28 (presets medium and
veryfast) at 75 % of its size. Printed: videos whose mark is read, PSNR, processor time a frame, false alarms (the
unmarked videos under 100 keys each), the table of tampering, and the same for a library if `--library` names where it
is installed.
Pictures of real people: never publish them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.perform import Wish, perform
from magictalk_core.commands.untrusted import picture_of
from magictalk_core.commands.verify import verify_file
from magictalk_core.errors import UserError
from magictalk_core.media.decode import read_audio
from magictalk_core.portrait import pixel_mark
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.face import find_face
from magictalk_core.portrait.generated import write_generated
from magictalk_core.portrait.label import provenance_metadata, stamp
from magictalk_core.portrait.pixel_mark import MarkReader, PixelMark
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.render import RigRenderer
from magictalk_core.workspace import Workspace
from tests import tampering as by

VIDEOS, SIZE, KEYS = 20, 256, 100
PAYLOAD = "0badcafe"
Frames = list[NDArray[np.uint8]]


def videos(portraits: Path, audio: list[Path], frames: int, home: Path) -> Iterator[tuple[str, Frames]]:
    moods = ("happy", "sad")
    rig = builtin_rig()
    made = [perform(Workspace(home), path, Wish(mood)) for path, mood in zip(audio[:2], moods, strict=True)]
    motions = [one.motion[:frames] for one in made]
    count = 0
    for path in sorted(portraits.iterdir()):
        try:
            face = find_face(picture_of(path).rgb)
        except UserError:
            continue
        for number, motion in enumerate(motions):
            if count < VIDEOS - 2 and "animal" not in path.name:
                animator = PortraitAnimator(face.rgb, face.landmarks, rig, SIZE)
                yield f"{path.stem} {number}", [stamp(frame, "SYNTHETIC") for frame in animator.render(motion)]
                animator.close()
                count += 1
    for number, motion in enumerate(motions):
        renderer = RigRenderer(rig, SIZE)
        yield f"rig {number}", [stamp(frame, "SYNTHETIC") for frame in renderer.render(motion)]
        renderer.close()


def read(frames: Frames) -> str | None:
    reader = MarkReader()
    for frame in frames[::5]:
        reader.add_rgb(np.ascontiguousarray(frame))
    found = reader.read()
    return None if found is None else found.payload


def false_alarms(frames: Frames) -> tuple[int, int]:
    """Marks read in an unmarked video, of two readings (plain and mirrored) under each of `KEYS` keys."""
    reader = MarkReader()
    for frame in frames[::5]:
        reader.add_rgb(frame)
    mean = (reader._sum / reader._frames).astype(np.float32)
    rest, found = pixel_mark._without_picture(mean), 0
    name = pixel_mark._NAME
    for key in range(KEYS):
        pixel_mark._NAME = b"another key %d" % key
        pixel_mark._key.cache_clear()
        found += pixel_mark._decoded(rest, False) is not None
    pixel_mark._NAME = name
    pixel_mark._key.cache_clear()
    return found, KEYS


def measure_mark(name: str, frames: Frames, folder: Path) -> dict[str, float]:
    mark = PixelMark(PAYLOAD)
    began = time.process_time()
    marked = [mark.applied(frame) for frame in frames]
    cost = (time.process_time() - began) / len(frames) * 1000
    error = np.mean([np.mean((a.astype(float) - b) ** 2) for a, b in zip(marked[::10], frames[::10], strict=True)])
    source = folder / "v.mp4"
    write_generated(source, frames, np.zeros(16_000, np.float32), provenance_metadata("m", "s"), mark=PAYLOAD)
    rows = {"psnr": 10 * np.log10(255**2 / error), "ms": cost, "plain": read(by.frames_of(source)) == PAYLOAD}
    for preset in ("medium", "veryfast"):
        again = by.reencoded(source, folder / "u.mp4", 28, 0.75, preset)
        rows[preset] = read(by.frames_of(again)) == PAYLOAD
    alarms, tried = false_alarms(frames)
    print(
        f"{name:28s}",
        {key: round(float(value), 2) for key, value in rows.items()},
        f"alarms {alarms}/{tried}",
        flush=True,
    )
    return {**rows, "alarms": alarms, "tried": tried}


def tampering(frames: Frames, sound: NDArray[np.float32], other: NDArray[np.float32], folder: Path) -> None:
    source = folder / "made.mp4"
    write_generated(source, frames, sound, provenance_metadata("m", "s"))
    print("intact:", verify_file(source).says)
    kinds = {
        "re-muxed": lambda out: by.remuxed(source, out),
        "re-encoded, 75 %": lambda out: by.reencoded(source, out, 28, 0.75),
        "cut": lambda out: by.cut(source, out, 17, 60),
        "another sound": lambda out: by.swapped_sound(source, out, other),
        "label painted over": lambda out: by.altered(source, out, by.without_label),
        "tags stripped": lambda out: by.remuxed(source, out, tags=False),
    }
    for name, tamper in kinds.items():
        out = tamper(folder / "tampered.mp4")
        print(f"{name:20s} alone:    {'; '.join(verify_file(out).edits)}")
        print(f"{'':20s} original: {'; '.join(verify_file(out, source).edits)}")
        by.with_manifest_of(source, out)
        print(f"{'':20s} manifest: {'; '.join(verify_file(out).edits)}", flush=True)


def measure_library(where: Path, made: list[tuple[str, Frames]], folder: Path) -> None:
    """invisible-watermark, frame by frame, 32 bits; read with the size of the original restored, by majority of 15."""
    sys.path.insert(0, str(where))
    sys.modules.setdefault("imwatermark.rivaGan", type(sys)("imwatermark.rivaGan")).RivaWatermark = object
    from imwatermark import WatermarkDecoder, WatermarkEncoder

    for method in ("dwtDct", "dwtDctSvd"):
        encoder, counts, psnr, cost = WatermarkEncoder(), [0, 0], [], []
        encoder.set_watermark("bytes", bytes.fromhex(PAYLOAD))
        for _, frames in made:
            began = time.process_time()
            marked = [encoder.encode(frame[..., ::-1].copy(), method)[..., ::-1] for frame in frames]
            cost.append((time.process_time() - began) / len(frames) * 1000)
            psnr.append(10 * np.log10(255**2 / np.mean((marked[0].astype(float) - frames[0]) ** 2)))
            source = folder / "l.mp4"
            by.write_video(source, [np.ascontiguousarray(frame) for frame in marked], 25, np.zeros(16_000, np.float32))
            again = by.reencoded(source, folder / "m.mp4", 28, 0.75)
            for place, path in enumerate((source, again)):
                votes = np.zeros(32)
                for frame in by.frames_of(path)[::5]:
                    restored = cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
                    raw = WatermarkDecoder("bytes", 32).decode(restored[..., ::-1].copy(), method)
                    votes += np.unpackbits(np.frombuffer(raw, np.uint8)) * 2.0 - 1
                counts[place] += np.packbits(votes > 0).tobytes().hex() == PAYLOAD
        print(f"{method}: read at crf 18 {counts[0]}, at crf 28 and 75 % {counts[1]} of {len(made)}; "
              f"PSNR {np.mean(psnr):.1f} dB; {np.mean(cost):.1f} ms a frame", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portraits", type=Path)
    parser.add_argument("audio", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=75)
    parser.add_argument("--library", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = list(videos(asked.portraits, asked.audio, asked.frames, folder / "home"))
        rows = [measure_mark(title, frames, folder) for title, frames in made]
        for key in ("plain", "medium", "veryfast"):
            print(f"{key}: {sum(row[key] for row in rows)} of {len(rows)} read")
        print(f"false alarms {sum(row['alarms'] for row in rows)} of {sum(row['tried'] for row in rows)}")
        print(f"PSNR {min(row['psnr'] for row in rows):.2f} dB at least; {np.mean([r['ms'] for r in rows]):.2f} ms")
        sounds = [read_audio(path)[: asked.frames * 640] for path in asked.audio[:2]]
        tampering(made[8][1], sounds[0], sounds[1], folder)
        if asked.library is not None:
            measure_library(asked.library, made, folder)


if __name__ == "__main__":
    main()
