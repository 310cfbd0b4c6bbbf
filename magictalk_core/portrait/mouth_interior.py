"""The inside of a portrait's mouth: cavity, tongue, lower teeth on the jaw, upper teeth on the skull, lips' shadow.

Everything lies behind the skin and shows through the opening of the lips alone. Places are centimetres of the rig,
measured from the middle of the closed lips.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.head_pose import rotation_of
from magictalk_core.portrait.layers import Atlas, Layer, grid_triangles
from magictalk_core.portrait.lip_points import INNER_LOWER, INNER_UPPER, MOUTH_LOOP
from magictalk_core.portrait.look import FIRST_LOOK, Look
from magictalk_core.portrait.palette import Palette
from magictalk_core.portrait.surface import PortraitSurface
from magictalk_core.portrait.teeth import LOWER_ROW, UPPER_ROW, ToothRow, draw_row, draw_tongue
from magictalk_core.rig.shapes import JAW_DEGREES, JAW_HINGE
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["MouthInterior"]

Points = NDArray[np.float64]

_COLUMNS = 29
_UPPER_EDGE_CM, _LOWER_EDGE_CM = -0.2, 0.02
"""Cutting edges below the line of the closed lips; the lower ones bite behind the upper ones."""
_UPPER_BACK_CM, _LOWER_BACK_CM, _TONGUE_BACK_CM = -0.7, -0.95, -1.5
_DEPTH_SEEN = 0.4
_SHADOW_CM = 0.36
_UPPER_SHADOW, _LOWER_SHADOW = 0.36, 0.3
_JAW = {name: ARKIT_NAMES.index(name) for name in ("jawOpen", "jawForward", "jawLeft", "jawRight")}


class MouthInterior:
    """Of one portrait; its textures are laid into `atlas`."""

    def __init__(self, surface: PortraitSurface, palette: Palette, atlas: Atlas, look: Look = FIRST_LOOK) -> None:
        self._surface, self._palette, self._look = surface, palette, look
        fine = min(2.0 * surface.scale, 56.0)
        self._white = atlas.white
        self._places = {
            "upper teeth": atlas.add(draw_row(UPPER_ROW, palette, fine)),
            "lower teeth": atlas.add(draw_row(LOWER_ROW, palette, fine)),
            "tongue": atlas.add(draw_tongue(palette, fine)),
        }
        self._centre = surface.face[[13, 14]].mean(axis=0)
        face_cm = surface.to_rig(surface.face - self._centre)
        self._hinge = JAW_HINGE - surface.rig_mouth
        # Teeth stand a little behind the lips, however thick these are.
        self._front = float(face_cm[[13, 14], 2].mean())
        # As wide as this person's mouth, within what jaws differ.
        own = float(np.ptp(face_cm[[61, 291], 0])) / surface.rig_mouth_width
        self._widen = float(np.clip(own, 0.85, 1.2))

    def layers(self, face: Points, row: NDArray[np.floating]) -> list[Layer]:
        """From back to front, for a face (468, 3) as moved, before the head turns, and its motion row (58,)."""
        jaw = self._jaw(row)
        return [
            self._cavity(face),
            self._tongue(jaw),
            self._teeth("lower teeth", LOWER_ROW, _LOWER_EDGE_CM, _LOWER_BACK_CM, jaw),
            self._teeth("upper teeth", UPPER_ROW, _UPPER_EDGE_CM, _UPPER_BACK_CM, None),
            self._shadow(face),
        ]

    def _jaw(self, row: NDArray[np.floating]) -> tuple[Points, Points]:
        """Turn about the hinge and shift of what is fixed to the lower jaw."""
        weight = {name: float(row[i]) for name, i in _JAW.items()}
        turn = rotation_of(JAW_DEGREES * float(np.clip(weight["jawOpen"], -0.02, 1.0)), 0, 0)
        aside = 0.75 * (weight["jawLeft"] - weight["jawRight"])
        return turn, np.array([aside, -0.05 * weight["jawForward"], 0.7 * weight["jawForward"]])

    def _moved(self, points: Points, jaw: tuple[Points, Points]) -> Points:
        turn, shift = jaw
        return np.asarray((points - self._hinge) @ turn.T + self._hinge + shift)

    def _place(self, points: Points) -> Points:
        """Centimetres from the middle of the lips to pixels.

        What lies deep in the mouth would be seen displaced in a face that looks aside or down, by as much as the fit
        of its pose is wrong: most of that depth is for the turns of the head alone.
        """
        middle = np.array([0.0, 0.0, self._front + _UPPER_BACK_CM])
        flat = points * [1, 1, _DEPTH_SEEN] - middle * _DEPTH_SEEN
        placed = self._surface.rig_direction(flat)
        placed[:, 2] = self._surface.rig_direction(points)[:, 2]
        return np.asarray(self._centre + placed)

    def _cavity(self, face: Points) -> Layer:
        rim = face[list(MOUTH_LOOP)]
        middle = rim.mean(axis=0)
        # A little larger than the hole, so that no seam shows at the lips.
        vertices = np.concatenate([middle + (rim - middle) * 1.06, middle[None]])
        n = len(MOUTH_LOOP)
        shade = np.ones((n + 1, 4))
        shade[:, :3] = self._palette.cavity / 255
        shade[n, :3] *= 0.5
        shade[:n, :3] *= self._look.rim_light
        triangles = np.array([(i, (i + 1) % n, n) for i in range(n)], np.int32)
        texture = np.repeat(self._white.at(0.5, 0.5), n + 1, axis=0)
        return Layer("cavity", vertices, texture, shade, triangles)

    def _teeth(self, name: str, row: ToothRow, edge: float, back: float, jaw: tuple[Points, Points] | None) -> Layer:
        angles = np.linspace(-row.reach, row.reach, _COLUMNS)
        x = row.half_width * self._widen * np.sin(angles)
        z = self._front + back - row.depth * (1 - np.cos(angles))
        length = float(row.arc(np.array([row.reach]))[0])
        u = row.arc(angles) / (2 * length) + 0.5
        sign = 1.0 if name == "upper teeth" else -1.0
        root = edge + sign * row.height
        points = np.concatenate([np.stack([x, np.full_like(x, y), z], axis=1) for y in (root, edge)])
        if jaw is not None:
            points = self._moved(points, jaw)
        texture = np.concatenate([self._places[name].at(u, v) for v in (0.0, 1.0)])
        # The arch runs into the dark of the cheeks.
        sides = self._look.side_light
        light = sides + (0.96 - sides) * np.cos(np.clip(angles * 1.12, -1.5, 1.5)) ** 1.6
        if jaw is not None:
            light = light * 0.86
        shade = np.ones((2 * _COLUMNS, 4))
        shade[:, :3] = np.tile(light, 2)[:, None]
        return Layer(name, self._place(points), texture, shade, grid_triangles(2, _COLUMNS))

    def _tongue(self, jaw: tuple[Points, Points]) -> Layer:
        s, a = np.meshgrid(np.linspace(0, 1, 5), np.linspace(-1, 1, 9), indexing="ij")
        x = 1.45 * self._widen * a * (0.85 + 0.15 * s)
        # From its back, high in the mouth, to the tip behind the lower teeth.
        y = _LOWER_EDGE_CM + 0.3 - 0.62 * s - 0.5 * a**2 * (1 - s)
        z = self._front + _TONGUE_BACK_CM - 1.6 * (1 - s)
        points = self._moved(np.stack([x, y, z], axis=-1).reshape(-1, 3), jaw)
        texture = self._places["tongue"].at((a + 1) / 2, s)
        shade = np.ones((s.size, 4))
        shade[:, :3] = 0.78
        return Layer("tongue", self._place(points), texture, shade, grid_triangles(5, 9))

    def _shadow(self, face: Points) -> Layer:
        """Darkness along the edges of the lips, which reaches further down from the upper one."""
        up, low = face[[78, *INNER_UPPER, 308]], face[[78, *INNER_LOWER, 308]]
        gap = np.linalg.norm(up - low, axis=1, keepdims=True)
        reach = np.minimum(0.5, _SHADOW_CM * self._surface.scale / np.maximum(gap, 1e-6))
        vertices = np.concatenate([up, up + (low - up) * reach, low + (up - low) * reach * 0.6, low])
        n = len(up)
        shade = np.zeros((4 * n, 4))
        shade[:n, 3], shade[3 * n :, 3] = _UPPER_SHADOW, _LOWER_SHADOW
        shade[:, :3] = self._palette.cavity / 255 * 0.5 * self._look.rim_light
        texture = np.repeat(self._white.at(0.5, 0.5), 4 * n, axis=0)
        return Layer("shadow", vertices, texture, shade, grid_triangles(4, n))
