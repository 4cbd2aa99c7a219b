"""Packets become pictures in true colour; damage is counted and never ends the stream at once."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.decode import MAX_REFUSALS, Decoder, Picture
from stream.ingest.source import Packet, StreamFormat
from styleflow.pictures.rgb import to_rgb
from tests.support.media import encode, moving_pictures

COLOURS = [
    (250, 20, 30), (20, 240, 40), (30, 40, 250), (128, 128, 128),
    (255, 255, 255), (0, 0, 0), (200, 160, 140), (90, 60, 200),
]  # fmt: skip


def stripes(width: int, height: int) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        picture[:, i * width // 8 : (i + 1) * width // 8] = colour
    return picture


@pytest.mark.parametrize("size", [(320, 240), (318, 242), (321, 241), (94, 34)])
@pytest.mark.parametrize(
    ("form", "colour_range", "matrix"),
    [
        ("yuv420p", ColorRange.MPEG, None),
        ("yuv420p", ColorRange.MPEG, Colorspace.ITU709),
        ("yuv420p", ColorRange.JPEG, None),
        ("yuvj420p", ColorRange.JPEG, None),
        ("nv12", ColorRange.MPEG, None),
        ("nv12", ColorRange.JPEG, None),
        ("yuv420p10le", ColorRange.MPEG, Colorspace.ITU709),
        ("yuv422p", ColorRange.MPEG, None),
        ("yuv444p", ColorRange.JPEG, None),
    ],
)
def test_every_pixel_format_gives_the_same_colours(
    size: tuple[int, int], form: str, colour_range: ColorRange, matrix: Colorspace | None
) -> None:
    """Range, matrix, depth, planes, odd sizes and padded rows make no difference."""
    width, height = size
    frame = av.VideoFrame.from_ndarray(stripes(width, height), format="rgb24").reformat(
        format=form,
        dst_colorspace=matrix,
        src_color_range=ColorRange.JPEG,
        dst_color_range=colour_range,
    )
    rgb = to_rgb(frame)
    assert (rgb.shape, rgb.dtype) == ((height, width, 3), np.uint8)
    assert rgb.flags.c_contiguous
    middles = [rgb[height // 2, i * width // 8 + width // 16] for i in range(8)]
    np.testing.assert_allclose(np.array(middles, int), COLOURS, atol=4)


def packets(path: Path) -> Iterator[Packet]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        context = video.codec_context
        form = StreamFormat(context.name, context.width, context.height, context.extradata)
        for n, unit in enumerate(u for u in container.demux(video) if u.size):
            yield Packet(
                bytes(unit), unit.pts, unit.dts, unit.time_base, unit.is_keyframe, float(n), form
            )


def decode(decoder: Decoder, units: list[Packet]) -> list[Picture]:
    return [p for unit in units for p in decoder.decode(unit)] + decoder.flush()


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8"])
def test_a_decoder_apart_from_its_container_sees_what_was_filmed(
    tmp_path: Path, codec: str
) -> None:
    path = tmp_path / ("a.webm" if codec == "vp8" else "a.mp4")
    filmed = moving_pictures(30)
    units = list(packets(encode(path, filmed, codec, gop=10)))
    pictures = decode(Decoder(units[0].format), units)
    assert len(pictures) == 30
    assert [p.keyframe for p in pictures] == [n % 10 == 0 for n in range(30)]
    assert not any(p.damaged or p.corrupt for p in pictures)
    errors = [np.abs(p.rgb().astype(int) - f).mean() for p, f in zip(pictures, filmed, strict=True)]
    assert max(errors) < 16
    # A shift by one picture would cost more than the compression does.
    assert np.abs(pictures[0].rgb().astype(int) - filmed[15]).mean() > 2 * errors[0]


def test_reordered_pictures_keep_their_own_arrival(tmp_path: Path) -> None:
    units = list(packets(encode(tmp_path / "a.mp4", moving_pictures(24), b_frames=2)))
    pictures = decode(Decoder(units[0].format), units)
    stamps = [p.pts for p in pictures]
    assert stamps == sorted(u.pts for u in units if u.pts is not None)
    arrived = {u.pts: u.arrived for u in units}
    assert [p.arrived for p in pictures] == [arrived[p.pts] for p in pictures]
    assert [p.arrived for p in pictures] != sorted(p.arrived for p in pictures)


def spoil(unit: Packet) -> Packet:
    """Return a unit of the same length whose slices end in noise."""
    noise = np.random.default_rng(3).bytes(len(unit.data))
    keep = len(unit.data) // 3
    data = unit.data[:keep] + noise[keep:]
    return Packet(
        data, unit.pts, unit.dts, unit.time_base, unit.keyframe, unit.arrived, unit.format
    )


def test_a_spoilt_packet_is_counted_and_said_by_the_next_picture(tmp_path: Path) -> None:
    units = list(packets(encode(tmp_path / "a.mp4", moving_pictures(30), gop=30)))
    units[10] = spoil(units[10])
    decoder = Decoder(units[0].format)
    pictures = decode(decoder, units)
    assert decoder.refused >= 1
    assert pictures[-1].pts is not None
    dirty = [p.pts for p in pictures if p.damaged]
    assert dirty[0] == units[11].pts


def test_a_lossy_packet_makes_a_corrupt_picture(tmp_path: Path) -> None:
    units = list(packets(encode(tmp_path / "a.mp4", moving_pictures(5))))
    first = units[0]
    lossy = Packet(
        first.data, first.pts, first.dts, first.time_base, first.keyframe, 0.0, first.format,
        lossy=True,
    )  # fmt: skip
    pictures = decode(Decoder(first.format), [lossy, *units[1:]])
    assert [p.corrupt for p in pictures] == [True, False, False, False, False]


def test_a_long_run_of_refusals_is_an_error(tmp_path: Path) -> None:
    unit = next(packets(encode(tmp_path / "a.mp4", moving_pictures(1))))
    junk = Packet(b"\xff" * 40, 0, 0, Fraction(1, 25), True, 0.0, unit.format)
    decoder = Decoder(unit.format)
    for _ in range(MAX_REFUSALS):
        assert decoder.decode(junk) == []
    with pytest.raises(SourceError) as caught:
        decoder.decode(junk)
    assert caught.value.code is ReasonCode.CORRUPT


@pytest.mark.parametrize("codec", ["nonsense", "aac"])
def test_what_has_no_video_decoder_is_said_at_once(codec: str) -> None:
    with pytest.raises(SourceError) as caught:
        Decoder(StreamFormat(codec, 0, 0, None))
    assert caught.value.code is ReasonCode.CODEC
