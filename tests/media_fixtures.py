"""Small media files for the tests, made with the ffmpeg command."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def ffmpeg(*arguments: str | float | Path) -> None:
    command = ["ffmpeg", "-v", "error", "-y", "-nostdin", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def make_clip(
    path: Path,
    seconds: float = 2.0,
    rate: str = "25",
    size: str = "160x120",
    sound: str | None = "sine=frequency=440:sample_rate=48000",
    extra: Sequence[str] = (),
) -> Path:
    """A moving test picture with a tone; `sound` is another lavfi source, or None."""
    inputs = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate={rate}:duration={seconds}"]
    if sound is not None:
        inputs += ["-f", "lavfi", "-t", str(seconds), "-i", sound]
    # `file:` because a test name may begin with a dash.
    ffmpeg(*inputs, *X264, *extra, f"file:{path}")
    return path


def make_levels(path: Path, times: Sequence[float], levels: Sequence[int]) -> Path:
    """A grey video whose frame i is shown at `times[i]` s with brightness `levels[i]`: any variable rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4", "preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        for time, level in zip(times, levels, strict=True):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def mark_rotation(source: Path, degrees: int, target: Path) -> None:
    """Copy a file and mark its picture as to be shown turned counter-clockwise."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        next(s for s in streams.values() if s.type == "video").set_display_rotation(degrees)
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)


@dataclass(frozen=True)
class FakeBox:
    x: float
    y: float
    width: float
    height: float
    score: float = 0.9


class FakeDetector:
    """Finds a face of the given share of the picture's height in the middle, in every n-th call; n = 0: never."""

    def __init__(self, share: float = 0.4, every: int = 1) -> None:
        self.share, self.every, self.calls = share, every, 0

    def detect(self, rgb: NDArray[np.uint8]) -> list[FakeBox]:
        self.calls += 1
        if self.every == 0 or (self.calls - 1) % self.every:
            return []
        height, width = rgb.shape[:2]
        side = self.share * height
        return [FakeBox((width - side) / 2, (height - side) / 2, side, side)]
