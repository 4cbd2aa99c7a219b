"""One face in every colour that cameras write: it looks alike, and scores alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from cli.settings import Settings
from cli.wiring import pipeline
from stream.clock import ManualClock
from stream.ingest.decode import Decoder
from stream.ingest.demo_scene import Scene
from stream.ingest.file import FileSource
from stream.offline.replay import analyze
from styleflow.errors import WeightsMissing
from styleflow.faces.face import Image
from styleflow.pictures.rgb import to_rgb
from tests.support.path import from_file

NITS = 203.0
LUMA = {1: (0.2126, 0.0722), 2: (0.299, 0.114), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}
TO_2020 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], np.float32
)
Tags = tuple[ColorRange | int, int, int, int]

BT601: Tags = (ColorRange.MPEG, Colorspace.ITU601, 6, 6)
KINDS: dict[str, tuple[Tags, int]] = {
    "BT.601 full": ((ColorRange.JPEG, 5, 6, 6), 8),
    "BT.709 limited": ((ColorRange.MPEG, 1, 1, 1), 8),
    "BT.709 full": ((ColorRange.JPEG, 1, 1, 1), 8),
    "BT.709 10 bit": ((ColorRange.MPEG, 1, 1, 1), 10),
    "BT.2020 10 bit": ((ColorRange.MPEG, 9, 14, 9), 10),
    "HLG": ((ColorRange.MPEG, 9, 18, 9), 10),
    "PQ": ((ColorRange.MPEG, 9, 16, 9), 10),
    "PQ full": ((ColorRange.JPEG, 9, 16, 9), 10),
}


def pq(nits: np.ndarray) -> np.ndarray:
    y = (nits / 10_000) ** (2610 / 16384)
    raised = (3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)
    return np.asarray(raised ** (2523 / 4096 * 128))


def hlg(nits: np.ndarray) -> np.ndarray:
    luma = np.maximum(nits @ (0.2627, 0.6780, 0.0593), 1e-6)[..., None] / 1000
    scene = nits / 1000 * luma ** (-0.2 / 1.2)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    )


def filmed(picture: Image, tags: Tags, bits: int) -> av.VideoFrame:
    """Return a picture as a camera of this kind would store it."""
    colour_range, matrix, transfer, primaries = (int(tag) for tag in tags)
    code = picture / 255.0
    if primaries == ColorPrimaries.BT2020:
        light = cv2.transform((code**2.4).astype(np.float32), TO_2020).astype(np.float64)
        light = np.clip(light, 0.0, None)
        code = {16: lambda: pq(NITS * light), 18: lambda: hlg(NITS * light)}.get(
            transfer, lambda: light ** (1 / 2.4)
        )()
    red, blue = LUMA[matrix]
    luma = code @ (red, 1 - red - blue, blue)
    cb, cr = (code[..., 2] - luma) / (2 - 2 * blue), (code[..., 0] - luma) / (2 - 2 * red)
    step = 1 << (bits - 8)
    if colour_range == ColorRange.JPEG:
        top = (1 << bits) - 1
        planes = [luma * top, cb * top + 128 * step, cr * top + 128 * step]
    else:
        planes = [(16 + 219 * luma) * step, (128 + 224 * cb) * step, (128 + 224 * cr) * step]
    height, width = luma.shape
    half = (width // 2, height // 2)
    small = [cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in planes[1:]]
    kind = np.uint8 if bits == 8 else np.uint16
    frame = av.VideoFrame(width, height, "yuv420p" if bits == 8 else "yuv420p10le")
    for plane, values in zip(frame.planes, [planes[0], *small], strict=True):
        rows = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
        rows[:, : plane.width] = np.clip(np.rint(values), 0, (1 << bits) - 1)
        plane.update(rows.tobytes())
    frame.color_range, frame.colorspace = colour_range, matrix
    frame.color_trc, frame.color_primaries = transfer, primaries
    return frame


def film(path: Path, pictures: list[Image], tags: Tags, bits: int) -> Path:
    """Write pictures without loss: a codec spends fewer bits on what HDR writes as dark."""
    with av.open(str(path), "w") as container:
        # x265 in MP4 ends now and then with "not yet implemented" on such a single picture
        stream = container.add_stream("libx264", 25, options={"preset": "ultrafast", "qp": "0"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p" if bits == 8 else "yuv420p10le"
        context = stream.codec_context
        context.color_range, context.colorspace = int(tags[0]), tags[1]
        context.color_trc, context.color_primaries = tags[2], tags[3]
        for number, picture in enumerate(pictures):
            frame = filmed(picture, tags, bits)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module", params=[(640, 480), (320, 240)], ids=["190 px", "90 px"])
def faces(request: pytest.FixtureRequest) -> list[Image]:
    """Return pictures of a face of this many pixels."""
    scene = Scene(request.param, 25.0, 0)
    return [scene.authentic(index) for index in range(40)]


def decoded(path: Path) -> Image:
    """Return the first picture of a file."""
    packet = next(FileSource(from_file(path), ManualClock(), lambda _: False).packets())
    decoder = Decoder(packet.format)
    return next(iter([*decoder.decode(packet), *decoder.flush()])).rgb()


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_face_filmed_in_ten_bits_or_hdr_had_other_colours_than_in_sdr(
    faces: list[Image], kind: str, tmp_path: Path
) -> None:
    """Ten bits were two grey levels too dark, PQ was up to thirty off where skin meets hair."""
    tags, bits = KINDS[kind]
    plain = decoded(film(tmp_path / "plain.mp4", faces[:1], BT601, 8))
    seen = decoded(film(tmp_path / "kind.mp4", faces[:1], tags, bits))
    height, width = plain.shape[:2]
    face = np.s_[height * 15 // 100 : height * 85 // 100, width * 3 // 10 : width * 7 // 10]
    off = seen[face].astype(int) - plain[face].astype(int)
    assert np.abs(off).mean() < 0.8
    assert np.abs(off.mean(axis=(0, 1))).max() < 0.3
    assert np.abs(off).max() < 10


@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_what_is_brighter_than_white_is_rolled_off_and_not_cut(transfer: ColorTrc) -> None:
    ramp = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], 16, 0)
    frame = av.VideoFrame(256, 16, "yuv420p10le")
    frame.planes[0].update(
        np.pad(
            (64 + ramp[..., 0].astype(int) * 876 // 255).astype(np.uint16),
            ((0, 0), (0, frame.planes[0].line_size // 2 - 256)),
        ).tobytes()
    )
    for plane in frame.planes[1:]:
        plane.update(np.full(plane.buffer_size // 2, 512, np.uint16).tobytes())
    frame.color_range, frame.colorspace = ColorRange.MPEG, Colorspace.BT2020
    frame.color_trc, frame.color_primaries = transfer, ColorPrimaries.BT2020
    grey = to_rgb(frame)[8].astype(int)
    assert np.abs(grey - grey[:, :1]).max() <= 1
    assert (np.diff(grey[:, 0]) >= 0).all()
    assert grey[:, 0].min() <= 1
    assert grey[:, 0].max() >= 253


def test_colours_that_only_the_container_knows_are_not_lost(tmp_path: Path) -> None:
    """MPEG-4 Part 2 says nothing of its colours here; Matroska does."""
    picture = np.full((96, 128, 3), (200, 40, 60), np.uint8)
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_trc, context.color_primaries = ColorTrc.BT709, ColorPrimaries.BT709
        frame = filmed(picture, KINDS["BT.709 limited"][0], 8)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    packet = next(FileSource(from_file(path), ManualClock(), lambda _: False).packets())
    forms = (packet.format, replace(packet.format, colours=None))
    seen, guessed = (
        [*decoder.decode(packet), *decoder.flush()][0].rgb().astype(int)
        for decoder in map(Decoder, forms)
    )
    assert np.abs(seen - picture).mean() < np.abs(guessed - picture).mean() - 5


@pytest.fixture(scope="module")
def score_of() -> Callable[[Path], float]:
    settings, clock = Settings(), ManualClock()
    try:
        line = pipeline(settings, clock)
    except WeightsMissing as missing:
        pytest.skip(str(missing))
    line.device.prepare_thread()

    def score(path: Path) -> float:
        found = analyze(from_file(path), line, settings.engine, clock=clock).score
        assert found is not None
        return found

    return score


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_a_face_filmed_in_hdr_scores_as_it_does_in_sdr(
    faces: list[Image], score_of: Callable[[Path], float], tmp_path: Path
) -> None:
    plain = score_of(film(tmp_path / "plain.mp4", faces, BT601, 8))
    scores = {
        kind: score_of(film(tmp_path / f"{number}.mp4", faces, tags, bits))
        for number, (kind, (tags, bits)) in enumerate(KINDS.items())
    }
    assert scores == pytest.approx(dict.fromkeys(KINDS, plain), abs=0.02)
