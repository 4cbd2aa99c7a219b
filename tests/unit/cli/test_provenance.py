"""What is said of the machine that a figure comes from."""

from __future__ import annotations

import pytest

from cli import provenance


@pytest.mark.parametrize(
    ("reason", "expected"), [(None, "NVDEC"), ("torch sees no CUDA device",) * 2]
)
def test_it_says_whether_a_gpu_decodes_and_why_not(
    monkeypatch: pytest.MonkeyPatch, reason: str | None, expected: str
) -> None:
    monkeypatch.setattr(provenance, "why_not", lambda: reason)
    assert provenance.hardware()["gpu_decoding"] == expected
