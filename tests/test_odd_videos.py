"""Videos as cameras, phones and television make them: the frames that everyone reads are those of the plain clip."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from magictalk_core.config import MediaConfig
from magictalk_core.media.completeness import told_missing
from magictalk_core.media.container import PacketCount, open_media
from magictalk_core.media.decode import read_frames, timed_frames
from magictalk_core.media.deinterlace import comb_share
from magictalk_core.media.keyframes import chunk_starts
from magictalk_core.media.probe import probe
from magictalk_core.media.scan import Cut, scan_clip
from magictalk_core.media.speaker import speaker_pictures
from magictalk_core.media.standardize import standardize_clip
from magictalk_core.media.streams import video_stream
from magictalk_core.media.tone_map import high_range, to_standard_range
from magictalk_core.vocabulary.clips import Reason
from tests.media_fixtures import FakeDetector, ffmpeg, make_levels

FINE = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "8", "-pix_fmt", "yuv420p")
# Soft shapes that move, so that scaling and encoding cost little and a picture in the wrong place costs a lot.
SCENE = "testsrc2=size=320x240:rate=25:duration=1,gblur=sigma=2"
SWAYING = "testsrc2=size=420x240:rate=50:duration=1,gblur=sigma=2,crop=320:240:'50+40*sin(2*PI*t*2)':0"


def encoded(target: Path, *filters: str, scene: str = SCENE, options: tuple[str, ...] = FINE) -> Path:
    """The scene after `filters`, with a tone."""
    tone = ("-f", "lavfi", "-t", "1", "-i", "sine=frequency=300:sample_rate=48000")
    # Not as part of the source, which would lose the order of the fields.
    chain = ("-vf", ",".join(filters)) if filters else ()
    ffmpeg("-f", "lavfi", "-i", scene, *tone, *chain, *options, target)
    return target


def frames(path: Path) -> NDArray[np.int16]:
    return np.array(list(read_frames(path)), np.int16)


def difference(a: NDArray[np.int16], b: NDArray[np.int16]) -> float:
    assert a.shape == b.shape
    return float(np.abs(a - b).mean())


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return encoded(tmp_path / "plain.mp4")


SQUEEZED = {
    "wide pixels": (240, "240:240", "4/3", "a.mp4"),
    "tall pixels": (320, "320:180", "3/4", "a.mp4"),
    "matroska": (240, "240:240", "4/3", "a.mkv"),
    "transport stream": (240, "240:240", "4/3", "a.ts"),
    "of the coded pictures": (180, "180:240", "16/9", "a.mpg"),
}


@pytest.mark.parametrize("name", ["wide pixels", "tall pixels", "matroska", "transport stream"])
def test_pixels_become_square(name: str, tmp_path: Path) -> None:
    _, size, aspect, file = SQUEEZED[name]
    height = int(size.split(":")[1])
    squeezed = encoded(tmp_path / file, f"scale={size}", f"setsar={aspect}")
    reference = encoded(tmp_path / "ref.mp4", f"scale={4 * height // 3}:{height}", "setsar=1")
    assert difference(frames(squeezed), frames(reference)) < 3
    found = probe(squeezed)
    assert (found.width, found.height) == (4 * height // 3, height)
    assert f"pixels of {aspect.replace('/', ':')} made square" in found.remarks


def test_television_of_an_mpeg_file_has_square_pixels(tmp_path: Path) -> None:
    """MPEG-2 keeps the shape of the whole picture, 4:3 or 16:9, in the coded pictures only."""
    options = ("-c:v", "mpeg2video", "-q:v", "2", "-aspect", "16:9")
    wide = encoded(tmp_path / "a.mpg", "scale=360:288", options=options)
    assert frames(wide).shape[1:3] == (288, 512)
    assert difference(frames(wide), frames(encoded(tmp_path / "ref.mp4", "scale=512:288", "setsar=1"))) < 4


def test_every_reader_sees_the_same_square_pixels(tmp_path: Path) -> None:
    squeezed = encoded(tmp_path / "a.mp4", "scale=180:240", "setsar=16/9")
    row = standardize_clip(squeezed, None, None, None, tmp_path, "out", MediaConfig(size=64), lambda: FakeDetector(0.5))
    # A face of half the height in the middle of 320 x 240, times 1.9.
    assert (row["native_width"], row["native_height"]) == (320, 240)
    assert abs(row["crop_x"] + row["crop_size"] / 2 - 160) <= 1 and abs(row["crop_size"] - 228) <= 2
    assert row["detail"] == "pixels of 16:9 made square"
    scan = scan_clip(Cut(squeezed, None, None, 25, 8192), FakeDetector(0.5), 1.0, 100)
    assert (scan.width, scan.height) == (320, 240)
    shown = next(speaker_pictures(squeezed, 25, lambda: FakeDetector(0.5)))
    assert (shown.width, shown.height) == (320, 240)


def test_a_rotated_picture_of_wide_pixels_is_upright_and_square(tmp_path: Path) -> None:
    from tests.media_fixtures import mark_rotation

    mark_rotation(encoded(tmp_path / "a.mp4", "scale=180:240", "setsar=16/9"), 90, tmp_path / "b.mp4")
    reference = np.rot90(frames(encoded(tmp_path / "ref.mp4")), 1, axes=(1, 2))
    assert difference(frames(tmp_path / "b.mp4"), reference) < 3
    assert (probe(tmp_path / "b.mp4").width, probe(tmp_path / "b.mp4").height) == (240, 320)


def test_nearly_square_pixels_stay_as_they_are(plain: Path, tmp_path: Path) -> None:
    assert frames(encoded(tmp_path / "a.mp4", "setsar=4096/4095")).shape == frames(plain).shape
    with open_media(plain) as container:
        stream = video_stream(container)
        pictures = [timed.item for timed in timed_frames(container, stream)]
    with open_media(plain) as container:
        for mine, theirs in zip(pictures, container.decode(video=0), strict=True):
            np.testing.assert_array_equal(mine.to_ndarray(), theirs.to_ndarray())


INTERLACED = {
    "top field first": ("interlace=scan=tff:lowpass=0", (*FINE, "-x264opts", "tff=1", "-flags", "+ildct+ilme")),
    "bottom field first": ("interlace=scan=bff:lowpass=0", (*FINE, "-x264opts", "bff=1", "-flags", "+ildct+ilme")),
    "not flagged": ("interlace=scan=tff:lowpass=0,setfield=prog", FINE),
    "not flagged, bottom field first": ("interlace=scan=bff:lowpass=0,setfield=prog", FINE),
    "mpeg2": ("interlace=scan=tff:lowpass=0", ("-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ildct+ilme")),
    "ten bits": ("format=yuv422p10le,interlace=scan=tff:lowpass=0", ("-c:v", "ffv1", "-pix_fmt", "yuv422p10le")),
}


@pytest.mark.parametrize("name", INTERLACED)
def test_combs_are_removed(name: str, tmp_path: Path) -> None:
    filters, options = INTERLACED[name]
    combed = encoded(tmp_path / "a.mkv", filters, scene=SWAYING, options=options)
    mended = frames(combed)
    with open_media(combed) as container:
        count = PacketCount()
        assert len(list(timed_frames(container, video_stream(container), count=count))) == 25
        assert count.combed > 15
    encoded(tmp_path / "ref.mkv", scene=SWAYING)
    assert len(mended) == 25
    # Frame k holds the moments 2k and 2k + 1 of 50 a second; the first one is kept.
    assert difference(mended, frames_at_50(tmp_path / "ref.mkv")[::2]) < 4
    gray = np.array([cv2.cvtColor(m.astype(np.uint8), cv2.COLOR_RGB2GRAY) for m in mended], np.int16)
    zigzag = np.abs(gray[:, 1:-1] - (gray[:, :-2] + gray[:, 2:]) / 2).mean()
    assert zigzag < 3


def test_a_small_movement_of_a_still_scene_is_mended_and_stripes_that_stand_still_are_not(tmp_path: Path) -> None:
    """As a mouth in a face: 24 pixels that sway, beside stripes of single lines."""
    stripes = "nullsrc=size=320x240:rate=50:duration=1,geq=lum='128+60*mod(Y,2)':cb=128:cr=128"
    mouth = "color=white:size=24x24:rate=50:duration=1[m];[s][m]overlay=x='150+12*sin(2*PI*t*2)':y=100"
    still = "interlace=scan=tff:lowpass=0,setfield=prog"
    encoded(tmp_path / "still.mkv", still, scene=f"{stripes},drawbox=c=gray:t=fill:x=100:y=60:w=120:h=120")
    with open_media(tmp_path / "still.mkv") as container:
        pictures = list(container.decode(video=0))
    assert max(comb_share(now, before) for before, now in pairwise(pictures)) == 0
    scene = f"{stripes},drawbox=c=gray:t=fill:x=100:y=60:w=120:h=120[s];{mouth}"
    mended = frames(encoded(tmp_path / "a.mkv", still, scene=scene))
    encoded(tmp_path / "ref.mkv", scene=scene)
    around = np.s_[:, 90:140, 130:200]
    assert difference(mended[around], frames_at_50(tmp_path / "ref.mkv")[::2][around]) < 4


def frames_at_50(path: Path) -> NDArray[np.int16]:
    return np.array(list(read_frames(path, fps=50)), np.int16)


def test_progressive_pictures_have_no_combs(plain: Path) -> None:
    with open_media(plain) as container:
        pictures = list(container.decode(video=0))
    assert max(comb_share(now, before) for before, now in pairwise(pictures)) < 0.02
    assert probe(plain).remarks == ()


def hdr(target: Path, transfer: str, scene: str = SCENE) -> Path:
    """The scene as BT.2020 in 10 bits with the curve of `transfer`, its white at 203 cd/m2."""
    source = target.with_suffix(".sdr.mkv")
    encoded(source, scene=scene)
    light = np.arange(256) / 255
    light = np.where(light < 0.081, light / 4.5, ((light + 0.099) / 1.099) ** (1 / 0.45))
    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])

    def signal(linear: NDArray[np.float64]) -> NDArray[np.float64]:
        if transfer == "arib-std-b67":
            scene_light = linear * 0.265
            high = 0.17883277 * np.log(np.maximum(12 * scene_light - 0.28466892, 1e-6)) + 0.55991073
            return np.where(scene_light <= 1 / 12, np.sqrt(3 * np.maximum(scene_light, 0)), high)
        power = (np.maximum(linear, 0) * 203 / 10_000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375

    pictures = np.array(list(read_frames(source)))[:10]
    raw = (np.clip(signal(light[pictures] @ to_2020.T), 0, 1) * 65535).astype("<u2")
    target.with_suffix(".rgb").write_bytes(raw.tobytes())
    ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", "320x240", "-r", "25", "-i", target.with_suffix(".rgb")),
        *("-vf", "scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le", "-c:v", "libx265", "-crf", "8"),
        *("-preset", "ultrafast", "-x265-params"),
        f"log-level=error:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc",
        *("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", target),
    )
    return target


def saturation(pictures: NDArray[np.int16]) -> float:
    return float(np.mean([cv2.cvtColor(p.astype(np.uint8), cv2.COLOR_RGB2HSV)[..., 1].mean() for p in pictures]))


@pytest.mark.parametrize(("transfer", "name"), [("arib-std-b67", "HLG"), ("smpte2084", "PQ")])
def test_high_range_keeps_colours_and_brightness(transfer: str, name: str, tmp_path: Path) -> None:
    # As filmed: hardly anything is as bright as white paper.
    scene = f"{SCENE},lutrgb=r=val*0.8:g=val*0.8:b=val*0.8"
    made = hdr(tmp_path / "a.mov", transfer, scene)
    mapped, original = frames(made), frames(tmp_path / "a.sdr.mkv")[:10]
    assert difference(mapped, original) < 12
    assert saturation(mapped) == pytest.approx(saturation(original), rel=0.15)
    assert probe(made).remarks == (f"high dynamic range ({name}): brought to ordinary range",)


@pytest.mark.parametrize("curve", [16, 18])
def test_the_table_of_high_range_is_smooth_grey_for_grey_and_never_beyond_white(curve: int) -> None:
    grey = np.repeat(np.linspace(0, 1, 200)[:, None], 3, axis=1)
    mapped = to_standard_range(grey, curve)
    assert high_range(curve) is not None and high_range(1) is None
    assert (mapped >= 0).all() and (mapped <= 1).all() and (np.diff(mapped[:, 0]) > -1e-9).all()
    assert np.ptp(mapped, axis=1).max() < 0.005
    white = 0.75 if curve == 18 else 0.5807
    assert to_standard_range(np.full((1, 3), white), curve)[0, 0] == pytest.approx(0.93, abs=0.03)


def test_a_picture_that_changes_size_is_shown_at_the_first_size(plain: Path, tmp_path: Path) -> None:
    parts = [
        encoded(tmp_path / "1.ts"),
        encoded(tmp_path / "2.ts", "scale=480:360", options=(*FINE, "-output_ts_offset", "1")),
        encoded(tmp_path / "3.ts", "crop=320:120:0:60", options=(*FINE, "-output_ts_offset", "2")),
    ]
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    found, expected = frames(whole), frames(plain)
    assert found.shape == (75, *expected.shape[1:])
    assert difference(found[:25], expected) < 3 and difference(found[25:50], expected) < 4
    # Half as high: as wide as before, with black above and below, never squeezed.
    assert difference(found[50:, 62:178], expected[:, 62:178]) < 4 and found[50:, :56].max() < 25
    row = standardize_clip(whole, None, None, None, tmp_path, "out", MediaConfig(size=64), lambda: FakeDetector(0.5))
    assert (row["status"], row["n_frames"]) == ("ok", 75)


def test_a_cover_that_comes_first_is_not_the_video(plain: Path, tmp_path: Path) -> None:
    cover = tmp_path / "cover.jpg"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=800x800", "-frames:v", "1", cover)
    inputs = ("-i", cover, "-i", plain, "-map", "0:v", "-map", "1:v", "-map", "1:a", "-c", "copy")
    forms = {
        "attached.mp4": ("-disposition:v:0", "attached_pic"),
        "unmarked.mkv": ("-disposition:v:0", "0", "-disposition:v:1", "0"),
        "default.mkv": ("-disposition:v:0", "default", "-disposition:v:1", "0"),
        "unmarked.avi": (),
    }
    for name, options in forms.items():
        ffmpeg(*inputs, *options, tmp_path / name)
        found = probe(tmp_path / name)
        assert (found.width, found.height) == (320, 240), name
        assert any("taken (320x240, h264)" in remark for remark in found.remarks), name
        # An AVI of H.264 counts its frames from the first packet.
        assert len(frames(tmp_path / name)) in (25, 26), name


def test_of_several_videos_the_default_one_is_taken_then_the_largest(plain: Path, tmp_path: Path) -> None:
    small = encoded(tmp_path / "small.mp4", "scale=96:72", "setsar=1")
    inputs = ("-i", small, "-i", plain, "-map", "0:v", "-map", "1:v", "-c", "copy")
    ffmpeg(*inputs, "-disposition:v:0", "0", "-disposition:v:1", "0", tmp_path / "size.mkv")
    ffmpeg(*inputs, "-disposition:v:0", "default", "-disposition:v:1", "0", tmp_path / "default.mkv")
    assert probe(tmp_path / "size.mkv").width == 320 and probe(tmp_path / "default.mkv").width == 96
    for name, width in (("size.mkv", 320), ("default.mkv", 96)):
        assert frames(tmp_path / name).shape[2] == width
        assert next(speaker_pictures(tmp_path / name, 25, lambda: FakeDetector(0.5))).width == width
        assert scan_clip(Cut(tmp_path / name, None, None, 25, 8192), FakeDetector(0.5), 1.0, 99).width == width
        assert chunk_starts(tmp_path / name) == [0.0]


def test_an_unmarked_cover_beside_sound_is_no_video(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", "1", tmp_path / "cover.jpg")
    ffmpeg("-i", tmp_path / "cover.jpg", "-f", "lavfi", "-t", "1", "-i", "sine", "-c:v", "copy", tmp_path / "a.mov")
    assert not probe(tmp_path / "a.mov").has_video


def test_seconds_of_black_keep_their_place(tmp_path: Path) -> None:
    times = [k / 25 for k in range(75)]
    levels = [0] * 50 + [200] * 25
    found = [int(frame.mean()) for frame in read_frames(make_levels(tmp_path / "a.mp4", times, levels))]
    assert [level > 100 for level in found] == [False] * 50 + [True] * 25


@pytest.mark.parametrize("options", [["-c:v", "wmv2", "-b:v", "2M"], ["-c:v", "wmv2", "-b:v", "300k", "-an"]])
def test_what_is_missing_of_a_wmv_is_told(options: list[str], tmp_path: Path) -> None:
    """Its header says how long it plays; the library guesses, where the file has another size than it says."""
    whole, cut, sound = tmp_path / "a.wmv", tmp_path / "cut.wmv", ("-f", "lavfi", "-t", "4", "-i", "sine")
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=4", *sound, *options, whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    assert told_missing(whole, 4.0, PacketCount(100, 0)) == []
    found_s = len(frames(cut)) / 25
    (told,) = told_missing(cut, found_s, PacketCount(60, 0))
    assert (
        re.fullmatch(r"decoding stops at [\d.]+ s of (3\.9|4\.\d)\d s: the rest is missing", told) and 1 < found_s < 3.4
    )
    row = standardize_clip(cut, None, None, None, tmp_path, "a", MediaConfig(size=64), FakeDetector)
    assert row["reason"] == Reason.TRUNCATED


def test_what_is_missing_of_a_video_is_told(tmp_path: Path) -> None:
    whole = tmp_path / "a.mp4"
    encoded(whole, scene="testsrc2=size=320x240:rate=25:duration=4", options=(*FINE, "-movflags", "+faststart"))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    assert told_missing(whole, 4.0, PacketCount(100, 0)) == []
    found_s = len(frames(cut)) / 25
    (told,) = told_missing(cut, found_s, PacketCount(60, 0))
    assert told == f"decoding stops at {found_s:.2f} s of 4.00 s: the rest is missing" and 1.5 < found_s < 3
    assert told_missing(whole, 4.0, PacketCount(100, 3)) == ["3 of 100 video packets do not decode"]
