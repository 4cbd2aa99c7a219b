"""FaceMesh: 468 landmarks of faces whose positions are roughly known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from styleflow.faces.device_picture import Pixels, stacked, warped
from styleflow.faces.face import Box, Face, Image, Points
from styleflow.faces.networks import INPUT_PX, FaceMeshNet, PictureNet
from styleflow.runtime import accelerated
from styleflow.runtime_settings import RuntimeSettings

_REGION = 1.5  # side of the crop over the longer side of the face, as the network was trained

# Which landmarks make the five points. Eye corners and not lids, so that a blink moves nothing.
# Each is the middle of two; a corner of the mouth is its own neighbour.
_FIVE = ((33, 362, 1, 61, 291), (133, 263, 4, 61, 291))


class FaceMesh:
    """468 landmarks per face, several faces in one pass.

    Args:
        net: the network with its weights, on the device where it shall run.
        runtime: what runs the network; PyTorch when None.
    """

    def __init__(self, net: FaceMeshNet, runtime: RuntimeSettings | None = None) -> None:
        pictures = PictureNet(net, 1 / 255.0, 0.0)
        self._net = pictures if runtime is None else accelerated(pictures, runtime)
        self._device = next(net.parameters()).device

    def refine(self, image: Pixels, faces: Sequence[Face]) -> tuple[tuple[Face, float], ...]:
        """Return every face with its landmarks, and how sure the mesh is that it is a face.

        The new box is the upright rectangle round the landmarks, the new five points are theirs;
        confidence remains the detector's.

        Args:
            image: `(H, W, 3)` RGB uint8.
            faces: roughly where they are, from a detector or from the previous frame.

        Returns:
            One pair per face, in order: the face, and its presence in [0, 1].
        """
        return self.refine_all([(image, faces)])[0]

    def refine_all(
        self, pictures: Sequence[tuple[Pixels, Sequence[Face]]]
    ) -> list[tuple[tuple[Face, float], ...]]:
        """Return what `refine` says of each picture and its faces; one pass of the network."""
        regions = [[_region(face) for face in faces] for _, faces in pictures]
        crops = [
            _crop(image, region)
            for (image, _), wanted in zip(pictures, regions, strict=True)
            for region in wanted
        ]
        if not crops:
            return [()] * len(pictures)
        landmarks, presence = self._infer(stacked(crops, self._device))
        placed = iter(range(len(crops)))
        return [
            tuple(
                (_face(face, _to_image(landmarks[i], region)), float(presence[i]))
                for face, region, i in zip(faces, wanted, islice(placed, len(wanted)), strict=True)
            )
            for (_, faces), wanted in zip(pictures, regions, strict=True)
        ]

    def infer(self, crops: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the network's landmarks, `(N, 468, 2)` px of the crop, and presence, `(N,)`.

        Args:
            crops: `(N, INPUT_PX, INPUT_PX, 3)` RGB uint8.
        """
        return self._infer(torch.from_numpy(crops).to(self._device))

    @torch.inference_mode()
    def _infer(self, crops: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        landmarks, logits = self._net(crops)
        xy = landmarks[..., :2].double().cpu().numpy()
        return xy, torch.sigmoid(logits.double()).cpu().numpy()


def five_points(mesh: Points) -> Points:
    """Return the five points of a mesh, `(5, 2)`."""
    one, other = _FIVE
    return np.asarray((mesh[list(one)] + mesh[list(other)]) / 2)


def _region(face: Face) -> NDArray[np.float64]:
    """Return the 2x3 map from crop pixels to image pixels that puts the face upright."""
    across = face.points[1] - face.points[0]
    roll = math.atan2(float(across[1]), float(across[0]))
    if not math.isfinite(roll):
        roll = 0.0
    cos, sin = math.cos(roll), math.sin(roll)
    centre, side = _extent(face, np.array([[cos, sin], [-sin, cos]]))
    a = _REGION * max(side, 1.0) / INPUT_PX
    turn = a * np.array([[cos, -sin], [sin, cos]])
    middle = (INPUT_PX - 1) / 2
    shift = centre - turn @ np.array([middle, middle])
    return np.column_stack([turn, shift])


def _extent(face: Face, upright: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return centre and longer side of a face; of its landmarks in its own frame where it can."""
    if face.mesh is None:
        return np.array(face.box.centre), max(face.box.width, face.box.height)
    turned = face.mesh @ upright.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    return upright.T @ ((low + high) / 2), float((high - low).max())


def _crop(image: Pixels, region: NDArray[np.float64]) -> Pixels:
    return warped(image, region, (INPUT_PX, INPUT_PX), inverse=True)


def _to_image(landmarks: NDArray[np.float64], region: NDArray[np.float64]) -> Points:
    # The network counts from pixel edges, warps count from pixel centres: hence the half.
    return np.asarray((landmarks - 0.5) @ region[:, :2].T + region[:, 2])


def _face(face: Face, mesh: Points) -> Face:
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    box = Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Face(box, five_points(mesh), face.confidence, mesh)
