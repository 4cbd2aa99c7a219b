"""Capture conditions: figures of the last seconds, declared and measured in two files."""

import ast
import dataclasses
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from stream.events import CaptureConditions, PictureFormat
from stream.ingest.conditions import CaptureMeter
from stream.ingest.decode import Picture
from stream.ingest.frame_numbers import Count
from stream.ingest.timeline import Discard, Stamp, Timeline

TICKS = Fraction(1, 90_000)
FRAME = 3_600  # 25 a second
SIZE = (64, 48)
PIXELS = 64 * 48


class Camera:
    """A timeline and a meter that measures what has a place in it."""

    def __init__(self, *, losses_are_told: bool = False, link_loss: float = 0.0) -> None:
        self.timeline = Timeline()
        self.timeline.reconnected(losses_are_told=losses_are_told)
        self.meter = CaptureMeter(lambda: link_loss)

    def show(
        self, pts: int, *, key: bool = False, size: tuple[int, int] = SIZE, bits: int = 0,
        corrupt: bool = False, vouched: int = 0,
    ) -> CaptureConditions:  # fmt: skip
        moment = self.timeline.place(
            Stamp(pts, TICKS, "h264", size, key, corrupt=corrupt, vouched=vouched)
        )
        assert not isinstance(moment, Discard)
        never: Any = None  # nobody asks for this picture's pixels
        picture = Picture(
            pts, TICKS, "h264", size, key, False, corrupt, None, 0.0, bits, Count(), never,
            never, never,
        )  # fmt: skip
        return self.meter.measure(picture, moment)

    def play(self, numbers: Iterable[int]) -> list[CaptureConditions]:
        """Show the pictures with these numbers, every 25th being a keyframe."""
        return [self.show(n * FRAME, key=n % 25 == 0) for n in numbers]


def test_the_frame_rate_is_measured_over_the_last_seconds() -> None:
    camera = Camera()
    measured = camera.play(range(100))
    assert measured[0].source_fps == 0.0
    assert measured[-1].source_fps == pytest.approx(25.0)
    slow = [camera.show(100 * FRAME + n * 2 * FRAME) for n in range(60)]
    assert slow[-1].source_fps == pytest.approx(12.5)


def test_the_newest_pictures_are_measured_at_absurd_rates() -> None:
    """The window holds 1,024 pictures, whatever a source sends: the others weighed 1,000 bits."""
    camera = Camera()
    for n in range(5_000):
        camera.show(n, key=n == 0, bits=1_000)
    for n in range(5_000, 6_024):
        last = camera.show(n, bits=PIXELS)
    assert last.source_fps == pytest.approx(90_000.0)
    assert last.bits_per_pixel == 1.0


def test_bits_per_pixel_are_measured_over_the_last_seconds() -> None:
    camera = Camera()
    first, second, *_, last = (
        camera.show(n * FRAME, key=n == 0, bits=PIXELS // 2) for n in range(100)
    )
    assert (first.bits_per_pixel, second.bits_per_pixel) == (0.0, 0.5)
    assert last.bits_per_pixel == pytest.approx(0.5)
    squeezed = [camera.show(n * FRAME, bits=PIXELS // 64) for n in range(100, 202)]
    assert squeezed[-1].bits_per_pixel == 1 / 64


def test_bits_of_pictures_that_nobody_weighed_are_unknown() -> None:
    assert Camera().play(range(100))[-1].bits_per_pixel == 0.0


def test_a_caller_s_smaller_pictures_count_by_their_own_pixels() -> None:
    camera = Camera(losses_are_told=True)
    for n, (width, height) in enumerate([(64, 48)] * 10 + [(32, 24)] * 10):
        size = (width, height)
        last = camera.show(n * FRAME, key=n == 0, size=size, bits=width * height // 4)
    assert last.bits_per_pixel == 0.25


def test_pictures_that_a_sender_skips_show_in_the_frame_rate() -> None:
    """A webcam in the dark: every tenth picture is missing."""
    camera = Camera()
    shown = [n for n in range(200) if n % 10 != 7]
    measured = [camera.show(n * FRAME, key=n == 0, vouched=15) for n in shown]
    assert measured[-1].source_fps == pytest.approx(22.5, abs=0.3)
    assert not any(each.contaminated for each in measured)


def test_a_new_epoch_begins_without_figures() -> None:
    camera = Camera()
    camera.play(range(50))
    camera.timeline.reconnected()
    first = camera.show(5_000_000, key=True, bits=PIXELS)
    second = camera.show(5_000_000 + FRAME, bits=PIXELS)
    assert (first.source_fps, first.bits_per_pixel) == (0.0, 0.0)
    assert (second.source_fps, second.bits_per_pixel) == (25.0, 1.0)


def test_damage_and_the_network_s_losses_are_told() -> None:
    sound, damaged = (
        Camera(link_loss=0.125).show(0, key=True, corrupt=corrupt) for corrupt in (False, True)
    )
    assert (sound.contaminated, damaged.contaminated) == (False, True)
    assert sound.link_loss == damaged.link_loss == 0.125


def test_a_figure_is_known_to_whoever_measures_and_weighs_it_and_to_nobody_between() -> None:
    """So a further figure touches three files; `contaminated` alone concerns perception as well."""
    root = Path(__file__).resolve().parents[4]
    figures = {field.name for field in dataclasses.fields(CaptureConditions)} - {"contaminated"}
    found: dict[str, set[str]] = {}
    for path in (root / "stream").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            used = {
                ast.Attribute: lambda n: n.attr,
                ast.keyword: lambda n: n.arg,
                ast.AnnAssign: lambda n: ast.unparse(n.target),
            }.get(type(node), lambda _: "")(node)
            if used in figures and not path.match("stream/monitoring/*"):  # metrics of that name
                found.setdefault(used, set()).add(path.relative_to(root).as_posix())
    assert set(found) == figures
    for figure, files in found.items():
        weigh = ("stream/engine/", "stream/baseline/", "stream/drift/", "stream/offline/evaluate")
        others = {file for file in files if not file.startswith(weigh)}
        if figure == "picture_format":  # no score is weighed by it, so no replay needs it
            others.add("stream/evidence/sidecar.py")
        assert others == {
            "stream/events.py",
            "stream/ingest/conditions.py",
            "stream/evidence/sidecar.py",  # so that a replay weighs them again
        }, figure


def test_codec_and_size_of_the_picture_are_among_them() -> None:
    capture = Camera().show(0, key=True)
    assert capture.picture_format == PictureFormat("h264", *SIZE)
