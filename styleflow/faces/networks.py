"""The two published face networks, written out: BlazeFace (full range) and FaceMesh.

Only layers live here: tensors in, tensors out. Cropping, decoding and geometry are `detect` and
`mesh`; where the weights come from is `styleflow.weights.face_networks`.

Both are chains of depthwise 3x3 and pointwise 1x1 convolutions whose batch normalisation is
already folded into the weights. Layers are declared in the order in which a depth-first walk from
the published graph's outputs meets them; the converter relies on it and checks every shape.

On CPUs that compute denormal numbers slowly, the thread that runs these networks should call
`torch.set_flush_denormal(True)` once; the setting is per thread, so it is the thread's owner who
decides.

Source: Bazarevsky et al., "BlazeFace" (2019), and Kartynnik et al., "Real-time Facial Surface
Geometry" (2019); layer tables read from the graphs in mediapipe 0.10.21 (Apache-2.0).
"""

from __future__ import annotations

from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Net = TypeVar("Net", bound=nn.Module)

INPUT_PX = 192
"""Side of the square picture that both networks take."""

DETECTOR_GRID = 48
"""BlazeFace answers on a grid of 48 x 48 cells, one candidate face per cell."""

MESH_POINTS = 468
"""Landmarks that FaceMesh places."""


def prepared(net: Net) -> Net:
    """Return the network ready for inference, its weights laid out channels last."""
    # torch's annotations of `Module.to` forget `memory_format`.
    net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


class PictureNet(nn.Module):
    """A network that is given pictures as they are: `(B, S, S, 3)` RGB uint8.

    Args:
        net: takes `(B, 3, S, S)` floats.
        scale: multiplies the pictures' bytes.
        shift: is added to them then.
    """

    def __init__(self, net: nn.Module, scale: float, shift: float) -> None:
        super().__init__()
        self.net = net
        prepared(self)
        self.scale = scale
        self.shift = shift

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the network's answers for pictures, `(B, S, S, 3)` uint8."""
        x = pictures.permute(0, 3, 1, 2).float()  # a channels_last view
        return cast("tuple[Tensor, Tensor]", self.net(x * self.scale + self.shift))

    def extra_repr(self) -> str:
        """Return what distinguishes two of these round one network."""
        return f"scale={self.scale}, shift={self.shift}"


class Separable(nn.Module):
    """A depthwise 3x3 followed by a pointwise 1x1 convolution, without an activation."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, padding: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding, groups=inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, H / stride, W / stride)`."""
        return cast(Tensor, self.pointwise(self.depthwise(x)))


class DoubleBlaze(nn.Module):
    """Two separable convolutions with a bottleneck between them, plus the input where it fits."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.squeeze = Separable(inputs, middle, stride)
        self.expand = Separable(middle, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, H / stride, W / stride)`, rectified."""
        y = self.expand(functional.relu(self.squeeze(x)))
        return functional.relu(x + y if self.residual else y)


