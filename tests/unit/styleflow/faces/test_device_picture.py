"""Pictures on a device: what is cut out of them is what OpenCV cuts out of arrays."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from styleflow.clips import ClipSpec, Framing, WideCrop
from styleflow.errors import ShapeMismatch
from styleflow.faces.align import (
    Aligner,
    fit,
    leaves,
    measure_quality,
    mirrored_warp,
    template,
    warp,
)
from styleflow.faces.appearance import describe, distance
from styleflow.faces.crops.framing import framer, plain_quality
from styleflow.faces.device_picture import DevicePicture, host, stacked
from styleflow.faces.face import Image, Points, TrackedFace
from styleflow.faces.finder import FaceFinder
from styleflow.faces.sight import Sight
from tests.support.faces import face_at

CPU = torch.device("cpu")


def there(image: Image) -> DevicePicture:
    return DevicePicture(torch.from_numpy(image.copy()))


def noise(height: int = 241, width: int = 321) -> Image:
    return np.asarray(np.random.default_rng(9).integers(0, 256, (height, width, 3)), np.uint8)


def placed(scale: float, angle: float, x: float, y: float) -> Points:
    """Return five points of a face turned by an angle, about a place."""
    about = (template() - template().mean(0)) * scale
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(about @ turn.T + (x, y), np.float64)


PLACES = [
    pytest.param(placed(0.5, 0.1, 160, 120), id="inside"),
    pytest.param(placed(0.8, -0.6, 20, 30), id="over the upper left border"),
    pytest.param(placed(1.1, 0.4, 310, 235), id="over the lower right border"),
    pytest.param(placed(3.5, 0.0, 160, 120), id="larger than the picture"),
    pytest.param(placed(0.07, 3.0, 200, 100), id="tiny and on its head"),
    pytest.param(placed(0.5, 0.1, 900, 900), id="outside"),
]


@pytest.mark.parametrize("points", PLACES)
@pytest.mark.parametrize("size", [64, 224, 256])
def test_aligned_crops_are_equal_to_the_last_bit(points: Points, size: int) -> None:
    """Also where the crop is averaged first, and where it leaves the picture."""
    image = noise()
    anchor = fit(points)
    for cut in (warp, mirrored_warp):
        assert np.array_equal(host(cut(there(image), anchor, size)), cut(image, anchor, size))
    assert leaves(anchor, there(image)) == leaves(anchor, image)


@pytest.mark.parametrize("border", [cv2.BORDER_CONSTANT, cv2.BORDER_REFLECT_101])
@pytest.mark.parametrize("inverse", [False, True])
def test_any_transform_is_equal_to_the_last_bit(border: int, inverse: bool) -> None:
    image, rng = noise(), np.random.default_rng(1)
    for _ in range(60):
        transform = np.column_stack([rng.uniform(-3, 3, (2, 2)), rng.uniform(-300, 300, 2)])
        flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if inverse else 0)
        expected = cv2.warpAffine(image, transform, (90, 70), flags=flags, borderMode=border)
        found = there(image).warped(transform, (90, 70), border=border, inverse=inverse)
        assert np.array_equal(found.host(), expected)


@pytest.mark.parametrize("size", [(160, 120), (107, 80), (80, 60), (32, 24), (191, 101)])
def test_averages_are_equal_to_the_last_bit(size: tuple[int, int]) -> None:
    image = noise(240, 320)
    expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    found = there(image).averaged(*size).host()
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("points", PLACES)
def test_quality_is_the_same(points: Points) -> None:
    image = cv2.GaussianBlur(noise(), (0, 0), 2.0)
    face = replace(face_at(160, 120, 80), points=points)
    one, other = plain_quality(image, face), plain_quality(there(image), face)
    assert other.sharpness == pytest.approx(one.sharpness, rel=1e-5, abs=1e-6)
    assert other.brightness == pytest.approx(one.brightness, rel=1e-9)
    assert (other.face_px, other.yaw_deg) == (one.face_px, one.yaw_deg)


TOLERANCES = {
    Framing.ANCHORED: 0,
    Framing.STYLEFLOW: 0,
    Framing.STYLEFLOW_WIDE: 0,
    Framing.CADDM: 8,  # at borders: OpenCV rounds places otherwise in `warpPerspective`
    Framing.FAKESTORMER: 1,
    Framing.GEND: 1,
    Framing.GEND_BILINEAR: 1,
}


@pytest.mark.parametrize("framing", list(Framing))
def test_every_framing_is_cut_on_the_device(framing: Framing, portrait: Image) -> None:
    size = {Framing.STYLEFLOW_WIDE: WideCrop(224).size_px}.get(framing, 224)
    made = framer(ClipSpec(4, 12.5, size, framing))
    face = TrackedFace(1, replace(face_at(224, 120, 110), points=placed(0.6, 0.05, 224, 130)))
    expected, found = (made.align(p, face, 0.0, None) for p in (portrait, there(portrait)))
    assert expected is not None
    assert found is not None
    assert isinstance(found[0].image, DevicePicture)
    crop, other = host(expected[0].image), host(found[0].image)
    assert crop.shape == other.shape
    assert np.abs(crop.astype(int) - other).max() <= TOLERANCES[framing]
    assert found[0].quality.sharpness == pytest.approx(expected[0].quality.sharpness, rel=1e-4)


def test_crops_of_a_moving_anchor_stay_on_the_device(portrait: Image) -> None:
    aligner, before, pairs = Aligner(224, cut=mirrored_warp), [None, None], []
    for number in range(10):
        points = placed(0.6, 0.01 * number, 224 + number * 6, 130)
        face = TrackedFace(1, replace(face_at(224, 120, 110), points=points))
        done = [
            aligner.align(p, face, number * 0.08, b)
            for p, b in zip((portrait, there(portrait)), before, strict=True)
        ]
        assert done[0] is not None
        assert done[1] is not None
        before = [done[0][1], done[1][1]]
        pairs.append((done[0][0], done[1][0]))
    for one, other in pairs:
        assert np.array_equal(host(other.image), host(one.image))
        assert (one.reanchored is None) == (other.reanchored is None)
        if one.reanchored is not None and other.reanchored is not None:
            assert isinstance(other.reanchored, DevicePicture)
            assert np.array_equal(host(other.reanchored), host(one.reanchored))
    assert any(other.reanchored is not None for _, other in pairs)


def test_an_appearance_is_the_same(portrait: Image) -> None:
    face = replace(face_at(224, 120, 110), points=placed(0.6, 0.05, 224, 130))
    one, other = describe(portrait, face), describe(there(portrait), face)
    assert one is not None
    assert other is not None
    assert distance(one, other) == 0.0


def test_a_sight_sees_on_a_device_what_it_saw_in_memory(portrait: Image) -> None:
    one = Sight.of(portrait, (150.0, 50.0, 300.0, 220.0))
    other = Sight.of(there(portrait), (150.0, 50.0, 300.0, 220.0))
    assert one is not None
    assert other is not None
    assert np.array_equal(one.pixels, other.pixels)
    assert one.again(there(portrait)) is not None
    assert other.again(there(255 - portrait)) is None


def test_the_same_faces_are_found(finder: FaceFinder, portrait: Image) -> None:
    """Everything that the networks see is equal to the last bit, so are the landmarks."""
    (one,), (other,) = finder.find(portrait, 1), finder.find(there(portrait), 1)
    assert np.array_equal(one.points, other.points)
    (followed,), (again,) = (
        finder.follow(portrait, [replace(one, sight=None)]),
        finder.follow(there(portrait), [replace(one, sight=None)]),
    )
    assert np.array_equal(followed.points, again.points)


def test_a_batch_may_come_from_memory_and_from_the_device() -> None:
    images = [noise(16, 16), noise(16, 16) // 2, 255 - noise(16, 16)]
    mixed = [images[0], there(images[1]), images[2]]
    expected = torch.from_numpy(np.stack(images))
    assert torch.equal(stacked(mixed, CPU), expected)
    assert torch.equal(stacked(images, CPU), expected)
    assert torch.equal(stacked([there(i) for i in images], CPU), expected)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (3, 4, 4)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch):
        DevicePicture(torch.zeros(shape, dtype=torch.uint8))
    with pytest.raises(ShapeMismatch):
        DevicePicture(torch.zeros((4, 4, 3)))


def test_quality_of_a_crop_at_hand_is_the_same() -> None:
    crop = noise(128, 128)
    face = face_at(60, 60, 50)
    one, other = measure_quality(crop, face), measure_quality(there(crop), face)
    assert other.sharpness == pytest.approx(one.sharpness, rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_cuts_what_a_processor_cuts() -> None:
    """Whole numbers throughout: not one bit differs, also between CUDA streams."""
    image, stream = noise(), torch.cuda.Stream()
    gpu = DevicePicture(torch.from_numpy(image).cuda())
    with torch.cuda.stream(stream):
        for points in (place.values[0] for place in PLACES):
            for cut in (warp, mirrored_warp):
                assert np.array_equal(
                    host(cut(gpu, fit(points), 224)), cut(image, fit(points), 224)
                )
        crop = warp(gpu, fit(placed(0.5, 0.1, 160, 120)), 128)
        sharp, bright = crop.sharpness_and_brightness(slice(40, 100), slice(30, 90))
    on_cpu = there(warp(image, fit(placed(0.5, 0.1, 160, 120)), 128))
    assert (sharp, bright) == pytest.approx(
        on_cpu.sharpness_and_brightness(slice(40, 100), slice(30, 90)), rel=1e-9
    )
