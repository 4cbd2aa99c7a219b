"""Planes become the same RGB as in memory, whatever their format, range, matrix and size."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

from styleflow.faces.device_picture import DevicePicture
from styleflow.pictures.planes import Planes, in_memory, on_device
from styleflow.pictures.rgb import is_common
from styleflow.pictures.seen import as_seen
from styleflow.pictures.upright import Orientation
from tests.support.media import encode, moving_pictures

UPRIGHT = Orientation()
MATRICES = (2, 1, 7, 4)  # unspecified, BT.709, SMPTE 240M, FCC
RANGES = (ColorRange.MPEG, ColorRange.JPEG)


def noise(form: str, width: int, height: int, seed: int = 3) -> av.VideoFrame:
    """Return a frame whose samples take every value, also those beyond the range."""
    rng = np.random.default_rng(seed)
    frame = av.VideoFrame(width, height, form)
    for plane in frame.planes:
        if "10le" in form:
            samples = rng.integers(0, 1 << 10, plane.buffer_size // 2).astype("<u2")
            samples = samples << (6 if form == "p010le" else 0)
        else:
            samples = rng.integers(0, 256, plane.buffer_size).astype(np.uint8)
        plane.update(samples.tobytes())
    return frame


def apart(frame: av.VideoFrame, lies: Orientation = UPRIGHT, aspect: Fraction | None = None) -> int:
    """Return by how many grey levels the device's picture differs at most."""
    picture = on_device(frame, lies, aspect, "cpu")
    seen = as_seen(frame, lies, aspect)
    assert picture.shape == seen.shape
    return int(np.abs(picture.host().astype(int) - seen).max())


@pytest.mark.parametrize("form", ["yuv420p", "nv12"])
def test_the_common_case_is_equal_to_the_last_bit(form: str) -> None:
    frame = noise(form, 322, 242)
    assert is_common(frame)
    assert apart(frame) == 0


@pytest.mark.parametrize("size", [(320, 240), (321, 241), (33, 18)])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("colour_range", RANGES)
@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_every_range_and_matrix_is_heeded(
    form: str, colour_range: ColorRange, matrix: int, size: tuple[int, int]
) -> None:
    frame = noise(form, *size)
    frame.color_range, frame.colorspace = colour_range, matrix
    assert apart(frame) <= 1


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("colour_range", RANGES)
@pytest.mark.parametrize("form", ["nv12", "p010le"])
def test_what_nvdec_delivers_is_heeded_too(
    form: str, colour_range: ColorRange, matrix: int
) -> None:
    frame = noise(form, 320, 240)
    frame.color_range, frame.colorspace = colour_range, matrix
    assert apart(frame) <= 1


def test_an_odd_nv12_picture_lacks_only_its_last_colours() -> None:
    """DLPack leaves the last column and row of chroma out; all before them is as in memory."""
    frame = noise("nv12", 321, 241)
    found = on_device(frame, UPRIGHT, None, "cpu").host()
    expected = as_seen(frame, UPRIGHT, None)
    assert found.shape == expected.shape
    assert np.abs(found[:240, :320].astype(int) - expected[:240, :320]).max() <= 1
    assert np.isfinite(found).all()


def test_planes_are_taken_without_a_copy() -> None:
    frame = noise("yuv420p", 64, 48)
    planes = Planes.of(frame)
    assert planes is not None
    before = int(planes.luma[0, 0])
    frame.planes[0].update(bytes([255 - before]) * frame.planes[0].buffer_size)
    assert int(planes.luma[0, 0]) == 255 - before


def test_planes_outlive_their_frame() -> None:
    planes = Planes.of(noise("yuv420p", 64, 48))
    assert planes is not None
    expected = on_device(noise("yuv420p", 64, 48), UPRIGHT, None, "cpu")
    assert torch.equal(planes.rgb(), expected.pixels())


@pytest.mark.parametrize("form", ["rgb24", "gray", "yuyv422"])
def test_other_formats_are_converted_in_memory_and_sent(form: str) -> None:
    frame = noise(form, 64, 48)
    assert Planes.of(frame) is None or form == "gray"
    assert apart(frame) == 0


def test_hdr_is_converted_in_memory_and_sent() -> None:
    frame = noise("yuv420p10le", 64, 48)
    frame.color_primaries, frame.color_trc = ColorPrimaries.BT2020, ColorTrc.SMPTE2084
    assert apart(frame) == 0


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_pictures_are_laid_upright(turns: int, mirrored: bool) -> None:
    assert apart(noise("yuv420p", 322, 242), Orientation(mirrored, turns)) == 0


@pytest.mark.parametrize("aspect", [Fraction(16, 11), Fraction(3, 4), Fraction(1, 1), Fraction(0)])
def test_pixels_become_square(aspect: Fraction) -> None:
    assert apart(noise("yuv420p", 322, 242), Orientation(), aspect) <= 1


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8"])
def test_decoded_video_is_equal_to_the_last_bit(tmp_path: Path, codec: str) -> None:
    path = tmp_path / ("video.webm" if codec == "vp8" else "video.mp4")
    with av.open(str(encode(path, moving_pictures(5), codec))) as container:
        for frame in container.decode(video=0):
            assert apart(frame) == 0
            assert in_memory(frame) is frame


def test_a_picture_on_a_device_says_what_an_array_would() -> None:
    picture = on_device(noise("yuv420p", 64, 48), UPRIGHT, None, "cpu")
    assert isinstance(picture, DevicePicture)
    assert (picture.shape, picture.dtype) == ((48, 64, 3), np.uint8)
    assert picture.host() is picture.host()
