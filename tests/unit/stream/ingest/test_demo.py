"""The demo sources: the same twice, true to their URL, and like a camera on the wire."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import islice, pairwise

import cv2
import numpy as np
import pytest

from stream.clock import ManualClock
from stream.errors import SourceError, SourceUrlInvalid
from stream.events import ReasonCode
from stream.ingest.decode import Decoder, Picture
from stream.ingest.demo import DemoSource
from stream.ingest.demo_scene import Scene
from stream.ingest.demo_settings import DemoSettings
from stream.ingest.source import Packet, SourceUrl
from tests.support.faces import finder_or_skip

SMALL = "size=320x240"


class Pace:
    """A wait that moves a manual clock, remembers its pauses, and may say stop."""

    def __init__(self, clock: ManualClock, stop_after: int | None = None) -> None:
        self._clock = clock
        self._stop_after = stop_after
        self.pauses: list[float] = []

    def __call__(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self._clock.advance(seconds)
        return self._stop_after is not None and len(self.pauses) > self._stop_after


def source(url: str, stop_after: int | None = None) -> tuple[DemoSource, Pace]:
    clock = ManualClock(start=50.0)
    pace = Pace(clock, stop_after)
    return DemoSource(SourceUrl.parse(url), clock, pace), pace


def collect(url: str) -> list[Packet]:
    """Return every packet of a demo that ends."""
    demo, _ = source(url)
    packets: list[Packet] = []
    with pytest.raises(SourceError) as caught:
        packets.extend(demo.packets())
    assert caught.value.code is ReasonCode.ENDED
    return packets


def decode(packets: list[Packet]) -> list[Picture]:
    decoder = Decoder(packets[0].format)
    return [picture for packet in packets for picture in decoder.decode(packet)] + decoder.flush()


def test_a_demo_with_a_length_ends_and_says_so() -> None:
    demo, _ = source(f"demo://authentic?seconds=0.2&{SMALL}")
    packets = demo.packets()
    assert len(list(islice(packets, 5))) == 5
    with pytest.raises(SourceError) as caught:
        next(packets)
    assert caught.value.code is ReasonCode.ENDED


def test_the_same_url_gives_the_same_bytes_and_another_seed_others() -> None:
    first = [packet.data for packet in collect(f"demo://tampered?seconds=0.4&{SMALL}")]
    again = [packet.data for packet in collect(f"demo://tampered?seconds=0.4&{SMALL}")]
    other = [packet.data for packet in collect(f"demo://tampered?seconds=0.4&seed=1&{SMALL}")]
    assert first == again != other


def test_every_packet_decodes_at_25_frames_a_second() -> None:
    packets = collect(f"demo://authentic?seconds=2.4&{SMALL}")
    pictures = decode(packets)
    assert [picture.pts for picture in pictures] == [n * 3600 for n in range(60)]
    assert {picture.time_base for picture in pictures} == {Fraction(1, 90_000)}
    assert {picture.size for picture in pictures} == {(320, 240)}
    assert not any(picture.damaged or picture.corrupt for picture in pictures)
    assert [n for n, packet in enumerate(packets) if packet.keyframe] == [0, 50]


def test_what_is_decoded_is_what_was_drawn() -> None:
    (first, *_) = decode(collect(f"demo://authentic?seconds=0.2&{SMALL}"))
    drawn = Scene((320, 240), 25.0, 0).authentic(0)
    assert np.abs(first.rgb().astype(int) - drawn).mean() < 6


def test_another_rate_spaces_the_frames_accordingly() -> None:
    packets = collect(f"demo://authentic?seconds=0.4&fps=12.5&{SMALL}")
    assert [packet.pts for packet in packets] == [0, 7200, 14400, 21600, 28800]


def test_packets_come_at_their_own_pace() -> None:
    demo, pace = source(f"demo://authentic?seconds=0.4&{SMALL}")
    arrivals = [packet.arrived for packet in islice(demo.packets(), 10)]
    assert arrivals == pytest.approx([50 + 0.04 * n for n in range(10)])
    assert pace.pauses == pytest.approx([0.0] + [0.04] * 9)


def test_whoever_reads_late_is_not_hurried_through_the_past() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    demo = DemoSource(SourceUrl.parse(f"demo://authentic?{SMALL}"), clock, pace)
    packets = demo.packets()
    next(packets)
    clock.advance(10.0)
    list(islice(packets, 3))
    assert pace.pauses == pytest.approx([0.0, 0.0, 0.04, 0.04])


def test_a_stop_is_heeded_at_the_next_frame() -> None:
    demo, pace = source(f"demo://authentic?{SMALL}", stop_after=3)
    assert len(list(demo.packets())) == 3
    assert len(pace.pauses) == 4


def test_closing_ends_it_without_an_error() -> None:
    demo, _ = source(f"demo://authentic?{SMALL}")
    packets = demo.packets()
    next(packets)
    demo.close()
    demo.close()
    assert list(packets) == []


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("second=6", "there is no 'second'"),
        ("seconds=0", "seconds must be a number from 0.1 to 86400"),
        ("seconds=nan", "seconds"),
        ("seconds=inf", "seconds"),
        ("fps=0", "fps must be a number from 1 to 60"),
        ("fps=1000", "fps"),
        ("seed=-1", "seed must be a whole number"),
        ("seed=abc", "seed"),
        ("size=640", "size must be even, from 160x120 to 1920x1080"),
        ("size=641x480", "size"),
        ("size=8000x8000", "size"),
        ("seed=1&seed=2", "seed is given twice"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_name(query: str, complaint: str) -> None:
    with pytest.raises(SourceUrlInvalid, match=complaint):
        source(f"demo://authentic?{query}")


def test_the_defaults_are_endless_640x480_at_25() -> None:
    settings = DemoSettings.parse(SourceUrl.parse("demo://tampered"))
    assert settings == DemoSettings(tampered=True)
    assert (settings.frames, settings.size, settings.fps) == (None, (640, 480), 25.0)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene((640, 480), 25.0, 0)


def test_frames_are_drawn_the_same_in_any_order(scene: Scene) -> None:
    other = Scene((640, 480), 25.0, 0)
    for index in (40, 3, 17):
        assert np.array_equal(scene.tampered(index), other.tampered(index))
    assert np.array_equal(scene.authentic(3), other.authentic(3))


def test_tampering_touches_nothing_but_the_blended_face(scene: Scene) -> None:
    for index in (0, 30, 75):
        differs = (scene.authentic(index) != scene.tampered(index)).any(axis=2)
        reach = cv2.dilate((scene.mask(index) > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert not differs[~reach].any()
        assert differs[scene.mask(index) > 0.9].mean() > 0.8
        assert 0.03 < reach.mean() < 0.25


def test_a_tampered_face_changes_more_from_frame_to_frame(scene: Scene) -> None:
    """Its blurred difference, because noise would hide it: the face is never quite the same."""

    def restless(draw: Callable[[int], np.ndarray]) -> float:
        calm = [cv2.GaussianBlur(draw(n), (0, 0), 2).astype(float) for n in range(20, 30)]
        face = scene.mask(25) > 0.95
        steps = [np.abs(b - a)[face].mean() for a, b in pairwise(calm)]
        return float(np.mean(steps))

    assert restless(scene.tampered) > 1.5 * restless(scene.authentic)


def test_the_head_moves_blinks_and_talks_but_the_background_stands_still(scene: Scene) -> None:
    poses = [scene.pose(index) for index in range(1000)]
    assert max(pose.lids for pose in poses) == 1.0
    assert sum(pose.lids > 0 for pose in poses) < 200
    assert max(pose.jaw for pose in poses) > 2 > 0 > min(pose.jaw for pose in poses)
    assert max(abs(pose.x) for pose in poses) > 3
    assert all(abs(b.x - a.x) < 0.6 and abs(b.roll - a.roll) < 0.006 for a, b in pairwise(poses))
    corner = np.s_[400:, :60]
    first, later = (scene.authentic(index)[corner].mean(axis=(0, 1)) for index in (0, 300))
    assert np.abs(first - later).max() < 12  # exposure drifts, nothing else does


@pytest.mark.parametrize("tampered", [False, True])
def test_the_face_finder_finds_the_face_where_it_is(scene: Scene, *, tampered: bool) -> None:
    finder = finder_or_skip()
    for index in (0, 74, 200):
        (found,) = finder.find(scene.tampered(index) if tampered else scene.authentic(index))
        ys, xs = np.nonzero(scene.mask(index) > 0.5)
        assert found.box.centre == pytest.approx((xs.mean(), ys.mean()), abs=15)
        assert 120 < found.box.side < 260
