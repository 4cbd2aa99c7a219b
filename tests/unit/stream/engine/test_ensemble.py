"""What an ensemble makes of its members' scores, without any detector."""

from __future__ import annotations

from stream.engine.ensemble import EnsembleEngine
from stream.engine.settings import EngineSettings
from stream.events import Score
from styleflow.cards import TrainingStatus
from styleflow.ensemble import Ensemble, Fit, Member
from tests.support.wire import score

MEMBERS = ("caddm-resnet34", "styleflow-live")


def spoken(*weights: float) -> list[Score]:
    """Return what it says after every round of its members, a second apart."""
    members = tuple(Member(name, "", 1.0) for name in MEMBERS)
    engine = EnsembleEngine(
        Ensemble(members, 0.0, 1.0, Fit(10, 3, 0.1, 0.0)),
        EnsembleEngine.clip(2.48),
        TrainingStatus.TRAINED,
        EngineSettings(),
    )
    said = []
    for second in range(4):
        for name, weight in zip(MEMBERS, weights, strict=True):
            told = engine.take(score(detector=name, end=1.28 + second, evidence_weight=weight))
            said += [event for event in told if isinstance(event, Score)]
    return said


def test_a_frame_is_worth_as_much_as_to_the_member_to_whom_it_is_worth_least() -> None:
    full, part = spoken(1.0, 1.0), spoken(1.0, 0.25)
    assert [s.evidence_weight for s in full] == [1.0] * 4
    assert [s.evidence_weight for s in part] == [0.25] * 4
    assert [s.score for s in part] == [s.score for s in full]
    assert all(p.low < f.low < f.high < p.high for p, f in zip(part, full, strict=True))
