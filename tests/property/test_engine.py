"""Laws of the engine that hold for any input, with a device that has no model."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.engine.engine import Engine, EngineSettings
from stream.engine.plan import Plan, Ratings, TrackKey
from stream.engine.verdict import Hysteresis
from stream.events import (
    AbstainReason,
    EndedTrack,
    Event,
    Perceived,
    Score,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from styleflow.faces.face import FaceQuality
from tests.support.engine import CLIP, GOOD, FakeDevice, engine, face, play, play_late, seen

QUICK = EngineSettings(
    warmup_s=0.32,
    dwell_s=0.3,
    hop_s=0.16,
    half_life_s=0.5,
    max_loss=0.6,
    max_tracks=3,
    max_pending=8,
)
"""Short times, so that short traces reach every state."""

LOGITS = (-4.0, -1.0, 0.0, 0.5, 1.5, 4.0)
POOR = (FaceQuality(30.0, 200.0, 120.0, 0.0), FaceQuality(160.0, 1.0, 9.0, 80.0))

HAPPENINGS = ["plain"] * 24 + [
    *("start", "hidden", "skip", "gap", "contaminated", "slow", "overrun", "poor", "worse"),
    *("lean", "lean", "lean"),
]
"""What may happen in one frame; mostly nothing, or no verdict would ever be reached."""

ENDINGS = ["end", "epoch"]


class Writer:
    """Writes a trace that perception could have written, one happening per frame."""

    def __init__(self, leanings: Sequence[float]) -> None:
        self.trace: list[Perceived] = []
        self._leanings = leanings
        self._leaning = 0
        self._alive: list[int] = []
        self._tracks = 0
        self._slot = -1
        self._epoch = 0

    def write(self, happening: str) -> None:
        ended: list[EndedTrack] = []
        if happening == "epoch":
            ended = [EndedTrack(track, TrackEnd.EPOCH_ENDED) for track in self._alive]
            self._alive, self._epoch, self._slot = [], self._epoch + 1, -1
        if happening == "end" and self._alive:
            ended = [EndedTrack(self._alive.pop(0), TrackEnd.LOST)]
        started: list[int] = []
        if not self._alive or (happening == "start" and len(self._alive) < 3):
            self._tracks += 1
            started = [self._tracks]
            self._alive.append(self._tracks)
        if happening == "lean":
            self._leaning += 1
        self._slot += {"skip": 2, "gap": 14, "overrun": 3}.get(happening, 1)
        quality = {"poor": POOR[0], "worse": POOR[1]}.get(happening, GOOD)
        shown = self._alive[1:] if happening == "hidden" and not started else self._alive
        self.trace.append(
            seen(
                self._slot,
                *(face(track, self._logit(track), quality) for track in shown),
                epoch=self._epoch,
                contaminated=happening == "contaminated",
                source_fps=6.0 if happening == "slow" else 25.0,
                started=started,
                ended=ended,
                overrun=2 if happening == "overrun" else 0,
            )
        )

    def _logit(self, track: int) -> float:
        return self._leanings[(track + self._leaning) % len(self._leanings)]


@st.composite
def traces(draw: st.DrawFn, *, ending: bool = True, longest: int = 60) -> list[Perceived]:
    writer = Writer(draw(st.lists(st.sampled_from(LOGITS), min_size=1, max_size=6)))
    kinds = HAPPENINGS + ENDINGS if ending else HAPPENINGS
    frames = draw(st.integers(1, longest))
    for happening in draw(st.lists(st.sampled_from(kinds), min_size=frames, max_size=frames)):
        writer.write(happening)
    return writer.trace


def scores(events: Iterable[Event]) -> list[Score]:
    return [event for event in events if isinstance(event, Score)]


def changes(events: Iterable[Event]) -> list[VerdictChanged]:
    return [event for event in events if isinstance(event, VerdictChanged)]


@given(traces())
def test_the_same_trace_gives_the_same_events(trace: list[Perceived]) -> None:
    assert play(engine(settings=QUICK), FakeDevice(), trace) == play(
        engine(settings=QUICK), FakeDevice(), trace
    )


@given(traces(), st.integers(0, 50))
def test_in_pieces_equals_whole(trace: list[Perceived], cut: int) -> None:
    """An engine that is put away and taken out again goes on as if nothing had happened."""
    whole = play(engine(settings=QUICK), FakeDevice(), trace)
    core, device = engine(settings=QUICK), FakeDevice()
    first = play(core, device, trace[:cut])
    core, device = pickle.loads(pickle.dumps((core, device)))
    assert first + play(core, device, trace[cut:]) == whole


@given(traces(ending=False), st.lists(st.integers(1, 6), max_size=50))
def test_answers_in_groups_equal_answers_at_once(trace: list[Perceived], lag: list[int]) -> None:
    """How late the device answers changes no score and no verdict."""
    at_once = play(engine(settings=QUICK), FakeDevice(), trace)
    late = play_late(engine(settings=QUICK), FakeDevice(), trace, lag)
    rated = (Score, VerdictChanged)
    assert [e for e in late if isinstance(e, rated)] == [e for e in at_once if isinstance(e, rated)]


@given(traces(), st.floats(-1e6, 1e6))
def test_arrival_times_change_nothing_but_themselves(trace: list[Perceived], shift: float) -> None:
    def timeless(events: list[Event]) -> list[Event]:
        return [replace(e, arrived=0.0) if isinstance(e, Score) else e for e in events]

    shifted = [replace(each, arrived=each.arrived + shift) for each in trace]
    plain = play(engine(settings=QUICK), FakeDevice(), trace)
    moved = play(engine(settings=QUICK), FakeDevice(), shifted)
    assert timeless(plain) == timeless(moved)


@given(traces(longest=30), traces(longest=30), st.lists(st.booleans(), max_size=60))
def test_streams_on_one_device_do_not_touch_each_other(
    lobby: list[Perceived], gate: list[Perceived], order: list[bool]
) -> None:
    gate = [replace(each, stream="gate") for each in gate]
    alone = play(engine(settings=QUICK), FakeDevice(), lobby)
    device = FakeDevice()
    cores = {"lobby": engine(settings=QUICK), "gate": engine("gate", settings=QUICK)}
    left, right = list(lobby), list(gate)
    events: list[Event] = []
    for first in [*order, *([True] * len(lobby)), *([False] * len(gate))]:
        queue = left if first else right
        if queue:
            each = queue.pop(0)
            events += play(cores[each.stream], device, [each])
    assert [event for event in events if event.stream == "lobby"] == alone


@given(traces())
def test_no_score_without_a_push_and_no_verdict_before_warm_up(trace: list[Perceived]) -> None:
    core, device = engine(settings=QUICK), FakeDevice()
    for each in trace:
        events = play(core, device, [each])
        for score in scores(events):
            assert not each.capture.contaminated
            assert score.track in {f.track for f in each.faces}
            if score.frames < QUICK.warmup_frames(CLIP):
                assert AbstainReason.WARMING in score.reasons


@given(traces())
def test_a_score_with_reasons_is_pending_and_every_change_is_told(trace: list[Perceived]) -> None:
    """Verdict events, taken together, always lead to the verdict of the newest score."""
    shown: dict[int, Verdict] = {}
    pending: Verdict | None = None
    for event in play(engine(settings=QUICK), FakeDevice(), trace):
        if isinstance(event, VerdictChanged):
            assert event.previous is shown[event.track] is not event.verdict
            shown[event.track] = event.verdict
            assert pending in (None, event.verdict)
            pending = None
        elif isinstance(event, Score):
            assert pending is None
            if event.reasons:
                assert event.verdict is Verdict.PENDING
            if event.verdict is not shown[event.track]:
                pending = event.verdict  # the change must come next
            assert 0 <= event.low <= event.score <= event.high <= 1
        elif isinstance(event, TrackStarted):
            shown[event.track] = Verdict.PENDING
        elif isinstance(event, TrackEnded):
            del shown[event.track]
    assert pending is None


@given(traces())
def test_tracks_start_once_end_once_and_score_only_in_between(trace: list[Perceived]) -> None:
    core, device = engine(settings=QUICK), FakeDevice()
    events = play(core, device, trace)
    plan, closing = core.end(TrackEnd.EPOCH_ENDED)
    device.run([plan])
    alive: set[int] = set()
    ever: set[int] = set()
    for event in [*events, *closing]:
        if isinstance(event, TrackStarted):
            assert event.track not in ever
            alive.add(event.track)
            ever.add(event.track)
        elif isinstance(event, TrackEnded):
            alive.remove(event.track)
        elif isinstance(event, Score | VerdictChanged):
            assert event.track in alive
    assert alive == set()
    assert device.states == {}


@given(traces(ending=False), st.data())
def test_loss_and_contamination_never_raise_a_score(
    trace: list[Perceived], data: st.DataObject
) -> None:
    """Damage may carry any picture: no score exceeds what intact frames alone have said."""
    highest = 0.5
    damaged = []
    for each in trace:
        kind = data.draw(st.sampled_from(["intact", "intact", "contaminated", "lost"]))
        if kind == "lost" and not each.started:
            continue
        hit = kind != "intact"
        faces = tuple(face(f.track, 7.0 if hit else highest, f.quality) for f in each.faces)
        damaged.append(replace(each, capture=replace(each.capture, contaminated=hit), faces=faces))
    device = FakeDevice()
    events = play(engine(settings=QUICK), device, damaged)
    assert all(level <= highest for levels in device.pushed.values() for level in levels)
    limit = 1 / (1 + math.exp(-highest)) + 1e-9
    assert all(score.score <= limit for score in scores(events))
    assert Verdict.SUSPECT not in {change.verdict for change in changes(events)}


@given(traces(), st.integers(0, 20))
def test_contaminated_frames_are_never_pushed(trace: list[Perceived], odd: int) -> None:
    marked = [
        replace(
            each,
            capture=replace(each.capture, contaminated=True),
            faces=tuple(face(f.track, 7.0) for f in each.faces),
        )
        if index % (odd + 2) == 0
        else each
        for index, each in enumerate(trace)
    ]
    device = FakeDevice()
    play(engine(settings=QUICK), device, marked)
    assert all(7.0 not in levels for levels in device.pushed.values())


NUMBERS = st.integers(-5, 12) | st.integers(-(10**18), 10**18)
ODD_FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def chaos(draw: st.DrawFn) -> Perceived:
    """Return something that no perception would say."""
    slot = draw(NUMBERS)
    quality = FaceQuality(*(draw(ODD_FLOATS) for _ in range(4)))
    base = seen(
        slot,
        *(
            face(draw(NUMBERS), draw(st.sampled_from(LOGITS)), quality)
            for _ in range(draw(st.integers(0, 8)))
        ),
        epoch=draw(st.integers(-2, 3)),
        contaminated=draw(st.booleans()),
        source_fps=draw(ODD_FLOATS),
        started=draw(st.lists(NUMBERS, max_size=8)),
        ended=[EndedTrack(n, TrackEnd.LOST) for n in draw(st.lists(NUMBERS, max_size=8))],
        overrun=draw(NUMBERS),
    )
    return replace(base, at=draw(ODD_FLOATS), arrived=draw(ODD_FLOATS))


@st.composite
def odd_answers(draw: st.DrawFn, plans: Sequence[Plan]) -> tuple[Plan, Ratings]:
    """Return an answer that may be late, double, foreign, wrong or right."""
    plan = draw(st.sampled_from(list(plans)))
    if draw(st.booleans()):
        plan = replace(plan, number=draw(NUMBERS), stream=draw(st.sampled_from(["lobby", "gate"])))
    keys = [rate.key for rate in plan.rates]
    keys += [TrackKey("lobby", draw(NUMBERS)), TrackKey("gate", 1)]
    logits = {key: draw(ODD_FLOATS) for key in keys}
    refused = frozenset(draw(st.lists(st.sampled_from(keys), max_size=2)))
    number = plan.number if draw(st.booleans()) else draw(NUMBERS)
    return plan, Ratings(number, logits, refused, 1)


def footprint(core: Engine) -> int:
    return len(pickle.dumps(core))


@settings(max_examples=60)
@given(st.data())
def test_nothing_crashes_or_outgrows_its_bounds(data: st.DataObject) -> None:
    """Whatever is seen and answered: bounded memory, no resurrection, honest verdicts."""
    core = engine(settings=QUICK)
    plans: list[Plan] = []
    ended: set[int] = set()
    for _ in range(data.draw(st.integers(1, 25))):
        plan, events = core.step(data.draw(chaos()))
        plans = [*plans[-10:], plan]
        events += core.resolve(*data.draw(odd_answers(plans)))
        assert len(plan.pushes) <= QUICK.max_tracks
        assert {rate.key for rate in plan.rates} <= {push.key for push in plan.pushes}
        for event in events:
            if isinstance(event, TrackEnded):
                ended.add(event.track)
            else:
                assert event.track not in ended  # type: ignore[union-attr]
            if isinstance(event, Score):
                assert math.isfinite(event.score)
                assert not event.reasons or event.verdict is Verdict.PENDING
        assert core.report(0.0).tracks <= QUICK.max_tracks
        assert footprint(core) < 20_000


def test_memory_is_flat_over_a_long_stream_that_is_never_answered() -> None:
    core = engine(settings=QUICK)
    sizes = []
    for slot in range(3000):
        core.step(seen(slot, face(slot), face(slot - 1), started=(slot,)))
        if slot % 500 == 499:
            sizes.append(footprint(core))
    assert max(sizes) < min(sizes) * 1.1
    assert core.counters.unanswered > 2900


STEPS = st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 0.5)), max_size=60)


@given(STEPS)
def test_hysteresis_enters_high_and_leaves_low(steps: list[tuple[float, float]]) -> None:
    """Each change is backed by scores beyond its threshold for the whole dwell."""
    limits = EngineSettings(enter=0.7, leave=0.4, dwell_s=0.5)
    machine = Hysteresis()
    beyond: list[tuple[float, float]] = []
    for score, elapsed in steps:
        before = machine.held
        after = machine.update(score, elapsed, limits)
        side = 1 if score >= limits.enter else -1 if score <= limits.leave else 0
        if beyond and beyond[-1][0] != side:
            beyond = []
        beyond.append((side, elapsed if beyond else 0.0))
        if after is not before:
            assert after is (Verdict.SUSPECT if side > 0 else Verdict.CLEAR)
            assert sum(seconds for _, seconds in beyond) >= limits.dwell_s - 1e-6
        if side == 0:
            assert after is before


@given(STEPS)
def test_a_verdict_never_returns_to_pending_by_its_scores(steps: list[tuple[float, float]]) -> None:
    limits = EngineSettings(dwell_s=0.5)
    machine = Hysteresis()
    decided = False
    for score, elapsed in steps:
        decided |= machine.update(score, elapsed, limits) is not Verdict.PENDING
        assert not decided or machine.held is not Verdict.PENDING
