"""Media time comes from PTS alone, epochs begin where it breaks, and losses leave their mark."""

import random
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from stream.events import EpochCause
from stream.ingest.timeline import Damage, Discard, Moment, Stamp, Timeline

TICKS = Fraction(1, 90_000)
FRAME = 3_600  # 25 a second
GOP = 25


def stamp(
    pts: int | None, *, key: bool = False, size: tuple[int, int] = (64, 48), codec: str = "h264",
    damaged: bool = False, corrupt: bool = False,
) -> Stamp:  # fmt: skip
    return Stamp(pts, TICKS, codec, size, key, damaged, corrupt)


def play(timeline: Timeline, numbers: Iterable[int], start: int = 0) -> list[Moment]:
    """Place the frames with these numbers, every 25th being a keyframe."""
    moments = []
    for n in numbers:
        moment = timeline.place(stamp(start + n * FRAME, key=n % GOP == 0))
        assert isinstance(moment, Moment)
        moments.append(moment)
    return moments


def test_media_time_begins_at_zero_and_follows_the_pts() -> None:
    first, *rest = play(Timeline(), range(100), start=8_000_000_000)
    assert (first.epoch, first.at, first.began) == (1, 0.0, EpochCause.CONNECTED)
    assert [m.at for m in rest] == [pytest.approx(n / 25) for n in range(1, 100)]
    assert all(m.began is None and m.damage is None and not m.missing for m in rest)


def leap(timeline: Timeline, numbers: Iterable[int]) -> Moment:
    """Place frames that go on from a leap, all but the last being dropped."""
    *dropped, last = [timeline.place(stamp(n * FRAME, key=n % GOP == 0)) for n in numbers]
    assert all(isinstance(one, Discard) for one in dropped)
    assert isinstance(last, Moment)
    return last


def test_a_lasting_jump_ahead_begins_an_epoch() -> None:
    timeline = Timeline()
    play(timeline, range(50))
    moment = leap(timeline, [76, 77, 78])
    assert (moment.epoch, moment.at, moment.began) == (2, 0.0, EpochCause.PTS_JUMP)
    assert moment.damage is Damage.GAP


HOUR = 3_600 * 25


@pytest.mark.parametrize("away", [HOUR, -HOUR, 13 * HOUR, -13 * HOUR], ids=str)
def test_one_stray_stamp_in_fifty_is_dropped_and_opens_no_epoch(away: int) -> None:
    """A camera whose stamps are now and then hours away, ahead or back, is one stretch of time."""
    timeline = Timeline()
    placed = [
        timeline.place(stamp((100 * HOUR + n + away * (n % 50 == 30)) * FRAME, key=n % 250 == 0))
        for n in range(500)
    ]
    dropped = [n for n, one in enumerate(placed) if isinstance(one, Discard)]
    assert dropped == list(range(30, 500, 50))
    assert {placed[n] for n in dropped} == {Discard.STRAY}
    moments = [one for one in placed if isinstance(one, Moment)]
    assert {m.epoch for m in moments} == {1}
    assert not any(m.damage or m.missing for m in moments)
    assert moments[-1].at == pytest.approx(499 / 25)


def test_the_first_stamp_of_all_being_stray_costs_one_epoch() -> None:
    timeline = Timeline()
    timeline.place(stamp(40 * HOUR * FRAME, key=True))
    moment = leap(timeline, [1, 2, 3])
    assert (moment.epoch, moment.began) == (2, EpochCause.PTS_BACKWARD)
    assert [m.epoch for m in play(timeline, range(4, 60))] == [2] * 56


def test_strays_that_do_not_go_on_from_each_other_open_no_epoch() -> None:
    timeline = Timeline()
    play(timeline, range(30))
    for away in (HOUR, 9 * HOUR, -3 * HOUR, 5 * HOUR, 4 * HOUR):
        assert timeline.place(stamp(away * FRAME)) is Discard.STRAY
    (moment,) = play(timeline, [35])
    assert (moment.epoch, moment.missing, moment.damage) == (1, 0, None)


