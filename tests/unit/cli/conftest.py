"""What every test of a command shares."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def plain_arithmetic() -> Iterator[None]:
    """Undo what `analyze` did to its thread: other tests expect subnormal numbers."""
    yield
    torch.set_flush_denormal(False)
