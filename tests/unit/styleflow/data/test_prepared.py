"""Promises of prepared videos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from styleflow.data import prepared
from styleflow.data.index import REAL, Entry, Refusal
from styleflow.data.prepared import PrepareSettings, prepare_entries, prepare_video
from styleflow.data.prepared_video import Video
from styleflow.data.video import read_frames
from styleflow.errors import DatasetUnusable
from styleflow.faces.align import fit, leaves, mirrored_warp, warp
from tests.support.clips import SIZE, MiddleFinder, face_clip, write_video

SETTINGS = PrepareSettings(frames=6, face_px=256, margin=0.1, crop_px=48)


def _entry(path):
    return Entry(path, "train", REAL, path.stem)


@pytest.fixture
def clip(tmp_path):
    return write_video(tmp_path / "clip.mp4", face_clip(8).frames)


def _prepared(clip, settings=SETTINGS):
    video = prepare_video(_entry(clip), settings, _store(clip), MiddleFinder())
    assert not isinstance(video, Refusal)
    return video


def _store(clip):
    store = clip.parent / "store"
    store.mkdir(exist_ok=True)
    return store


def test_pictures_are_the_videos_own_around_the_face(clip):
    video: Video = _prepared(clip)
    whole = read_frames(clip)
    pictures = video.frames([3, 0, 3])
    height, width = pictures.shape[1:3]
    assert height < SIZE or width < SIZE
    # The window lies where its landmarks say that it lies.
    offset = MiddleFinder().find(whole[0])[0].mesh[0] - video.path.meshes[0][0]
    left, top = (int(n) for n in np.round(offset))
    for picture, number in zip(pictures, (3, 0, 3), strict=True):
        assert np.array_equal(picture, whole[number][top : top + height, left : left + width])


def test_only_so_many_frames_are_kept_and_others_are_an_index_error(clip):
    video = _prepared(clip)
    assert video.path.meshes.shape == (6, 468, 2)
    assert video.path.found.all()
    assert video.times == pytest.approx(np.arange(6) / 25)
    for number in (-1, 6):
        with pytest.raises(IndexError, match="of 6"):
            video.frames([number])


def test_large_faces_are_made_smaller_and_landmarks_follow(clip):
    large, small = _prepared(clip), _prepared(clip, replace(SETTINGS, face_px=20))
    assert np.ptp(small.path.meshes[0][:, 0]) == pytest.approx(20, rel=0.05)
    size = 40
    one = warp(large.frames([0])[0], fit(large.path.points(0)), size).astype(float)
    two = warp(small.frames([0])[0], fit(small.path.points(0)), size).astype(float)
    # Aligned by their own landmarks, both show the same face; one of them more coarsely.
    coarse = [p.reshape(8, 5, 8, 5, 3).mean(axis=(1, 3)) for p in (one, two)]
    assert np.abs(coarse[0] - coarse[1]).mean() < 0.25 * coarse[0].std()


def test_aligned_crops_are_those_of_live_video(clip):
    video = _prepared(clip)
    crops = video.crops()
    assert list(crops.frames) == [0, 2, 4, 5]
    anchor = fit(MiddleFinder().find(read_frames(clip)[0])[0].points)
    for place, number in enumerate(crops.frames):
        expected = mirrored_warp(read_frames(clip)[number], anchor, 48)
        assert np.array_equal(crops.arriving[place], expected)
    assert crops.leaving.shape == crops.arriving.shape == (4, 48, 48, 3)


def test_aligned_crops_that_leave_the_picture_are_mirrored_and_not_black(tmp_path):
    """As live video cuts them: black where there is no picture is an edge that no face has."""
    frames = face_clip(8).frames
    middle = frames.shape[1] // 2
    tight = frames[:, middle - 10 : middle + 10, middle - 10 : middle + 10]
    bright = np.maximum(tight, 60)
    clip = write_video(tmp_path / "tight.mp4", bright)
    crops = _prepared(clip).crops()
    anchor = fit(MiddleFinder().find(read_frames(clip)[0])[0].points)
    assert leaves(anchor, bright[0])
    assert crops.arriving.min() > 30
    expected = mirrored_warp(read_frames(clip)[0], anchor, 48)
    assert np.array_equal(crops.arriving[0], expected)


def test_jpeg_is_smaller_and_nearly_the_same(clip):
    exact, jpeg = _prepared(clip), _prepared(clip, replace(SETTINGS, quality=90))
    sizes = [(v.folder / "pictures.bin").stat().st_size for v in (exact, jpeg)]
    assert sizes[1] < sizes[0]
    assert np.abs(exact.frames([0]).astype(int) - jpeg.frames([0])).mean() < 8


def test_a_video_is_prepared_once_per_content_and_settings(clip, monkeypatch):
    first = _prepared(clip)
    renamed = clip.rename(clip.with_name("other.mp4"))
    monkeypatch.setattr(prepared, "follow_face", lambda *_: pytest.fail("made again"))
    assert _prepared(renamed).folder == first.folder
    monkeypatch.undo()
    assert _prepared(renamed, replace(SETTINGS, margin=0.2)).folder != first.folder
    write_video(renamed, face_clip(8, seed=1).frames)
    assert _prepared(renamed).folder != first.folder


def test_an_interrupted_video_leaves_nothing_and_is_made_again(clip, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(prepared, "plan_crops", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _prepared(clip)
    assert list(_store(clip).iterdir()) == []
    monkeypatch.undo()
    assert len(_prepared(clip).path.found) == 6


def test_what_cannot_be_prepared_is_named_and_the_rest_goes_on(clip, tmp_path):
    black = write_video(tmp_path / "black.mp4", np.zeros((4, 64, 64, 3), np.uint8))
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    entries = [_entry(p) for p in (black, broken, tmp_path / "gone.mp4", clip)]
    seen = []
    result = prepare_entries(
        entries, SETTINGS, tmp_path / "s", MiddleFinder, observe=lambda *n: seen.append(n)
    )
    assert [v.entry.path for v in result.videos] == [clip]
    assert [(r.file, r.reason) for r in result.refusals] == [
        ("black.mp4", "it shows no face"),
        ("broken.mp4", "the video cannot be read"),
        ("gone.mp4", "the video cannot be read"),
    ]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]  # the missing file is known at once


def test_that_there_is_no_face_is_kept_too(tmp_path, monkeypatch):
    black = write_video(tmp_path / "black.mp4", np.zeros((4, 64, 64, 3), np.uint8))
    first = prepare_video(_entry(black), SETTINGS, _store(black), MiddleFinder())
    monkeypatch.setattr(prepared, "follow_face", lambda *_: pytest.fail("sought again"))
    assert prepare_video(_entry(black), SETTINGS, _store(black), MiddleFinder()) == first


def test_processes_start_only_for_what_is_missing(clip, monkeypatch):
    def none(work, jobs, *_):
        assert not jobs
        return iter(())

    first = prepare_entries([_entry(clip)], SETTINGS, _store(clip), MiddleFinder)
    monkeypatch.setattr(prepared, "in_processes", none)
    again = prepare_entries([_entry(clip)], SETTINGS, _store(clip), MiddleFinder, processes=4)
    assert [v.folder for v in again.videos] == [v.folder for v in first.videos]


def test_a_store_of_another_format_is_refused(clip):
    store = _store(clip)
    prepare_entries([_entry(clip)], SETTINGS, store, MiddleFinder)
    (store / "format").write_text("2")
    with pytest.raises(DatasetUnusable, match="format 2 and this program reads 4"):
        prepare_entries([_entry(clip)], SETTINGS, store, MiddleFinder)
    (store / "format").unlink()  # as it was before formats had numbers
    with pytest.raises(DatasetUnusable, match="format 1"):
        prepare_entries([_entry(clip)], SETTINGS, store, MiddleFinder)


def test_what_a_killed_run_left_is_swept(clip):
    prepare_entries([], SETTINGS, _store(clip), MiddleFinder)
    left = _store(clip) / "abc.part"
    left.mkdir()
    (left / "pictures.bin").write_bytes(b"half")
    prepare_entries([_entry(clip)], SETTINGS, _store(clip), MiddleFinder)
    assert not left.exists()


@pytest.mark.slow
def test_several_processes_make_the_same_as_one(tmp_path):
    entries = [
        _entry(write_video(tmp_path / f"{n}.mp4", face_clip(4, seed=n).frames)) for n in range(3)
    ]
    one = prepare_entries(entries, SETTINGS, tmp_path / "one", MiddleFinder)
    two = prepare_entries(entries, SETTINGS, tmp_path / "two", MiddleFinder, processes=2)
    assert [v.entry for v in two.videos] == entries
    for a, b in zip(one.videos, two.videos, strict=True):
        assert a.folder.name == b.folder.name
        assert _bytes(a.folder / "pictures.bin") == _bytes(b.folder / "pictures.bin")


def _bytes(path: Path) -> bytes:
    return path.read_bytes()
