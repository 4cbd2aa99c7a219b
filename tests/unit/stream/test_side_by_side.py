"""Several detectors on one stream, through the real perception, engine and device."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stream.clock import ManualClock
from stream.engine.plan import TrackKey
from stream.errors import SettingInvalid
from stream.events import (
    AbstainReason,
    CaptureConditions,
    Event,
    Frame,
    Score,
    TrackEnded,
    TrackStarted,
)
from stream.explain.overlay import Explanation
from stream.offline.analysis import DetectorUnknown
from stream.offline.replay import STREAM, analyze, replay
from stream.perception.perception import Perception
from stream.pipeline import Pipeline
from styleflow.cards import TemporalMode, TrainingStatus
from styleflow.detectors.layers.style_gru import style_flow
from styleflow.detectors.styleflow.style_gru_stream import StyleGruState
from styleflow.ensemble import Ensemble, Fit, Member
from styleflow.errors import EnsembleInvalid
from styleflow.overlay import PointsAt
from tests.support.media import encode, moving_pictures
from tests.support.path import EAGER, CentreFinder, from_file
from tests.support.published import RecordingDevice, card, toy_pipeline_of, toy_styleflow

TRIO = ("styleflow-live", "caddm-resnet34", "fakestormer-c23")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of something that moves, 25 frames a second."""
    path = tmp_path_factory.mktemp("clips") / "disc.mp4"
    return encode(path, moving_pictures(100), gop=25)


def events_of(pipeline: Pipeline, path: Path) -> list[Event]:
    events: list[Event] = []
    replay(from_file(path), pipeline, events.append)
    return events


def scores_of(events: list[Event], detector: str) -> list[Score]:
    return [e for e in events if isinstance(e, Score) and e.detector == detector]


def stacked(*names: str, intercept: float = 0.5) -> Ensemble:
    """Return an ensemble of the toys, weights 1, 2, 3 and so on."""
    members = tuple(Member(name, "", float(i + 1)) for i, name in enumerate(names))
    return Ensemble(members, intercept, 1.0, Fit(100, 5, 0.3, 1e-3))


@pytest.mark.parametrize(
    ("name", "cadence_hz"),
    [
        ("styleflow-live", 12.5),
        ("styleflow", 25.0),
        ("caddm-resnet34", 5.0),
        ("fakestormer-c23", 2.5),
        ("gend-clip-l14", 2.0),
    ],
)
def test_each_detector_scores_a_stream(clip: Path, name: str, cadence_hz: float) -> None:
    """At its own cadence, under its own name, and saying that it is untrained."""
    pipeline = toy_pipeline_of(name)
    scores = scores_of(events_of(pipeline, clip), name)
    assert scores
    assert pipeline.cadence_hz == cadence_hz
    assert all(AbstainReason.UNTRAINED in score.reasons for score in scores)
    distances = np.diff([score.end for score in scores])
    assert distances.min() >= 1 / cadence_hz - 0.041  # never closer than a source frame off


def test_exact_styleflow_live_equals_offline_windows(clip: Path) -> None:
    """Every live logit is that of the last 32 crops, computed whole, once the anchor settled."""
    pipeline = toy_pipeline_of("styleflow")
    scores = scores_of(events_of(pipeline, clip), "styleflow")
    device = pipeline.device
    assert isinstance(device, RecordingDevice)
    crops = np.stack(device.crops[TrackKey(STREAM, scores[0].track)])
    network = toy_styleflow()
    compared = 0
    for score in scores:
        newest = round(score.end * 25)
        if newest < 8 + 31:
            continue  # the anchor moved within this window
        window = torch.from_numpy(crops[newest - 31 : newest + 1])[None]
        assert score.logit == pytest.approx(network(window).item(), abs=1e-4)
        compared += 1
    assert compared > 20
    assert np.std([score.logit for score in scores]) > 1e-3


QUICK_HOPS = (1, 2, 5, 8, 16, 31, 32)
EVERY_HOP = [
    h if h in QUICK_HOPS else pytest.param(h, marks=pytest.mark.slow) for h in range(1, 33)
]