def test_a_gap_of_up_to_a_second_does_not() -> None:
    timeline = Timeline()
    play(timeline, range(26))
    (moment,) = play(timeline, [25 + 25 - 1])
    assert (moment.epoch, moment.began, moment.missing) == (1, None, 23)


def test_a_slow_source_may_leap_ten_of_its_own_frames() -> None:
    """Two frames a second: five seconds of silence are ten frames."""
    timeline = Timeline()
    for n in range(20):
        timeline.place(stamp(n * 45_000, key=True))
    moment = timeline.place(stamp(28 * 45_000, key=True))
    assert isinstance(moment, Moment)
    assert (moment.began, moment.missing) == (None, 8)


def test_a_source_slower_than_a_jump_becomes_usual() -> None:
    timeline = Timeline()
    placed = [timeline.place(stamp(n * 180_000, key=True)) for n in range(16)]
    later = placed[8:]
    assert all(isinstance(m, Moment) and m.began is None for m in later)


def test_one_picture_behind_is_dropped_and_a_run_begins_an_epoch() -> None:
    timeline = Timeline()
    play(timeline, range(30))
    assert timeline.place(stamp(20 * FRAME)) is Discard.OUT_OF_ORDER
    (moment,) = play(timeline, [31])
    assert (moment.epoch, moment.missing, moment.damage) == (1, 0, None)
    moment = leap(timeline, [15, 16, 17])
    assert (moment.epoch, moment.began) == (2, EpochCause.PTS_BACKWARD)
    assert moment.damage is Damage.GAP


def test_far_back_begins_an_epoch_that_is_sound_from_its_keyframe_on() -> None:
    timeline = Timeline()
    play(timeline, range(100))
    moment = leap(timeline, [0, 1, 2])
    assert (moment.epoch, moment.began, moment.damage) == (2, EpochCause.PTS_BACKWARD, None)


def test_a_repeated_pts_is_dropped() -> None:
    timeline = Timeline()
    play(timeline, range(10))
    assert timeline.place(stamp(9 * FRAME)) is Discard.OUT_OF_ORDER


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        (stamp(30 * FRAME, key=True, size=(32, 32)), EpochCause.SIZE_CHANGED),
        (stamp(30 * FRAME, key=True, codec="hevc"), EpochCause.CODEC_CHANGED),
    ],
)
def test_another_size_or_codec_begins_an_epoch(changed: Stamp, cause: EpochCause) -> None:
    timeline = Timeline()
    play(timeline, range(30))
    moment = timeline.place(changed)
    assert isinstance(moment, Moment)
    assert (moment.epoch, moment.began) == (2, cause)


def test_a_reconnect_begins_an_epoch_even_where_the_pts_go_on() -> None:
    timeline = Timeline()
    play(timeline, range(30))
    timeline.reconnected()
    moments = play(timeline, range(30, 60))
    assert (moments[0].epoch, moments[0].began) == (2, EpochCause.CONNECTED)
    assert [m.damage for m in moments] == [Damage.NO_KEYFRAME] * 20 + [None] * 10


def test_frames_after_a_gap_are_contaminated_until_the_next_keyframe() -> None:
    numbers = [n for n in range(75) if n not in (30, 31)]
    moments = play(Timeline(), numbers)
    dirty = [n for n, m in zip(numbers, moments, strict=True) if m.damage is Damage.GAP]
    assert dirty == list(range(32, 50))
    assert sum(m.missing for m in moments) == 2


def test_a_lost_keyframe_contaminates_its_whole_group() -> None:
    numbers = [n for n in range(100) if n != 50]
    moments = play(Timeline(), numbers)
    dirty = [n for n, m in zip(numbers, moments, strict=True) if m.damage]
    assert dirty == list(range(51, 75))


def test_a_gap_among_the_first_frames_is_noticed_as_soon_as_it_can_be() -> None:
    numbers = [n for n in range(50) if n != 1]
    moments = play(Timeline(), numbers)
    dirty = [n for n, m in zip(numbers, moments, strict=True) if m.damage]
    assert dirty == list(range(4, 25))


