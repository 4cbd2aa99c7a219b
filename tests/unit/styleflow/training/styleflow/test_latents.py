"""Promises of clips for StyleFlow, and of the cache of their latents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from styleflow.clips import PspInput, WideCrop
from styleflow.data.index import Entry
from styleflow.data.video import follow_face, read_frames
from styleflow.detectors.styleflow.network import style_crops
from styleflow.detectors.styleflow.psp import PspEncoder
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.faces.crops.clip_alignment import TEMPLATE_256
from styleflow.training.styleflow.latents import ClipCutting, ClipPlace, LatentCache, cut_clip
from tests.support.faces import finder_or_skip
from tests.support.style_videos import DrawnVideo, drawn, toy_psp

CLIPS = Path(__file__).parents[6] / "shared" / "clips"
CUTTING = ClipCutting(frames=8, hop=4, most=4)
COARSE = StyleLevels("coarse")


class CountingPsp(PspEncoder):
    """Counts the pictures that it encodes."""

    seen = 0

    def codes(self, images, styles=range(18)):
        type(self).seen += len(images)
        return super().codes(images, styles)


@pytest.fixture
def psp() -> PspEncoder:
    made = toy_psp()
    made.__class__ = CountingPsp
    CountingPsp.seen = 0
    return made


def cache(folder: Path, psp: PspEncoder, **changes: object) -> LatentCache:
    return LatentCache(folder, psp, COARSE, replace(CUTTING, **changes))


def test_clips_start_on_a_grid_and_show_a_face_throughout() -> None:
    path = drawn(0, 1, frames=40, lost=(17,)).path
    assert replace(CUTTING, most=99).starts(path) == (0, 4, 8, 20, 24, 28, 32)
    assert CUTTING.starts(path) == (0, 4, 28, 32)
    assert CUTTING.starts(drawn(0, 1, frames=7).path) == ()


def test_every_second_clip_is_of_the_second_set() -> None:
    assert [CUTTING.in_second_set(start) for start in (0, 4, 8, 12)] == [False, True, False, True]


def test_a_clip_has_one_transform() -> None:
    """It moves neither with a frame's own points nor with their jitter."""
    video = drawn(0, 2)
    video.path.meshes[5] += 3
    video.pictures[:] = video.pictures[:1]
    crops = cut_clip(video, 4, CUTTING, 32)
    assert crops.shape == (8, 32, 32, 3)
    assert all(np.array_equal(crop, crops[0]) for crop in crops)


def test_ffhqs_framing_holds_the_clips_own_crop() -> None:
    video, wide = drawn(1, 3), WideCrop(32)
    own = cut_clip(video, 0, CUTTING, 32)
    around = cut_clip(video, 0, replace(CUTTING, psp_input=PspInput.FFHQ), 32)
    assert around.shape == (8, 42, 42, 3)
    rows = slice(wide.top_px, wide.top_px + 32)
    assert np.array_equal(around[:, rows, wide.left_px : wide.left_px + 32], own)


def test_latents_are_those_of_the_crops(tmp_path: Path, psp: PspEncoder) -> None:
    clips = cache(tmp_path, psp).clips(drawn(1, 4))
    assert clips is not None
    assert clips.latents.shape == (4, 8, 3, 16)
    for number in range(4):
        expected = psp.codes(torch.from_numpy(clips.crops(number)), range(3))
        np.testing.assert_allclose(clips.latents[number], expected, atol=1e-5)


def test_a_video_is_encoded_once(tmp_path: Path, psp: PspEncoder) -> None:
    first = cache(tmp_path, psp).clips(drawn(0, 5))
    encoded = CountingPsp.seen
    again = cache(tmp_path, psp).clips(drawn(0, 5))
    assert encoded == CountingPsp.seen == 4 * 8
    assert first is not None
    assert again is not None
    assert np.array_equal(first.latents, again.latents)
    assert [file.suffix for file in tmp_path.iterdir()] == [".npy"]