@pytest.mark.parametrize("hop", EVERY_HOP)
def test_exact_styleflow_is_laid_out_for_every_hop(
    hop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rated by the engine every so many frames: equal to whole windows, and none off the grid."""
    network = toy_styleflow()
    detector = network.deploy().every(hop)
    stray: list[bool] = []
    code = detector.gru.code

    def watched(state: StyleGruState, rows: Tensor, deltas: Tensor) -> Tensor:
        stray.append(bool((deltas % hop != 0).any()))
        return code(state, rows, deltas)

    monkeypatch.setattr(detector.gru, "code", watched)
    device = RecordingDevice(detector)
    pipeline = Pipeline(
        [device],
        lambda: Perception(CentreFinder(), [detector.clip]),
        replace(EAGER, hop_s=hop / 25),
        ManualClock(),
    )
    scores = scores_of(run(pipeline, every=1), "styleflow")
    crops = torch.from_numpy(np.stack(device.crops[TrackKey("a", scores[0].track)]))
    ends = [round(score.end * 25) + 1 for score in scores if score.end * 25 >= 8 + 31]
    assert len(ends) == len([end for end in range(1, 101, hop) if end > 8 + 31])
    assert not any(stray)
    latents = network.latents(crops)
    for end in {ends[0], ends[-1]}:
        code_of = network.style_gru.code(style_flow(latents[None, end - 32 : end]))
        clip_of = network.content_input(crops[None, end - 32 : end])
        logit = network.resnet.head(network.resnet.features(clip_of), code_of)
        (score,) = (s for s in scores if round(s.end * 25) + 1 == end)
        assert score.logit == pytest.approx(logit.item(), abs=1e-4)


def run(pipeline: Pipeline, every: int) -> list[Event]:
    """Send four seconds of noise, of which a pipeline gets every n-th frame of 25 a second."""
    pipeline.open("a")
    pictures = np.random.default_rng(0).integers(0, 255, (100, 120, 160, 3), dtype=np.uint8)
    events: list[Event] = []
    for number in range(0, 100, every):
        at = number / 25
        frame = Frame(
            "a",
            0,
            number // every,
            at,
            at,
            pictures[number],
            capture=CaptureConditions(source_fps=25.0),
        )
        events += pipeline.process([(frame, 0)]).events
    return [*events, *pipeline.close("a")]


def test_side_by_side_is_each_alone() -> None:
    """Company changes no detector's scores, and a face begins and ends once."""
    together = run(toy_pipeline_of(*TRIO), every=1)
    for name, every in zip(TRIO, (2, 5, 10), strict=True):
        alone = scores_of(run(toy_pipeline_of(name), every), name)
        beside = scores_of(together, name)
        assert [s.end for s in beside] == [s.end for s in alone] != []
        np.testing.assert_allclose([s.logit for s in beside], [s.logit for s in alone], atol=1e-5)
    kinds = Counter(type(event) for event in together)
    assert kinds[TrackStarted] == kinds[TrackEnded] == 1


def test_faces_are_looked_for_only_in_frames_that_somebody_wants() -> None:
    """12.5 and 5 frames a second meet on a grid of 25, of which 15 in a second are used."""
    pipeline = toy_pipeline_of("styleflow-live", "caddm-resnet34")
    stages: list[str] = []
    assert pipeline.cadence_hz == 25.0
    perceive = Perception(CentreFinder(), [d.detector.clip for d in pipeline.devices])
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    for slot in range(25):
        at = slot / 25
        views = perceive.perceive(
            Frame("a", 0, slot, at, 100 + at, picture, capture=CaptureConditions(source_fps=25.0))
        )
        stages += [",".join(str(i) for i, view in enumerate(views) if view is not None)]
    assert Counter(stages) == {"0": 10, "1": 2, "0,1": 3, "": 10}


def test_a_face_that_has_ended_is_not_spoken_of_again(clip: Path) -> None:
    events = events_of(toy_pipeline_of(*TRIO), clip)
    (end,) = [i for i, event in enumerate(events) if isinstance(event, TrackEnded)]
    assert not any(isinstance(event, Score) for event in events[end:])


def test_an_ensemble_speaks_when_all_its_members_have(clip: Path) -> None:
    """Its logit is the stacked one of their newest; untrained members make it untrained."""
    names = ("caddm-resnet34", "fakestormer-c23")
    pipeline = toy_pipeline_of(*names, ensemble=stacked(*names))
    events = events_of(pipeline, clip)
    newest: dict[str, float] = {}
    spoken = 0
    for event in events:
        if not isinstance(event, Score):
            continue
        if event.detector == "ensemble":
            expected = 0.5 + newest["caddm-resnet34"] + 2 * newest["fakestormer-c23"]
            assert event.logit == pytest.approx(expected)
            assert AbstainReason.UNTRAINED in event.reasons
            spoken += 1
        else:
            newest[event.detector] = event.logit
    assert spoken == len(scores_of(events, "fakestormer-c23"))
    scorer = pipeline.scorers[-1]
    assert scorer.card.name == "ensemble"
    assert scorer.card.status is TrainingStatus.UNTRAINED
    assert scorer.calibration.fitted


def test_an_ensemble_of_both_ways_to_look_at_time_says_so() -> None:
    names = ("styleflow-live", "caddm-resnet34")
    pipeline = toy_pipeline_of(*names, ensemble=stacked(*names))
    assert pipeline.scorers[-1].card.mode is TemporalMode.MIXED


def test_an_ensemble_needs_its_members() -> None:
    with pytest.raises(EnsembleInvalid, match="needs 'fakestormer-c23'"):
        toy_pipeline_of("caddm-resnet34", ensemble=stacked("caddm-resnet34", "fakestormer-c23"))


def test_an_ensemble_refuses_weights_that_it_was_not_fitted_with() -> None:
    member = Member("caddm-resnet34", "0" * 64, 1.0)
    ensemble = Ensemble((member, member), 0.0, 1.0, Fit(10, 3, 0.1, 0.0))
    with pytest.raises(EnsembleInvalid, match="other weights"):
        ensemble.check([card("caddm-resnet34")])


def test_an_analysis_hears_one_detector(clip: Path) -> None:
    pipeline = toy_pipeline_of(*TRIO)
    by_name = analyze(from_file(clip), pipeline, EAGER, detector="caddm-resnet34")
    first = analyze(from_file(clip), pipeline, EAGER)
    assert by_name.model.name == "caddm-resnet34"
    assert first.model.name == "styleflow-live"
    assert {s.detector for track in by_name.tracks for s in track.scores} == {"caddm-resnet34"}
    with pytest.raises(DetectorUnknown, match="fakestormer-c23"):
        analyze(from_file(clip), pipeline, EAGER, detector="caddm-vgg")


def test_a_detector_is_named_once() -> None:
    with pytest.raises(SettingInvalid, match="once"):
        toy_pipeline_of("caddm-resnet34", "caddm-resnet34")


def test_closing_a_stream_releases_every_detectors_slots(clip: Path) -> None:
    pipeline = toy_pipeline_of(*TRIO)
    events_of(pipeline, clip)
    assert [device.stats.used for device in pipeline.devices] == [0, 0, 0]
    assert all(device.stats.pushes > 0 for device in pipeline.devices)


def test_a_viewer_is_shown_what_the_detectors_point_at() -> None:
    """Once for every rating of a detector that can say; the scores stay what they were."""
    names = ("caddm-resnet34", "fakestormer-c23")
    seen: list[Explanation] = []
    shown = run(toy_pipeline_of(*names, viewer=seen.append), every=1)
    plain = run(toy_pipeline_of(*names), every=1)
    assert scores_of(shown, "caddm-resnet34") == scores_of(plain, "caddm-resnet34")
    for name in names:
        own = [each for each in seen if each.detector == name]
        ends = {score.end for score in scores_of(shown, name)}
        assert ends <= {each.frame.at for each in own}
        assert any(each.regions for each in own)
    strengths = [patch.strength for each in seen for patch in each.regions]
    assert 0 < min(strengths) <= max(strengths) <= 1


def test_a_detector_that_cannot_say_points_at_nothing() -> None:
    seen: list[Explanation] = []
    run(toy_pipeline_of("styleflow-live", viewer=seen.append), every=1)
    assert seen
    assert all(each.regions == () for each in seen)


def test_only_who_is_asked_is_explained_and_each_frame_by_its_own_crop() -> None:
    """Of two frames of one stream in a batch, only the one whose crop the device still has."""
    names = ("caddm-resnet34", "fakestormer-c23")
    pipeline = toy_pipeline_of(*names)
    single = toy_pipeline_of("caddm-resnet34")
    pictures = np.random.default_rng(1).integers(0, 255, (8, 120, 160, 3), dtype=np.uint8)
    shown: list[Frame] = [
        Frame("a", 0, slot, slot / 5, slot / 5, picture, capture=CaptureConditions(source_fps=25.0))
        for slot, picture in enumerate(pictures)
    ]
    asked: list[str] = []

    def ask(stream: str) -> tuple[str, ...]:
        asked.append(stream)
        return ("caddm-resnet34",)

    pipeline.open("a")
    single.open("a")
    explained = 0
    for first, second in zip(shown[::2], shown[1::2], strict=True):
        pair = pipeline.process([(first, 0), (second, 0)], ask)
        alone = [single.process([(f, 0)], ask).seen[0] for f in (first, second)]
        assert pair.seen[0].explained == {}
        assert set(pair.seen[1].explained) <= {"caddm-resnet34"}
        for name, (one,) in pair.seen[1].explained.items():
            (other,) = alone[1].explained[name]
            assert one.frame is second
            assert one.regions == other.regions
            np.testing.assert_array_equal(one.corners, other.corners)
            explained += 1
    assert explained > 0
    assert set(asked) == {"a"}


def test_each_scorer_says_what_it_can_point_at() -> None:
    names = ("styleflow-live", "styleflow", "caddm-resnet34", "fakestormer-c23", "gend-clip-l14")
    pipeline = toy_pipeline_of(*names, ensemble=stacked(*names))
    assert [scorer.points_at for scorer in pipeline.scorers] == [
        PointsAt.TRACES,
        None,
        PointsAt.ARTIFACTS,
        PointsAt.VULNERABILITY,
        PointsAt.EVIDENCE,
        None,
    ]


def test_a_slow_detector_watches_beside_a_fast_one(clip: Path) -> None:
    """Two frames a second of one, 12.5 of the other, on a grid that holds both."""
    pipeline = toy_pipeline_of("styleflow-live", "gend-clip-l14")
    assert pipeline.cadence_hz == 50.0
    events = events_of(pipeline, clip)
    fast, slow = (len(scores_of(events, name)) for name in ("styleflow-live", "gend-clip-l14"))
    assert fast > slow > 0
