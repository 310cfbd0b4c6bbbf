"""Which container formats may be opened, and what is said of the others."""

from __future__ import annotations

import re
import shlex
import threading
from pathlib import Path

import av

__all__ = ["FORMATS", "refusal"]

FORMATS: tuple[str, ...] = (
    "mov", "mp4", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo", "m4v",
    "asf", "flv", "mxf", "gif", "dv", "ivf", "yuv4mpegpipe",
    "wav", "flac", "ogg", "mp3", "aac", "aiff", "caf", "au", "amr", "ac3", "eac3", "wv", "w64",
)  # fmt: skip
"""Demuxers that may run. None of them names other files: no playlist, no concat script, no image sequence. Raw streams
without times of their own, such as .h264, are left out: their frame rate would be a guess."""

_LISTS = frozenset({"hls", "concat", "dash", "sdp", "rtsp", "imf"})
_PROBED = re.compile(r"Format (\S+) probed")
_one_at_a_time = threading.Lock()


def refusal(path: Path, options: dict[str, str]) -> str | None:
    """One line about a file whose format is not on the list, and what to do instead; None if it is on it.

    The file is recognized once more with the library's log, where the format's name is; the list stays in force.
    """
    found = _recognized(path, options) or "unknown"
    if set(found.split(",")) & set(FORMATS):
        return None
    if found in _LISTS:
        return f"format {found} is a list that names other files: give the media file itself"
    if found == "image2" or found.endswith("_pipe"):
        return f"format {found} is a still picture: expected a video or sound"
    new = f"{path.stem}.mp4" if path.suffix != ".mp4" else f"{path.stem}_converted.mp4"
    return (
        f"format {found} is not on the list: convert it with: "
        f"ffmpeg -i {shlex.quote(path.name)} -c:v libx264 -c:a aac {shlex.quote(new)}"
    )


def _recognized(path: Path, options: dict[str, str]) -> str | None:
    with _one_at_a_time:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.DEBUG)
        try:
            with av.logging.Capture() as lines:
                try:
                    av.open(f"file:{path.absolute()}", container_options=options).close()
                except av.FFmpegError:
                    pass
        finally:
            av.logging.set_level(level)
    found = (_PROBED.search(text) for _, _, text in lines)
    return next((match[1] for match in found if match), None)
