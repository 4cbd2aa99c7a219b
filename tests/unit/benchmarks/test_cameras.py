"""Promises of the benchmarks' cameras: a repeated clip is one video whose time goes on."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from benchmarks.cameras import FPS, render, repeated


def _packets(path: Path) -> list[tuple[float, bytes, bool]]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert video.time_base is not None
        return [
            (float(unit.pts * video.time_base), bytes(unit), unit.is_keyframe)
            for unit in container.demux(video)
            if unit.size and unit.pts is not None
        ]


def test_a_repeated_clip_has_its_packets_and_no_gap(tmp_path: Path) -> None:
    clip = render(tmp_path / "clip.mp4", seconds=1.0, size=(64, 48))
    once, thrice = _packets(clip), _packets(repeated(clip, tmp_path / "camera.mp4", 3.0))
    assert [data for _, data, _ in thrice] == [data for _, data, _ in once] * 3
    assert thrice[len(once)][2]  # a turn begins with a keyframe
    assert np.allclose(np.diff([at for at, _, _ in thrice]), 1 / FPS)
