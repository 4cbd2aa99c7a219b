"""Transitions of an engine, told to whoever traces it."""

from stream.engine.engine import Engine, EngineSettings
from stream.events import EndedTrack, TrackEnd
from styleflow.calibration import Calibration
from styleflow.cards import TrainingStatus
from tests.support.engine import CLIP, DETECTOR, FakeDevice, face, play, seen


class Traced:
    """An engine, and all that it has told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []
        model = (DETECTOR, CLIP, Calibration(fitted=True), TrainingStatus.TRAINED)
        self.engine = Engine("lobby", *model, EngineSettings(), self._trace)

    def _trace(self, transition: str, /, **facts: object) -> None:
        self.told.append((transition, facts.get("track")))


def test_every_transition_is_told_once_and_in_order() -> None:
    traced = Traced()
    suspicious = [seen(slot, face(1, 7.0), started=[1] if slot == 0 else []) for slot in range(60)]
    play(traced.engine, FakeDevice(), suspicious)
    play(traced.engine, FakeDevice(slots=0), [seen(60, face(1), face(2), started=[2])])
    play(traced.engine, FakeDevice(), [seen(61, ended=[EndedTrack(1, TrackEnd.LOST)])])
    assert traced.told == [
        ("epoch", None),
        ("track_started", 1),
        ("verdict", 1),
        ("track_started", 2),
        ("verdict", 1),
        ("refused", 1),
        ("refused", 2),
        ("track_ended", 1),
    ]


def test_plans_that_are_never_answered_are_told() -> None:
    traced, device = Traced(), FakeDevice()
    traced.engine.step(seen(0, face(1), started=[1]))
    plan, _ = traced.engine.step(seen(1, face(1)))
    (ratings,) = device.run([plan])
    traced.engine.resolve(plan, ratings)
    assert traced.told[-1] == ("unanswered", 1)