def test_a_keyframe_heals_what_came_before_unless_it_is_corrupt_itself() -> None:
    timeline = Timeline()
    play(timeline, range(5))
    for given, expected in [
        (stamp(5 * FRAME, damaged=True), Damage.DECODE_ERROR),
        (stamp(6 * FRAME), Damage.DECODE_ERROR),
        (stamp(7 * FRAME, key=True, damaged=True), None),
        (stamp(8 * FRAME, key=True, corrupt=True), Damage.CORRUPT),
        (stamp(9 * FRAME), Damage.CORRUPT),
        (stamp(10 * FRAME, key=True), None),
    ]:
        moment = timeline.place(given)
        assert isinstance(moment, Moment)
        assert moment.damage is expected


def test_a_keyframe_without_pts_still_makes_its_successors_sound() -> None:
    """FFmpeg's RTSP client gives the first access unit no PTS."""
    timeline = Timeline()
    assert timeline.place(stamp(None, key=True)) is Discard.NO_PTS
    moments = play(timeline, range(1, 25))
    assert moments[0].began is EpochCause.CONNECTED
    assert all(m.damage is None for m in moments)


def test_two_alternating_distances_are_usual() -> None:
    """Some cameras send 40 and 80 ms apart by turns; nothing is missing there."""
    timeline = Timeline()
    pts, missing = 0, 0
    for n in range(200):
        moment = timeline.place(stamp(pts, key=n % GOP == 0))
        assert isinstance(moment, Moment)
        missing += moment.missing
        pts += FRAME * (1 if n % 3 == 0 else 2)
    assert missing == 0


# --- holes that mean nothing --------------------------------------------------------------------


def test_holes_of_a_sender_that_skips_pictures_are_no_loss() -> None:
    """A webcam in the dark: every tenth picture is missing, and nothing was lost."""
    timeline = Timeline()
    moments = []
    for n in range(200):
        if n % 10 != 7:
            moments.append(timeline.place(replace(stamp(n * FRAME, key=n == 0), vouched=15)))
    assert all(isinstance(m, Moment) and not m.missing and m.damage is None for m in moments)


def test_a_known_loss_counts_whatever_is_vouched_for() -> None:
    timeline = Timeline()
    play(timeline, range(30))
    lost = timeline.place(replace(stamp(32 * FRAME), vouched=15, broken=True))
    later = timeline.place(replace(stamp(33 * FRAME), vouched=15))
    assert isinstance(lost, Moment)
    assert isinstance(later, Moment)
    assert (lost.missing, lost.damage, later.damage) == (2, Damage.GAP, Damage.GAP)


def test_a_hole_longer_than_is_vouched_for_is_a_loss() -> None:
    """A number of four bits cannot tell sixteen lost pictures from none."""
    timeline = Timeline()
    play(timeline, range(30))
    moment = timeline.place(replace(stamp(46 * FRAME), vouched=15))
    assert isinstance(moment, Moment)
    assert (moment.missing, moment.damage) == (16, Damage.GAP)


# --- callers, who say what was lost ------------------------------------------------------------


def call() -> Timeline:
    timeline = Timeline()
    timeline.reconnected(losses_are_told=True)
    timeline.place(stamp(0, key=True))
    return timeline


def test_a_callers_skipped_pictures_are_no_loss() -> None:
    """Browsers skip pictures when they lack time or bandwidth; keyframes are minutes apart."""
    timeline = call()
    moments = [timeline.place(stamp(n * FRAME)) for n in (1, 2, 3, 4, 9, 10, 14, 15)]
    assert all(isinstance(m, Moment) and m.damage is None and not m.missing for m in moments)


def test_a_callers_pause_begins_an_epoch_that_is_sound() -> None:
    """Nothing was lost, so nobody need wait for a keyframe that may never come."""
    moment = leap(call(), [75, 76, 77])
    assert (moment.began, moment.damage) == (EpochCause.PTS_JUMP, None)


