"""From the tracker's head angles to those that the estimator is to tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from magictalk_core.faces.head_pose import head_turns
from magictalk_core.models.facevid2vid.transform import RotationOrder

__all__ = ["angles_of_turns", "hopenet_angles"]

_IMAGE_AXES = np.diag([1.0, -1.0, -1.0])
"""From x right, y up, z towards the viewer to x right, y down, z away."""

_AXES_OF: dict[RotationOrder, list[int]] = {"pitch_yaw_roll": [0, 1, 2], "roll_pitch_yaw": [1, 2, 0]}
"""Where pitch, yaw and roll stand among the angles about x, y and z."""


def angles_of_turns(tracked: NDArray[np.floating], order: RotationOrder) -> NDArray[np.float32]:
    """(n, 3) pitch, yaw and roll of `vocabulary.arkit`, degrees, to those with which `transform.rotation` turns
    keypoints as the head is turned in the picture: what a training from chance is told."""
    turned = _IMAGE_AXES @ head_turns(tracked).as_matrix() @ _IMAGE_AXES
    about_xyz = Rotation.from_matrix(turned).as_euler("XYZ", degrees=True)
    return np.asarray(about_xyz[..., _AXES_OF[order]], np.float32)


def hopenet_angles(tracked: NDArray[np.floating]) -> NDArray[np.float32]:
    """The same heads in the angles of Hopenet, which taught the public weights: pitch upwards, yaw with the nose to the
    left of the picture, roll clockwise.

    With the field's matrices its pitch turns keypoints against the head, which the expression then undoes; weights that
    learned so must go on so. Source: the rotation matrices of 300W-LP, natanielruiz/deep-head-pose:code/utils.py.
    """
    return np.asarray(-head_turns(tracked).as_euler("XYZ", degrees=True), np.float32)
