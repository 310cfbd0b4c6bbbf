from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.media.crop import CropBox, apply_crop, face_crop, follow_speaker
from tests.media_fixtures import FakeBox

boxes_in = st.tuples(st.floats(0, 0.8), st.floats(0, 0.8), st.floats(0.05, 0.2), st.floats(0.05, 0.2))


@given(st.integers(64, 2000), st.integers(64, 2000), st.lists(boxes_in, min_size=1, max_size=5), st.floats(1.0, 3.0))
def test_a_crop_is_even_holds_the_faces_and_stays_inside(
    width: int, height: int, shares: list[tuple[float, float, float, float]], scale: float
) -> None:
    boxes = [FakeBox(x * width, y * height, w * width, h * height) for x, y, w, h in shares]
    crop = face_crop(boxes, width, height, scale)
    assert crop.size % 2 == 0
    for box in boxes:
        assert crop.x - 3 <= box.x and box.x + box.width <= crop.x + crop.size + 3
        assert crop.y - 3 <= box.y and box.y + box.height <= crop.y + crop.size + 3
    for start, length in ((crop.x, width), (crop.y, height)):
        if crop.size <= length:
            assert 0 <= start and start + crop.size <= length
        else:
            assert start <= 0 and start + crop.size >= length


def test_a_picture_that_is_all_face_is_taken_whole() -> None:
    assert face_crop([FakeBox(40, 30, 180, 180)], 256, 256, 1.9) == CropBox(0, 0, 256)
    assert face_crop([FakeBox(20, 20, 180, 180)], 251, 251, 1.9).size == 250


def test_a_face_as_wide_as_the_picture_is_padded_not_cut() -> None:
    crop = face_crop([FakeBox(0, 60, 120, 200)], 120, 320, 1.9)
    assert crop.size == 260 and crop.x == -70
    rgb = np.tile(np.arange(120, dtype=np.uint8)[None, :, None], (320, 1, 3))
    part = apply_crop(rgb, crop, 260)
    assert part.shape == (260, 260, 3)
    assert (part[:, :70] == 0).all() and (part[:, 190:] == 119).all() and (part[:, 70:190] == rgb[:260]).all()


def test_the_speaker_is_followed_past_a_second_person_and_gaps() -> None:
    speaker = [FakeBox(100 + 4 * i, 100, 80, 80, 0.9) for i in range(10)]
    other = FakeBox(400, 100, 60, 60, 0.95)
    seen = [[other, box] if i % 2 else [box, other] for i, box in enumerate(speaker)]
    seen[4] = [other]
    found = follow_speaker(seen)
    assert found == [*speaker[:4], None, *speaker[5:]]
    assert follow_speaker([[], []]) == [None, None]