def test_what_a_caller_lost_leaves_its_mark_until_a_keyframe() -> None:
    timeline = call()
    placed = [
        timeline.place(s)
        for s in (
            stamp(FRAME, corrupt=True),
            stamp(2 * FRAME),
            stamp(3 * FRAME, key=True),
            stamp(4 * FRAME),
        )
    ]
    assert [m.damage for m in placed if isinstance(m, Moment)] == [
        Damage.CORRUPT,
        Damage.CORRUPT,
        None,
        None,
    ]


@pytest.mark.parametrize("size", [(32, 24), (128, 96), (48, 36), (62, 46)])
def test_a_caller_may_scale_its_pictures_within_an_epoch(size: tuple[int, int]) -> None:
    timeline = call()
    moment = timeline.place(stamp(FRAME, key=True, size=size))
    assert isinstance(moment, Moment)
    assert (moment.epoch, moment.began, moment.damage) == (1, None, None)
    assert moment.at == pytest.approx(0.04)
    later = timeline.place(stamp(2 * FRAME, size=size))
    assert isinstance(later, Moment)
    assert later.epoch == 1


@pytest.mark.parametrize("size", [(48, 64), (64, 36), (64, 64), (0, 0)])
def test_a_caller_that_changes_the_shape_begins_an_epoch(size: tuple[int, int]) -> None:
    """A phone that is turned, another tab that is shared: faces do not go on from there."""
    moment = call().place(stamp(FRAME, key=True, size=size))
    assert isinstance(moment, Moment)
    assert moment.began is EpochCause.SIZE_CHANGED