def test_whatever_latents_follow_from_names_their_file(tmp_path: Path, psp: PspEncoder) -> None:
    video = drawn(0, 6)

    def key(made: LatentCache, of: object = video) -> str:
        return made.key(of, CUTTING.starts(video.path))  # type: ignore[arg-type]

    other_weights = toy_psp()
    other_weights.encoder.latlayer1.bias += 1
    brighter = replace(video, pictures=video.pictures + 1)
    keys = [
        key(cache(tmp_path, psp)),
        key(cache(tmp_path, other_weights)),
        key(LatentCache(tmp_path, psp, StyleLevels("fine"), CUTTING)),
        key(cache(tmp_path, psp, hop=5)),
        key(cache(tmp_path, psp, psp_input=PspInput.FFHQ)),
        key(cache(tmp_path, psp), brighter),
        key(cache(tmp_path, psp), drawn(0, 7)),
    ]
    assert len(set(keys)) == len(keys)
    assert key(cache(tmp_path / "elsewhere", psp), drawn(0, 6)) == keys[0]


def test_altered_copies_come_again_as_they_were(tmp_path: Path, psp: PspEncoder) -> None:
    """Crops of a copy are cut again for the content branch, to the bit, and differ per clip."""

    def alter(crops, rng):
        return np.clip(crops + rng.integers(1, 50), 0, 255).astype(np.uint8)

    cutting = replace(CUTTING, altered=2, most=2)
    made = LatentCache(tmp_path, psp, COARSE, cutting, alter, "brighter")
    clips = made.clips(drawn(1, 8))
    assert clips is not None
    starts = cutting.starts(clips.video.path)
    assert clips.places == tuple(ClipPlace(start, copy) for copy in range(3) for start in starts)
    assert np.array_equal(clips.crops(3), clips.crops(3))
    shifts = [clips.crops(n)[0].astype(int) - clips.crops(n % 2)[0] for n in range(2, 6)]
    assert len({int(np.median(shift)) for shift in shifts}) == 4
    expected = psp.codes(torch.from_numpy(clips.crops(5)), range(3))
    np.testing.assert_allclose(clips.latents[5], expected, atol=1e-5)


def test_a_video_without_a_clip_has_none(tmp_path: Path, psp: PspEncoder) -> None:
    assert cache(tmp_path, psp).clips(drawn(0, 9, lost=range(0, 48, 5))) is None


@pytest.mark.parametrize(("name", "value"), [("frames", 1), ("hop", 0), ("most", 0)])
def test_what_cuts_no_clips_is_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        replace(CUTTING, **{name: value})


def test_copies_need_something_that_alters(tmp_path: Path, psp: PspEncoder) -> None:
    with pytest.raises(ValueError, match="altered copies"):
        cache(tmp_path, psp, altered=1)


def test_filmed_faces_lie_as_the_template_and_as_ffhq_have_them() -> None:
    """The finder sees the same five points again in what was cut; eyes are as far apart as said."""
    path = CLIPS / "train_real" / "tr_r002.mp4"
    if not path.is_file():
        pytest.skip("the shared clips are not here")
    finder = finder_or_skip()
    frames = read_frames(path, 12)
    found = follow_face(frames, finder)
    assert found is not None
    video = DrawnVideo(Entry(path, "train_real", 0, "somebody"), found, frames)
    places = {}
    for psp_input in PspInput:
        crops = torch.from_numpy(cut_clip(video, 0, replace(CUTTING, psp_input=psp_input), 256))
        seen = style_crops(crops, 256, psp_input).numpy()
        assert seen.shape == (8, 256, 256, 3)
        (face,) = finder.find(seen[4])
        places[psp_input] = face.points
    own, wide = places[PspInput.CLIP], places[PspInput.FFHQ]
    assert np.abs(own - TEMPLATE_256).mean() < 12  # heads turn
    assert np.abs(own - (wide * (334 / 256) - np.array([39, 73]))).max() < 5
    assert np.hypot(*(wide[1] - wide[0])) == pytest.approx(64, abs=8)