def _stage(inputs: int, middle: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    first = DoubleBlaze(inputs, middle, outputs, stride)
    return nn.Sequential(first, *(DoubleBlaze(outputs, middle, outputs) for _ in range(blocks - 1)))


class DetectorHead(nn.Module):
    """Per-cell answers: a 1x1, a depthwise stride 2, then depth laid out in space."""

    def __init__(self, inputs: int, values: int) -> None:
        super().__init__()
        self.values = values
        self.point = nn.Conv2d(inputs, 4 * values, 1)
        self.spread = nn.Conv2d(4 * values, 4 * values, 3, 2, 1, groups=4 * values)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, 48, 48)` to `(B, 2304, values)`, cells in reading order."""
        y = self.spread(self.point(x))  # (B, 4 * values, 24, 24)
        B, _, h, w = y.shape
        y = y.reshape(B, 2, 2, self.values, h, w).permute(0, 4, 1, 5, 2, 3)  # (B, h, 2, w, 2, v)
        return cast(Tensor, y.reshape(B, 4 * h * w, self.values))


class BlazeFaceNet(nn.Module):
    """Full-range BlazeFace: an encoder to 6x6 and a pyramid back up to 48x48."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1)
        self.stage96 = _stage(32, 8, 32, blocks=2, stride=1)
        self.stage48 = _stage(32, 16, 64, blocks=3, stride=2)
        self.lateral48 = nn.Conv2d(64, 48, 1)
        self.stage24 = _stage(64, 32, 128, blocks=3, stride=2)
        self.lateral24 = nn.Conv2d(128, 64, 1)
        self.stage12 = _stage(128, 48, 192, blocks=3, stride=2)
        self.lateral12 = nn.Conv2d(192, 96, 1)
        self.stage6 = _stage(192, 96, 384, blocks=4, stride=2)
        self.top = nn.Conv2d(384, 96, 1)
        self.merge12 = _stage(96, 48, 96, blocks=2, stride=1)
        self.reduce12 = nn.Conv2d(96, 64, 1)
        self.merge24 = _stage(64, 32, 64, blocks=2, stride=1)
        self.reduce24 = nn.Conv2d(64, 48, 1)
        self.merge48 = _stage(48, 24, 48, blocks=1, stride=1)
        self.boxes = DetectorHead(48, 16)
        self.scores = DetectorHead(48, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores of faces.

        Args:
            x: RGB pictures, `(B, 3, 192, 192)` in [-1, 1].

        Returns:
            Boxes `(B, 2304, 16)`: centre x, y, width, height and six points (x, y), in input
            pixels relative to the cell's middle; and confidence logits `(B, 2304)`.
        """
        x48 = self.stage48(self.stage96(functional.relu(self.stem(x))))
        x24 = self.stage24(x48)
        x12 = self.stage12(x24)
        y = functional.relu(self.top(self.stage6(x12)))
        y = functional.relu(
            self.reduce12(self.merge12(_double(y) + functional.relu(self.lateral12(x12))))
        )
        y = functional.relu(
            self.reduce24(self.merge24(_double(y) + functional.relu(self.lateral24(x24))))
        )
        y = self.merge48(_double(y) + functional.relu(self.lateral48(x48)))
        return self.boxes(y), self.scores(y)[..., 0]


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class MeshBlock(nn.Module):
    """A separable convolution beside a shortcut; the shortcut pools and zero-fills where needed."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.extra = outputs - inputs
        self.convolve = Separable(inputs, outputs, stride, padding=1 if stride == 1 else 0)
        self.activate = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` to `(B, outputs, H / stride, W / stride)`."""
        if self.stride == 1:
            return cast(Tensor, self.activate(x + self.convolve(x)))
        shortcut = functional.max_pool2d(x, 2)
        if self.extra:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.extra))
        return cast(Tensor, self.activate(shortcut + self.convolve(_pad_after(x))))


def _pad_after(x: Tensor) -> Tensor:
    """Pad below and to the right by one: how the published graph halves even sizes."""
    return functional.pad(x, (0, 1, 0, 1))


class MeshHead(nn.Module):
    """From the trunk's 6x6 to `values` numbers."""

    def __init__(self, values: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            MeshBlock(128, 128, stride=2), *(MeshBlock(128, 128) for _ in range(blocks))
        )
        self.reduce = nn.Conv2d(128, 32, 1)
        self.activate = nn.PReLU(32)
        self.refine = MeshBlock(32, 32)
        self.values = nn.Conv2d(32, values, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, 128, 6, 6)` to `(B, values)`."""
        y = self.refine(self.activate(self.reduce(self.blocks(x))))
        return cast(Tensor, self.values(y)).flatten(1)


class FaceMeshNet(nn.Module):
    """FaceMesh: 468 landmarks of one cropped face, and whether there is a face at all."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2)
        self.activate = nn.PReLU(16)
        widths = ((16, 32), (32, 64), (64, 128), (128, 128))
        self.trunk = nn.Sequential(
            MeshBlock(16, 16),
            MeshBlock(16, 16),
            *(
                block
                for inputs, outputs in widths
                for block in (
                    MeshBlock(inputs, outputs, stride=2),
                    MeshBlock(outputs, outputs),
                    MeshBlock(outputs, outputs),
                )
            ),
        )
        self.landmarks = MeshHead(3 * MESH_POINTS, blocks=2)
        self.presence = MeshHead(1, blocks=0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Place the landmarks of a face.

        Args:
            x: RGB crops, `(B, 3, 192, 192)` in [0, 1], the face upright and about two thirds wide.

        Returns:
            Landmarks (x, y, z) in crop pixels, `(B, 468, 3)`, and presence logits, `(B,)`.
        """
        y = self.trunk(self.activate(self.stem(_pad_after(x))))
        return self.landmarks(y).unflatten(1, (MESH_POINTS, 3)), self.presence(y)[:, 0]