def test_a_file_of_a_recorded_call_may_scale_its_pictures_within_an_epoch() -> None:
    """It was told as six faces of a second each, none with evidence enough."""
    timeline = Timeline()
    timeline.reconnected(complete=True)
    sizes = [((64, 48), (48, 36))[n // 25 % 2] for n in range(150)]
    placed = [timeline.place(stamp(n * FRAME, key=n % GOP == 0, size=sizes[n])) for n in range(150)]
    assert all(isinstance(m, Moment) and m.epoch == 1 and m.damage is None for m in placed)
    turned = timeline.place(stamp(150 * FRAME, key=True, size=(48, 64)))
    assert isinstance(turned, Moment)
    assert turned.began is EpochCause.SIZE_CHANGED


def test_a_camera_may_not_scale_its_pictures() -> None:
    timeline = Timeline()
    timeline.place(stamp(0, key=True))
    moment = timeline.place(stamp(FRAME, key=True, size=(32, 24)))
    assert isinstance(moment, Moment)
    assert moment.began is EpochCause.SIZE_CHANGED


def test_a_camera_after_a_call_is_judged_by_its_holes_again() -> None:
    timeline = call()
    timeline.reconnected()
    play(timeline, range(5), start=90_000)
    (moment,) = play(timeline, [9], start=90_000)
    assert moment.damage is Damage.GAP


# --- stamps that are no clock -------------------------------------------------------------------


def camera(stamps: Iterable[int | None], *, fps: float = 25.0) -> list[Moment]:
    """Place pictures that arrive evenly, whatever they are stamped, and return those placed."""
    timeline = Timeline()
    placed = [
        timeline.place(replace(stamp(pts, key=n % 250 == 0), arrived=100.0 + n / fps))
        for n, pts in enumerate(stamps)
    ]
    return [one for one in placed if isinstance(one, Moment)]


@pytest.mark.parametrize(
    "stamps",
    [
        pytest.param([7 * FRAME] * 300, id="frozen"),
        pytest.param([2 * (n // 2) * FRAME for n in range(300)], id="doubled"),
        pytest.param([n * FRAME // 90 for n in range(300)], id="90 times too slow"),
        pytest.param([n * FRAME * 90 for n in range(300)], id="90 times too fast"),
        pytest.param([None] * 300, id="none"),
        pytest.param([n * n * 7_919 % 100_003 * FRAME for n in range(300)], id="random"),
        pytest.param(
            [(100 * HOUR + n + (-1) ** n * HOUR * (n % 3 == 1)) * FRAME for n in range(300)],
            id="a third an hour away",
        ),
    ],
)
def test_a_camera_whose_stamps_are_no_clock_is_timed_by_arrival(stamps: list[int | None]) -> None:
    """It was told as packet loss, in 122 epochs in 9 s, or with 2250 pictures a second."""
    moments = camera(stamps)
    assert len(moments) > 280
    assert len({m.epoch for m in moments}) <= 4
    assert not any(m.damage or m.missing for m in moments[-150:])
    later = [m.at for m in moments if m.substituted][10:]
    assert len(later) > 150
    assert all(0.02 < b - a < 0.06 for a, b in pairwise(later))
    assert later[-1] - later[0] == pytest.approx((len(later) - 1) / 25, rel=0.02)
    assert moments[-1].substituted


def test_arrivals_in_bursts_are_smoothed() -> None:
    timeline = Timeline()
    moments = []
    for n in range(400):
        burst = stamp(0, key=n == 0)
        moment = timeline.place(replace(burst, arrived=100.0 + 5 * (n // 5) / 25))
        if isinstance(moment, Moment):
            moments.append(moment)
    later = [m.at for m in moments][100:]
    assert all(0.01 < b - a < 0.1 for a, b in pairwise(later))
    assert later[-1] - later[0] == pytest.approx((len(later) - 1) / 25, rel=0.05)


def test_a_sound_clock_is_never_replaced_however_unevenly_pictures_arrive() -> None:
    """A reader that pauses, and a connection that catches up, are no fault of the camera's."""
    timeline = Timeline()
    for n in range(1_000):
        late = 3.0 if 200 <= n < 275 else 0.0
        arrived = 100.0 + max(n / 25, 11.0 if late else 0.0)
        moment = timeline.place(replace(stamp(n * FRAME, key=n % GOP == 0), arrived=arrived))
        assert isinstance(moment, Moment)
        assert not moment.substituted


@pytest.mark.parametrize("dts", [True, False], ids=["with DTS", "without"])
@pytest.mark.parametrize("doubled", [True, False], ids=["doubled", "frozen"])
def test_a_file_whose_stamps_are_no_clock_has_lost_nothing(dts: bool, doubled: bool) -> None:
    timeline = Timeline()
    timeline.reconnected(complete=True)
    placed = [
        timeline.place(
            replace(
                stamp(2 * (n // 2) * FRAME if doubled else 0, key=n == 0),
                dts=n * FRAME if dts else None,
            )
        )
        for n in range(300)
    ]
    moments = [one for one in placed if isinstance(one, Moment)]
    assert len(moments) > 280
    assert {m.epoch for m in moments} == {1}
    assert not any(m.damage or m.missing for m in moments)
    assert moments[-1].at == pytest.approx(12.0, abs=0.8)


# --- files, of which nothing is lost -------------------------------------------------------------


def file(
    seconds: Iterable[float | None], duration_s: float | None, rate: int | None = 25, gop: int = 25
) -> list[Moment]:
    """Place the pictures of a file that declares a frame rate and a duration."""
    timeline = Timeline()
    timeline.reconnected(complete=True)
    timeline.declared(None if rate is None else Fraction(rate), duration_s)
    placed = []
    for n, at in enumerate(seconds):
        pts = None if at is None else round(at / TICKS)
        one = replace(stamp(pts, key=n % gop == 0), vouched=sys.maxsize, dts=pts)
        placed.append(timeline.place(one))
    return [one for one in placed if isinstance(one, Moment)]


def strays(count: int, seed: int) -> list[float]:
    """A third of the pictures, at random, are stamped an hour away."""
    rng = random.Random(seed)
    astray = rng.sample(range(count), count // 3)
    return [n / 25 + rng.choice((-3_600, 3_600)) * (n in astray) for n in range(count)]


@pytest.mark.parametrize("seed", range(6))
def test_a_file_with_a_third_of_its_stamps_astray_keeps_its_pictures(seed: int) -> None:
    """They were dropped, and what was missing was told as packet loss."""
    moments = file(strays(75, seed), 3.0)
    assert len(moments) >= 73
    assert {m.epoch for m in moments} == {1}
    assert not any(m.damage or m.missing for m in moments)
    assert moments[-1].at == pytest.approx(74 / 25, abs=0.2)
    assert all(a.at < b.at for a, b in pairwise(moments))
    assert moments[-1].substituted


@pytest.mark.parametrize("rate", [25, 50, None])
@pytest.mark.parametrize("times", [1 / 90, 1 / 30, 90], ids=["slow", "slower", "fast"])
def test_a_file_whose_clock_is_many_times_off_goes_by_its_declared_rate(
    times: float, rate: int | None
) -> None:
    """It was one frame and 0.0 s when too slow, and fifteen faces without a score when too fast."""
    fps = rate or 25
    moments = file([n / fps * times for n in range(75)], 75 / fps, rate)
    assert len(moments) >= 74
    assert {m.epoch for m in moments} == {1}
    assert not any(m.damage or m.missing for m in moments)
    assert moments[-1].at == pytest.approx(74 / fps, abs=0.1)
    assert moments[-1].substituted


def test_a_long_file_whose_clock_is_too_fast_is_found_out_at_its_declared_end() -> None:
    moments = file([n / 25 * 90 for n in range(1_500)], 60.0)
    found = next(n for n, m in enumerate(moments) if m.substituted)
    assert found < 30
    assert {m.epoch for m in moments[found:]} == {moments[-1].epoch}


def test_a_file_whose_first_stamp_is_stray_goes_on_in_the_same_epoch() -> None:
    moments = file([3_600 * (n == 0) + n / 25 for n in range(50)], 2.0)
    assert {m.epoch for m in moments} == {1}
    assert moments[-1].at == pytest.approx(49 / 25, abs=0.05)


def test_one_stray_stamp_in_a_file_is_no_word_about_its_clock() -> None:
    moments = file([n / 25 + 3_600 * (n % 50 == 30) for n in range(200)], 8.0)
    assert len(moments) == 200
    assert [m.at for m in moments] == pytest.approx([n / 25 for n in range(200)])
    assert not any(m.substituted for m in moments)


def test_a_picture_of_a_file_without_a_stamp_follows_its_predecessor() -> None:
    moments = file([None if n % 5 in (2, 3) else n / 25 for n in range(100)], 4.0)
    assert [m.at for m in moments] == pytest.approx([n / 25 for n in range(100)])


@pytest.mark.parametrize(
    ("made", "rate", "within"),
    [
        pytest.param(lambda n: n * 1.0, 25, 0, id="time lapse"),
        pytest.param(lambda n: n * 5.0, 25, 7, id="screen at 0.2 fps"),
        pytest.param(lambda n: n / 240, 30, 0, id="240 fps"),
        pytest.param(lambda n: n / 480, 480, 0, id="480 fps"),
        pytest.param(lambda n: n // 2 / 15 + n % 2 / 60, 25, 0, id="uneven"),
        pytest.param(lambda n: n // 10 * 0.9 + n % 10 / 60, 25, 0, id="bursts"),
    ],
)
@pytest.mark.parametrize("says_duration", [True, False])
def test_a_file_of_any_rate_that_can_be_keeps_its_own_clock(
    made: Callable[[int], float], rate: int, within: int, says_duration: bool
) -> None:
    """What it declares of its rate proves nothing: only the first pictures may cost an epoch."""
    seconds = [made(n) for n in range(100)]
    moments = file(seconds, seconds[-1] if says_duration else None, rate)
    assert not any(m.substituted or m.astray for m in moments)
    assert len(moments) >= 100 - within
    told = [b.at - a.at for a, b in pairwise(moments[within:])]
    assert told == pytest.approx([b - a for a, b in pairwise(seconds[-len(told) - 1 :])], abs=1e-4)


def test_a_pause_of_a_recorded_screen_is_waited_for_and_no_fault_of_its_clock() -> None:
    seconds = [n // 10 * 13.0 + n % 10 / 10 for n in range(100)]
    moments = file(seconds, seconds[-1])
    assert not any(m.substituted or m.astray for m in moments)
    assert moments[-1].epoch == 10
