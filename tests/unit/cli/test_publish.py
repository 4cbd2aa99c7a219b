"""A published file is seen as it is meant to, though a call says nothing of it beside."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from cli.publish import ClipTrack
from stream.clock import SystemClock
from styleflow.data.video import read_frames
from styleflow.pictures.rgb import to_rgb

ONE = 1 << 16


def say(stream: av.VideoStream, what: str) -> None:
    context = stream.codec_context
    match what:
        case "mirrored":
            stream.set_display_matrix([-ONE, 0, 0, 0, ONE, 0, 96 << 16, 0, 1 << 30])
        case "turned":
            stream.set_display_rotation(90)
        case "wide pixels":
            context.sample_aspect_ratio = Fraction(64, 45)
        case "BT.709":
            context.color_range, context.colorspace = ColorRange.MPEG, 1
        case "full range":
            context.color_range, context.colorspace = ColorRange.JPEG, 5
        case "PQ":
            stream.pix_fmt = "yuv420p10le"
            context.color_range, context.colorspace = ColorRange.MPEG, 9
            context.color_trc, context.color_primaries = 16, 9


@pytest.mark.parametrize(
    "what", ["nothing", "mirrored", "turned", "wide pixels", "BT.709", "full range", "PQ"]
)
async def test_a_published_file_was_sent_lying_squeezed_or_in_wrong_colours(
    tmp_path: Path, what: str
) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        say(stream, what)
        colours = np.random.default_rng(0).integers(60, 190, (4, 6, 3), np.uint8)
        picture = colours.repeat(16, 0).repeat(16, 1)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    sent = (await ClipTrack(path, SystemClock()).recv()).reformat(format="yuv420p")
    sent.color_range, sent.colorspace = ColorRange.MPEG, 2  # VP8 says nothing of its colours
    sent.color_trc, sent.color_primaries = 2, 2
    seen = to_rgb(sent).astype(int)
    meant = read_frames(path, 1)[0].astype(int)[: seen.shape[0], : seen.shape[1]]
    assert seen.shape == meant.shape
    assert np.abs(seen - meant).mean() < 3
    assert sent.width % 2 == sent.height % 2 == 0
