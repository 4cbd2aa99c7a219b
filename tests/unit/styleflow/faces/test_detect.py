import cv2
import numpy as np
import pytest
import torch

from styleflow.faces.detect import BlazeFace, DetectorSettings
from styleflow.faces.face import Image
from styleflow.faces.finder import FaceFinder
from styleflow.faces.networks import BlazeFaceNet

# The portrait's face, by hand: brows to chin, temple to temple.
FACE = (176, 70, 274, 176)
EYES_NOSE_MOUTH = np.array(
    [[203.0, 102.0], [246.0, 104.0], [222.5, 129.0], [201.5, 139.0], [244.5, 141.5]]
)


class OneCell(BlazeFaceNet):
    """A network that sees one face in the middle of every look, as wide as half of it."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        boxes = torch.zeros(len(x), 2304, 16)
        logits = torch.full((len(x), 2304), -20.0)
        boxes[:, 24 * 48 + 24, 2:4] = 96.0
        logits[:, 24 * 48 + 24] = 3.0
        return boxes, logits


def paste(image: Image, side: int, x: int, y: int, size: tuple[int, int] = (480, 640)) -> Image:
    """Return a grey picture with the portrait in it, its face about `side` pixels wide."""
    scale = side / (FACE[2] - FACE[0])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.full((*size, 3), 90, np.uint8)
    height, width = min(small.shape[0], size[0] - y), min(small.shape[1], size[1] - x)
    canvas[y : y + height, x : x + width] = small[:height, :width]
    return canvas


def middle(side: int, x: int, y: int) -> np.ndarray:
    scale = side / (FACE[2] - FACE[0])
    return np.array([(FACE[0] + FACE[2]) / 2 * scale + x, (FACE[1] + FACE[3]) / 2 * scale + y])


def test_a_cell_becomes_a_box_in_the_picture() -> None:
    (face,) = BlazeFace(OneCell()).detect(np.zeros((480, 640, 3), np.uint8))
    centre = (24.5 * 4) * 640 / 192
    assert face.box.centre == pytest.approx((centre, centre))
    assert face.box.width == pytest.approx(320)
    assert face.confidence == pytest.approx(0.9526, abs=1e-3)


@pytest.mark.parametrize("shape", [(480, 640), (720, 1280), (1280, 720), (97, 311), (1, 1)])
@pytest.mark.parametrize("tiles", [1, 2, 3])
def test_tiles_leave_no_part_of_the_picture_out(shape: tuple[int, int], tiles: int) -> None:
    """Every tile reports a face at its middle; their halves cover the picture's inside."""
    detector = BlazeFace(OneCell(), DetectorSettings(max_overlap=0.99, max_faces=500))
    faces = detector.detect(np.zeros((*shape, 3), np.uint8), tiles)
    smallest = min(f.box.width for f in faces)
    assert smallest <= 0.5 * min(shape) / max(1, tiles * 0.75) + 2
    covered = np.zeros(shape, bool)
    for face in faces:
        if face.box.width > smallest * 1.01:
            continue  # the look at the whole picture
        side = 2 * face.box.width  # this network sees a face half as wide as the look
        (x, y), before = face.box.centre, side * 98 / 192  # its cell's middle is at 98 of 192
        top, left = max(0, round(y - before)), max(0, round(x - before))
        covered[top : top + round(side), left : left + round(side)] = True
    assert covered.all()


def test_a_picture_without_pixels_has_no_faces() -> None:
    assert BlazeFace(OneCell()).detect(np.zeros((0, 640, 3), np.uint8), 1) == ()


def test_smaller_faces_need_closer_looks() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    detector = BlazeFace(OneCell())
    sizes = [detector.smallest_px(image, tiles) for tiles in (0, 1, 2)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < 20


def test_a_portrait_has_one_face_with_eyes_nose_and_mouth(
    finder: FaceFinder, portrait: Image
) -> None:
    (face,) = finder.find(portrait)
    got = (face.box.x0, face.box.y0, face.box.x1, face.box.y1)
    assert got == pytest.approx(FACE, abs=8)
    assert np.abs(face.points - EYES_NOSE_MOUTH).max() < 3.5
    assert face.confidence > 0.8
    assert face.mesh is not None
    assert face.mesh.shape == (468, 2)


@pytest.mark.parametrize("degrees", [-45, -20, 20, 45])
def test_a_tilted_face_is_found_with_its_points(
    finder: FaceFinder, portrait: Image, degrees: float
) -> None:
    turn = cv2.getRotationMatrix2D((225, 123), degrees, 1.0)
    tilted = np.asarray(cv2.warpAffine(portrait, turn, (512, 512)), np.uint8)
    faces = finder.find(tilted)
    expected = EYES_NOSE_MOUTH @ turn[:, :2].T + turn[:, 2]
    assert min(np.abs(face.points - expected).max() for face in faces) < 4.5


def test_every_face_of_a_group_is_found_once(finder: FaceFinder, portrait: Image) -> None:
    quarter = np.asarray(cv2.resize(portrait, (240, 240), interpolation=cv2.INTER_AREA), np.uint8)
    row = np.concatenate([quarter, quarter[:, ::-1]], axis=1)
    faces = finder.find(np.concatenate([row, row], axis=0), tiles=2)
    assert len(faces) == 4
    centres = np.sort([face.box.centre for face in faces], axis=0)
    assert centres[1][1] < 240 < centres[2][1]


@pytest.mark.parametrize("side", [24, 28, 32])
@pytest.mark.parametrize("place", [(0, 0), (400, 300), (333, 111), (127, 255)])
def test_small_faces_are_found_with_tiles(
    finder: FaceFinder, portrait: Image, side: int, place: tuple[int, int]
) -> None:
    faces = finder.find(paste(portrait, side, *place), tiles=2)
    goal = middle(side, *place)
    assert any(np.abs(np.array(f.box.centre) - goal).max() < side / 3 for f in faces)


def test_noise_is_no_face(finder: FaceFinder) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3)).astype(np.uint8)
    assert finder.find(noise, tiles=2) == ()
    assert finder.find(np.zeros((480, 640, 3), np.uint8)) == ()
