"""ARKit shapes as other tools spell and prefix them.

Read alike: Pascal case, snake case, upper case, blanks and hyphens between the words; `_L` and `_R` for the sides, also
in front; a prefix of mesh, node or number (`head_geo.jawOpen`, `blendShape1.jawOpen`, `A25_Jaw_Open`); a number behind
(`jawOpen.001`). A name that means something else (`mouthOpen`, `browInnerUp_L`, `viseme_aa`) is not taken for a shape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["match_halves", "match_shapes", "missing_shapes", "named_few"]

_BY_SPELLING = {name.lower(): name for name in ARKIT_NAMES}
_PART = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SIDES = {"l": "left", "lft": "left", "left": "left", "r": "right", "rgt": "right", "right": "right"}
_BEHIND = ("shape", "target")
"""Words that tools put behind a shape's name, besides numbers."""
_SHOWN = 12


def _words(name: str) -> tuple[list[str], list[bool]]:
    """Words in lower case, sides spelt out where they stand apart, and whether each begins a part of the name."""
    words: list[str] = []
    begins: list[bool] = []
    for part in _PART.findall(name):
        found = [word.lower() for word in _WORD.findall(part)]
        words += [_SIDES.get(word, word) for word in found]
        begins += [i == 0 or found[i - 1].isdigit() for i in range(len(found))]
    return words, begins


def _meaning(name: str) -> tuple[int, str] | None:
    """The shape that `name` means, and how far it is from the plain name: 0 only spelling, 1 something around it."""
    words, begins = _words(name)
    if plain := _BY_SPELLING.get("".join(words)):
        return 0, plain
    while words and (words[-1].isdigit() or words[-1] in _BEHIND):
        words.pop()
    for start in range(len(words)):
        side_in_front = start > 0 and words[start - 1] in ("left", "right")
        shape = _BY_SPELLING.get("".join(words[start:]))
        if shape and begins[start] and not side_in_front:
            return 1, shape
    sides = [i for i, word in enumerate(words) if word in ("left", "right")]
    if len(sides) == 1 and (
        shape := _BY_SPELLING.get("".join([*words[: sides[0]], *words[sides[0] + 1 :], words[sides[0]]]))
    ):
        return 1, shape
    return None


def match_shapes(names: Sequence[str]) -> dict[str, int]:
    """Place of every ARKit shape among `names`, in ARKIT_NAMES order. The plainest spelling wins.

    Raises `ValueError` where two names mean the same shape equally well.
    """
    best: dict[str, tuple[int, int]] = {}
    equal: dict[str, tuple[str, str]] = {}
    for i, name in enumerate(names):
        if (meaning := _meaning(name)) is None:
            continue
        distance, shape = meaning
        if shape not in best or distance < best[shape][0]:
            best[shape] = (distance, i)
            equal.pop(shape, None)
        elif distance == best[shape][0]:
            equal[shape] = (names[best[shape][1]], name)
    for shape, (first, second) in equal.items():
        raise ValueError(f"{first} and {second} both mean {shape}: rename or remove one")
    return {shape: best[shape][1] for shape in ARKIT_NAMES if shape in best}


def match_halves(names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Shapes without a side that `names` has as two halves, like `browInnerUp_L` and `browInnerUp_R` of ICT-FaceKit:
    their places, left and right. The shape is the sum of its halves."""
    found: dict[str, dict[str, int]] = {}
    for i, name in enumerate(names):
        words, _ = _words(name)
        if len(words) > 1 and words[-1] in ("left", "right"):
            shape = _BY_SPELLING.get("".join(words[:-1]))
            if shape is not None:
                found.setdefault(shape, {}).setdefault(words[-1], i)
    return {shape: (half["left"], half["right"]) for shape, half in found.items() if len(half) == 2}


def missing_shapes(found: dict[str, int]) -> list[str]:
    """ARKit shapes that are not in `found`."""
    return [shape for shape in ARKIT_NAMES if shape not in found]


def named_few(names: Sequence[str]) -> str:
    """`names` for a message of one line."""
    shown = ", ".join(" ".join(name.split()) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
