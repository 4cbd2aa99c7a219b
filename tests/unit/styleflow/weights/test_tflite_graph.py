"""TFLite's sparse storage, written out by hand and unpacked again."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import tflite

from styleflow.weights import tflite_graph as tflite_weights
from styleflow.weights.tflite_graph import densify


@dataclass
class Dimension:
    """A dense dimension of a size, or a compressed one of segments and indices."""

    size: int = 0
    segments: list[int] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)

    def Format(self) -> int:  # noqa: N802 - the reader's own spelling
        kinds = tflite.DimensionType
        return int(kinds.SPARSE_CSR if self.segments else kinds.DENSE)

    def DenseSize(self) -> int:  # noqa: N802
        return self.size

    def ArraySegments(self) -> list[int]:  # noqa: N802
        return self.segments

    def ArrayIndices(self) -> list[int]:  # noqa: N802
        return self.indices

    def ArraySegmentsType(self) -> int:  # noqa: N802
        return 0

    def ArrayIndicesType(self) -> int:  # noqa: N802
        return 0


@dataclass
class Sparsity:
    """What a tensor says about how it is stored."""

    order: list[int]
    blocks: list[int]
    dimensions: list[Dimension]

    def TraversalOrderAsNumpy(self) -> np.ndarray:  # noqa: N802
        return np.array(self.order)

    def BlockMapLength(self) -> int:  # noqa: N802
        return len(self.blocks)

    def BlockMapAsNumpy(self) -> np.ndarray:  # noqa: N802
        return np.array(self.blocks)

    def DimMetadata(self, i: int) -> Dimension:  # noqa: N802
        return self.dimensions[i]


@pytest.fixture(autouse=True)
def _plain_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite_weights, "vector", lambda table, kind: np.array(table, np.int64))


def test_compressed_rows_are_unpacked() -> None:
    sparsity = Sparsity([0, 1], [], [Dimension(3), Dimension(0, [0, 2, 2, 3], [0, 3, 1])])
    dense = densify(np.array([5, 6, 7]), sparsity, (3, 4))
    assert dense.tolist() == [[5, 0, 0, 6], [0, 0, 0, 0], [0, 7, 0, 0]]


def test_traversal_order_may_turn_the_dimensions() -> None:
    sparsity = Sparsity([1, 0], [], [Dimension(2), Dimension(0, [0, 1, 2], [2, 0])])
    dense = densify(np.array([8, 9]), sparsity, (3, 2))
    assert dense.tolist() == [[0, 9], [0, 0], [8, 0]]


def test_blocks_go_where_their_corner_is() -> None:
    # A (2, 4) tensor in blocks of (1, 2): the one stored block is the right half of row 1.
    sparsity = Sparsity([0, 1, 2], [1], [Dimension(2), Dimension(0, [0, 0, 1], [1]), Dimension(2)])
    dense = densify(np.array([3, 4]), sparsity, (2, 4))
    assert dense.tolist() == [[0, 0, 0, 0], [0, 0, 3, 4]]
