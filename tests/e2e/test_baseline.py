"""A baseline put beside a running analyzer is compared with, until it does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stream.baseline.shelf import BaselineShelf
from styleflow.weights.checkpoint import shipped
from tests.support.baselines import baseline
from tests.support.server import Message, Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CONFIG = """
decision: {by: budget}
baseline: {folder: FOLDER}
streams: [{id: lobby, source: {url: "demo://authentic"}}]
"""


def test_a_running_analyzer_takes_one_in_and_falls_back_with_a_reason(
    tmp_path: Path,
) -> None:
    config, shelf = tmp_path / "config.yaml", BaselineShelf(tmp_path / "kept")
    config.write_text(CONFIG.replace("FOLDER", str(shelf.folder)))
    card = shipped().card
    found = baseline(detector=card.name, digest=card.sha256, days=36500)
    figures = found.statistics
    plain = replace(figures.conditions, sizes=(), brightness=None, sharpness=None, face_px=None)
    h264 = replace(plain, bits_per_pixel=None)

    def told(message: Message, state: str) -> bool:
        mark = message["data"].get("baseline") if message["type"] in ("score", "status") else None
        return mark is not None and mark["state"] == state

    with Server(config) as server, server.watching("lobby") as watcher:
        shelf.put(replace(found, statistics=replace(figures, conditions=h264)))
        active = watcher.wait(lambda m: m["type"] == "score" and told(m, "active"), "active")
        assert active["data"]["baseline"]["name"] == "Lobby"
        assert active["data"]["decision"] is not None
        vp8 = replace(h264, codecs=("vp8",))
        shelf.put(replace(found, statistics=replace(figures, conditions=vp8)))
        fallen = watcher.wait(lambda m: m["type"] == "status" and told(m, "changed"), "changed")
        said = "the video is h264 now, and the baseline is of vp8"
        assert fallen["data"]["baseline"]["reason"] == said
