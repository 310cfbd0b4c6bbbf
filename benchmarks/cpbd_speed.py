"""CPBD against the package `cpbd-py312`: the same values, and how much faster.

    pip install --no-deps cpbd-py312     # into an environment of its own that sees the project's
    python benchmarks/cpbd_speed.py [--repeats 3]

The package must be importable where this runs; it is no dependency of the project. Pictures are the public-domain ones
of scikit-image at several sizes. Prints Markdown. Measured with cpbd-py312 1.0.3 on a busy two-core machine, eight
pictures: the values are equal to 1e-16; ours is 6 to 12 times as fast, 103 ms instead of 790 ms for 512 x 512 and 20 ms
instead of 240 ms for 256 x 256. What is left is Canny of scikit-image.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from magictalk_core.metrics.cpbd import cpbd
from magictalk_core.metrics.pictures import luminance


def _pictures() -> Iterator[tuple[str, NDArray[np.uint8]]]:
    astronaut = luminance(skimage.data.astronaut())
    yield "astronaut 512", astronaut
    yield "astronaut 256", np.asarray(cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    yield "astronaut 512, blurred", np.asarray(cv2.GaussianBlur(astronaut, (0, 0), 1.5), np.uint8)
    for name in ("camera", "coins", "moon"):
        yield name, np.asarray(getattr(skimage.data, name)(), np.uint8)


def _timed(
    score: Callable[[NDArray[np.uint8]], float], picture: NDArray[np.uint8], repeats: int
) -> tuple[float, float]:
    """The value, and the least CPU seconds of a call."""
    least, value = float("inf"), float("nan")
    for _ in range(repeats):
        began = time.process_time()
        value = float(score(picture))
        least = min(least, time.process_time() - began)
    return value, least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    import cpbd as package

    print("| picture | ours | package | difference | ours ms | package ms | times as fast |")
    print("|---|---|---|---|---|---|---|")
    for name, picture in _pictures():
        (ours, fast), (theirs, slow) = _timed(cpbd, picture, repeats), _timed(package.compute, picture, repeats)
        row = (
            f"{ours:.6f} | {theirs:.6f} | {ours - theirs:.1e} | {fast * 1e3:.0f} | {slow * 1e3:.0f} | {slow / fast:.1f}"
        )
        print(f"| {name} | {row} |")


if __name__ == "__main__":
    main()
