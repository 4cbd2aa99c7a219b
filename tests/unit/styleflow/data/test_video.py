"""Promises of preparing videos."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from styleflow.data.video import (
    FacePath,
    follow_face,
    plan_crops,
    read_frames,
    read_still,
    read_timed,
)
from styleflow.errors import VideoUnusable
from styleflow.faces.face import Box, Face
from styleflow.faces.mesh import five_points
from tests.support.clips import face_clip, mesh_at
from tests.support.faces import finder_or_skip
from tests.support.media import encode, moving_pictures
from tests.support.posed import portrait


def _face(x, size=20.0):
    mesh = mesh_at(x, 30, size).astype(np.float64)
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    return Face(Box(*low, *high), five_points(mesh), 0.9, mesh)


class _Finder:
    """Sees what a script says for a frame; a frame's pixels are its number."""

    def __init__(self, script):
        self.script = script

    def follow(self, image, faces):
        return self.script[image[0, 0, 0]]

    def find(self, image, tiles=0, known=()):
        return self.script[image[0, 0, 0]]


def test_landmarks_are_laid_in_every_frame_even_where_nothing_moved():
    """Live video keeps them there; training would make other examples of its clips by that."""
    finder = finder_or_skip()
    assert follow_face([portrait()] * 3, finder).found.all()
    assert (finder.laid, finder.reused) == (3, 0)


def _numbered(frames):
    return np.stack([np.full((64, 96, 3), t, np.uint8) for t in range(frames)])


def _path(frames, drift=0.0):
    meshes = np.stack([mesh_at(40 + drift * t, 36, 24) for t in range(frames)])
    return FacePath(meshes, np.ones(frames, np.bool_))


def test_the_largest_face_is_followed_and_gaps_repeat_the_last_one():
    script = [(_face(20), _face(60, 26)), (_face(61, 26),), (), (_face(63, 26),)]
    path = follow_face(_numbered(4), _Finder(script))
    assert list(path.found) == [True, True, False, True]
    assert path.points(0)[:2].mean(axis=0)[0] == pytest.approx(60, abs=0.01)
    assert np.array_equal(path.meshes[2], path.meshes[1])


def test_pictures_of_an_avi_with_b_frames_were_left_out(tmp_path):
    """Its stamps are those of decoding, so a third of them did not rise."""
    avi, mp4 = (
        encode(tmp_path / name, moving_pictures(30), b_frames=2) for name in ("a.avi", "a.mp4")
    )
    times, pictures = read_timed(avi)
    assert len(times) == 30
    assert np.array_equal(pictures, read_frames(mp4))
    assert np.allclose(np.diff(times), 0.04)


@pytest.mark.parametrize(("second", "pictures"), [((48, 36), 10), ((36, 48), 5)])
def test_a_recorded_call_whose_pictures_are_scaled_could_not_be_read(tmp_path, second, pictures):
    """Of pictures that change their shape, those before are left."""
    path = tmp_path / "call.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number, (width, height) in enumerate([(64, 48)] * 5 + [second] * 5):
            alone = av.CodecContext.create("mjpeg", "w")
            alone.width, alone.height, alone.pix_fmt = width, height, "yuvj420p"
            alone.time_base = stream.time_base = Fraction(1, 25)
            grey = np.full((height, width, 3), 99, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, "rgb24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in alone.encode(frame):
                packet.stream, packet.pts, packet.dts = stream, number, number
                packet.time_base = Fraction(1, 25)
                container.mux(packet)
    times, frames = read_timed(path)
    assert frames.shape == (pictures, 48, 64, 3)
    assert np.abs(frames.astype(int) - 99).max() <= 3
    assert len(times) == pictures


def test_a_video_without_a_face_has_no_path():
    assert follow_face(_numbered(2), _Finder([(), ()])) is None


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(25.0, [0, 2, 4, 6, 8, 9]), (12.5, list(range(10))), (30.0, [0, 2, 5, 7, 9])],
)
def test_frames_are_sampled_at_the_cadence(fps, expected):
    assert list(plan_crops(_path(10), np.arange(10) / fps, 12.5).frames) == expected


def test_frames_without_a_face_are_not_sampled():
    path = _path(10)
    path.found[4] = False
    assert list(plan_crops(path, np.arange(10) / 25, 12.5).frames) == [0, 2, 6, 8, 9]


def test_an_anchor_that_moves_gives_the_frame_twice():
    plan = plan_crops(_path(60, drift=1.0), np.arange(60) / 25, 12.5)
    assert plan.moved.any()
    assert not plan.moved[0]
    later = np.flatnonzero(plan.moved)[0]
    assert np.array_equal(plan.arriving[later + 1], plan.leaving[later])


def test_a_still_is_a_video_of_one_frame(tmp_path):
    picture = face_clip(1).frames[0]
    cv2.imwrite(str(tmp_path / "a.png"), picture[..., ::-1])
    times, frames = read_timed(tmp_path / "a.png")
    assert list(times) == [0.0]
    assert np.array_equal(frames, [picture])


def test_pictures_come_in_order_and_only_so_many(tmp_path):
    frames = face_clip(6, size=64).frames
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    assert read_frames(path).shape == frames.shape
    assert len(read_frames(path, limit=2)) == 2
    times, pictures = read_timed(path, until_s=0.1)
    assert times == pytest.approx([0, 0.04, 0.08, 0.12])
    assert np.array_equal(pictures, read_frames(path, 4))


@pytest.mark.parametrize("content", [b"", b"this is no video at all"])
def test_what_is_no_video_is_our_error(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoUnusable, match=r"a\.mp4"):
        read_frames(path)
    with pytest.raises(VideoUnusable, match=r"a\.mp4"):
        read_still(path)
