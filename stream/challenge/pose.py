"""Head pose from the landmarks of a face, by weak perspective on a head of average proportions.

Landmarks are in the picture's plane only. A rigid head, seen from far enough, puts its points at
`s * R * X + t`; with `X` known for some landmarks, the two rows of `s * R` are a least-squares
fit, and the closest pair of orthogonal rows of equal length says where the head points to.

Proportions are means of grown-ups, in millimetres, in a frame whose x goes to the picture's
right, y down and z towards the camera. Single faces differ, so angles are only used against the
same face's angles a moment ago.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from styleflow.faces.face import Points

_HEAD: dict[int, tuple[float, float, float]] = {
    33: (-45.0, -32.0, -8.0),  # outer corner of the eye on the picture's left
    133: (-16.0, -31.0, -3.0),  # its inner corner
    362: (16.0, -31.0, -3.0),
    263: (45.0, -32.0, -8.0),
    168: (0.0, -33.0, 9.0),  # bridge of the nose
    1: (0.0, 12.0, 33.0),  # tip of the nose
    2: (0.0, 20.0, 21.0),  # below it
    61: (-25.0, 44.0, 5.0),  # corners of the mouth
    291: (25.0, 44.0, 5.0),
    152: (0.0, 87.0, 2.0),  # chin
    10: (0.0, -82.0, 0.0),  # hairline
    234: (-70.0, -12.0, -65.0),  # before the ears
    454: (70.0, -12.0, -65.0),
}
_INDEX = list(_HEAD)
_MODEL = np.array(list(_HEAD.values())) - np.mean(list(_HEAD.values()), axis=0)
_SOLVE = np.linalg.pinv(_MODEL)
"""From centred landmarks `(13, 2)` to the transposed 3x2 of the fit."""

Matrix = NDArray[np.float64]


def head_pose(mesh: Points) -> tuple[float, float]:
    """Return turn and tilt of a head in degrees; both 0 when it faces the camera.

    Args:
        mesh: landmarks of FaceMesh in image pixels, `(468, 2)`.

    Returns:
        The turn, positive when the nose points to the picture's right, which is the person's left;
        and the tilt, positive when it points up.
    """
    seen = mesh[_INDEX]
    rows = (_SOLVE @ (seen - seen.mean(axis=0))).T
    left, stretch, right = np.linalg.svd(rows, full_matrices=False)
    if stretch[0] < 1e-9:
        return 0.0, 0.0
    across, down = left @ right
    towards = np.cross(across, down)
    turn = math.degrees(math.atan2(across[2], towards[2]))
    tilt = math.degrees(math.asin(min(max(-down[2], -1.0), 1.0)))
    return turn, tilt
