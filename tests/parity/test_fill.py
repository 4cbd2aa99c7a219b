"""Stored outputs remember who looked at them, or `make parity` could not tell what is left out."""

from __future__ import annotations

import pytest

from tests.parity import fill


def test_what_no_test_asked_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "READ", set())
    stored = fill.reference("caddm", "parity_eval.npz")
    everything = fill.unread()
    assert "caddm/parity_eval.npz: score" in everything
    assert stored["score"].size
    assert fill.reference_shapes("caddm", "resnet34")
    gone = set(everything) - set(fill.unread())
    assert gone == {
        "caddm/parity_eval.npz: score",
        "caddm/keys_resnet34.json: every name and shape",
    }
