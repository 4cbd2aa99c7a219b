"""Live video and training see the same pictures of a file, whatever it says of how they lie."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from stream.clock import ManualClock
from stream.ingest.decode import Decoder
from stream.ingest.file import FileSource
from styleflow.data.video import stream_pictures
from styleflow.faces.face import Image
from tests.support.path import from_file

ONE = 1 << 16
SIZE = (96, 64)
Say = Callable[[av.VideoStream], object]


def mirrored(stream: av.VideoStream) -> None:
    stream.set_display_matrix([-ONE, 0, 0, 0, ONE, 0, SIZE[0] << 16, 0, 1 << 30])


def turned(stream: av.VideoStream) -> None:
    stream.set_display_rotation(90)


def wide_pixels(stream: av.VideoStream) -> None:
    stream.codec_context.sample_aspect_ratio = Fraction(64, 45)


def coloured(matrix: int, transfer: int, primaries: int, colour_range: int) -> Say:
    def say(stream: av.VideoStream) -> None:
        context = stream.codec_context
        context.color_range, context.colorspace = colour_range, matrix
        context.color_trc, context.color_primaries = transfer, primaries

    return say


LIMITED, FULL = int(ColorRange.MPEG), int(ColorRange.JPEG)
SAID: dict[str, tuple[Say, str, tuple[int, int]]] = {
    "nothing": (lambda _: None, "yuv420p", SIZE),
    "mirrored": (mirrored, "yuv420p", SIZE),
    "turned": (turned, "yuv420p", SIZE[::-1]),
    "wide pixels": (wide_pixels, "yuv420p", (137, 64)),
    "BT.709": (coloured(1, 1, 1, LIMITED), "yuv420p", SIZE),
    "full range": (coloured(5, 6, 6, FULL), "yuv420p", SIZE),
    "PQ": (coloured(9, 16, 9, LIMITED), "yuv420p10le", SIZE),
    "HLG": (coloured(9, 18, 9, LIMITED), "yuv420p10le", SIZE),
}


def film(path: Path, say: Say, form: str) -> Path:
    """Write five pictures that no turn and no mirror leaves as they are."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265" if "10" in form else "libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        (stream.width, stream.height), stream.pix_fmt = SIZE, form
        stream.options = {"x265-params": "log-level=none:pools=1:frame-threads=1"}
        say(stream)
        rng = np.random.default_rng(0)
        for number in range(5):
            small = rng.integers(0, 255, (8, 12, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(small.repeat(8, 0).repeat(8, 1), "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def live(path: Path) -> Iterator[Image]:
    """Yield the pictures of a file as live video sees them."""
    decoder: Decoder | None = None
    packets = FileSource(from_file(path), ManualClock(), lambda _: False).packets()
    for packet in itertools.islice(packets, 5):
        decoder = decoder or Decoder(packet.format, complete=True)
        yield from (picture.rgb() for picture in decoder.decode(packet))
    assert decoder is not None
    yield from (picture.rgb() for picture in decoder.flush())


@pytest.mark.parametrize("said", SAID)
def test_training_saw_mirrored_squeezed_and_hdr_pictures_otherwise_than_live(
    tmp_path: Path, said: str
) -> None:
    say, form, size = SAID[said]
    path = film(tmp_path / "a.mp4", say, form)
    trained = [picture for _, picture in stream_pictures(path)]
    lived = list(live(path))
    assert len(trained) == len(lived) == 5
    assert trained[0].shape == (size[1], size[0], 3)
    assert all(np.array_equal(one, two) for one, two in zip(trained, lived, strict=True))
