"""Clips on their way to the analyzer."""

import av
import numpy as np
import pytest

from styleflow.data.degradations.video import Degradation
from styleflow.errors import VideoUnusable
from styleflow.evaluation.conditions import GRID, NAMES, Condition, read_pictures
from tests.support.media import encode, moving_pictures


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "disc.mp4"
    return encode(path, moving_pictures(50), gop=25)


def written(condition, clip, tmp_path, seed=1):
    target = tmp_path / "degraded.mp4"
    condition.write(clip, target, seed)
    return target


def times(path):
    return [round(at, 3) for at, _ in read_pictures(path)]


def packets(path):
    with av.open(str(path)) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))


def test_every_condition_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(GRID) + 1


@pytest.mark.parametrize("condition", GRID, ids=lambda c: c.name)
def test_every_condition_writes_a_video_that_can_be_read(condition, clip, tmp_path) -> None:
    pictures = [picture for _, picture in read_pictures(written(condition, clip, tmp_path))]
    assert len(pictures) >= 15
    assert all(picture.dtype == np.uint8 for picture in pictures)


def test_pictures_begin_at_zero_and_are_whole_macroblocks(clip) -> None:
    found = list(read_pictures(clip))
    assert [round(at * 25) for at, _ in found] == list(range(50))
    assert found[0][1].shape == (112, 160, 3)


def test_stronger_compression_leaves_worse_pictures(clip, tmp_path) -> None:
    def error(crf):
        pairs = zip(
            read_pictures(clip),
            read_pictures(written(Condition("x", Degradation(crf=crf)), clip, tmp_path)),
            strict=True,
        )
        return np.mean([np.abs(a[1].astype(int) - b[1]).mean() for a, b in pairs])

    errors = [error(crf) for crf in (18, 28, 40)]
    assert errors == sorted(errors)
    assert errors[2] > 2 * errors[0]


def test_half_the_size_is_half_the_size(clip, tmp_path) -> None:
    _, picture = next(
        read_pictures(written(Condition("x", Degradation(scale=0.5)), clip, tmp_path))
    )
    assert picture.shape == (64, 80, 3)  # 112 / 2 rounds to whole macroblocks


def test_noise_differs_from_picture_to_picture(tmp_path) -> None:
    """The same grain on every picture would be a fixed pattern, not noise."""
    still = encode(tmp_path / "still.mp4", [np.full((64, 64, 3), 128, np.uint8)] * 40)
    noisy = Condition("x", Degradation(noise=20.0, crf=1))
    first, *_, last = (p.astype(int) for _, p in read_pictures(written(noisy, still, tmp_path)))
    assert np.std(first) > 10
    assert np.std(first - last) > 10


def test_fewer_frames_a_second_keep_their_times(clip, tmp_path) -> None:
    kept = times(written(Condition("x", fps=12.0), clip, tmp_path))
    assert len(kept) == 24
    assert set(kept) <= {round(n / 25, 3) for n in range(50)}
    assert np.diff(kept).max() <= 0.12 + 1e-6


def test_lost_frames_leave_gaps_and_the_rest_in_place(clip, tmp_path) -> None:
    kept = times(written(Condition("x", frame_loss=0.3), clip, tmp_path))
    assert 25 <= len(kept) <= 45
    assert kept[0] == 0.0
    assert set(kept) <= {round(n / 25, 3) for n in range(50)}


def test_lost_packets_never_arrive(clip, tmp_path) -> None:
    whole = packets(written(Condition("x"), clip, tmp_path))
    lossy = packets(written(Condition("x", packet_loss=0.3), clip, tmp_path))
    assert whole == 50
    assert 25 <= lossy <= 45


def test_the_same_seed_writes_the_same_pictures(clip, tmp_path) -> None:
    condition = Condition("x", Degradation(noise=8.0), frame_loss=0.2)

    def once(seed):
        found = list(read_pictures(written(condition, clip, tmp_path, seed)))
        return [at for at, _ in found], np.stack([picture for _, picture in found])

    (at, pictures), (at_again, again) = once(4), once(4)
    assert at == at_again
    assert np.array_equal(pictures, again)
    assert once(5)[0] != at


def test_what_is_no_video_is_named(tmp_path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(VideoUnusable, match=r"text\.mp4"):
        Condition("x").write(text, tmp_path / "degraded.mp4", 0)
