"""Recorded against replayed scores: which are compared, with whom, and what they may differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from stream.events import CaptureConditions, Score, Verdict
from stream.evidence import replay
from stream.evidence.bundle import SIDECAR
from stream.evidence.errors import BundleRefused, ReplayImpossible
from stream.evidence.sidecar import PacketRecord, Sidecar
from stream.ingest.frame_log import FrameNote
from stream.ingest.source import StreamFormat
from stream.store.access import to_us
from styleflow.faces.face import Box, FaceQuality
from tests.support.bundles import MADE

HASH = "ab" * 32


def note(arrived: float, **changes: Any) -> FrameNote:
    made = FrameNote(arrived, 1, 0, 0.0, 0, False, 1, 1, CaptureConditions(source_fps=25.0))
    return replace(made, **changes)


def packet(number: int, arrived: float) -> PacketRecord:
    base = Fraction(1, 90_000)
    return PacketRecord(number, arrived, 0, 0, base, True, False, 0, 0, HASH, 0, 0)


def sidecar(*notes: FrameNote) -> Sidecar:
    known = StreamFormat("h264", 160, 120, None)
    packets = tuple(packet(n, each.arrived) for n, each in enumerate(notes))
    return Sidecar("clip.mp4", (known,), packets, "rtsp", 100.0, MADE.isoformat(), {}, notes)


def row(arrived: float, p: float = 0.9, track: int = 1, **more: Any) -> dict[str, Any]:
    at = to_us(MADE) + round((arrived - 100.0) * 1e6)
    return {"at": at, "epoch": 1, "track": track, "model": 1, "p": p, "logit": 2.0} | more


def parts(known: Sidecar, *rows: dict[str, Any]) -> dict[str, bytes]:
    model = {"number": 1, "name": "styleflow-live", "version": "1", "sha256": HASH}
    said: dict[str, Any] = {
        "scores.json": {"scores": rows},
        "model.json": {"weights": [model]},
        "configuration.json": {"engine": {}},
        "versions.json": {"torch": "2"},
    }
    made = {name: json.dumps(value).encode() for name, value in said.items()}
    return made | {SIDECAR: known.to_json(), "clip.mp4": b""}


def score(arrived: float, p: float = 0.9, track: int = 7) -> Score:
    return Score(
        stream="replay",
        epoch=1,
        track=track,
        start=0.0,
        end=0.0,
        frames=9,
        missing=0,
        logit=2.0,
        probability=p,
        score=p,
        low=0.0,
        high=1.0,
        verdict=Verdict.SUSPECT,
        reasons=(),
        quality=FaceQuality(90.0, 90.0, 90.0, 0.0),
        box=Box(0, 0, 9, 9),
        arrived=arrived,
        detector="styleflow-live",
    )


def recorded(known: Sidecar, *rows: dict[str, Any]) -> replay.Recording:
    return replay.recording(parts(known, *rows))


WHOLE = sidecar(note(100.0, begins=True), note(101.0), note(120.0))
MIDDLE = sidecar(note(100.0), note(101.0), note(120.0))


def test_notes_of_frames_survive_the_sidecar() -> None:
    known = sidecar(
        note(100.1, slot=4, at=0.32, left_out=2, begins=True, detect_factor=2), note(101)
    )
    assert Sidecar.of_json(known.to_json()) == known
    with pytest.raises(ValueError, match="another length"):
        Sidecar.of_json(known.to_json().replace(b"[100.1,", b"[100.1, 5,"))
    with pytest.raises(ValueError, match="out of range"):
        Sidecar.of_json(sidecar(note(100.0, hop_factor=5000)).to_json())


def test_equal_scores_of_a_whole_epoch_are_the_same_to_the_last_bit() -> None:
    found = replay.compare(recorded(WHOLE, row(100.5), row(101.0)), [score(100.5), score(101.0)])
    assert [pair.whole for pair in found.pairs] == [True, True]
    assert found.equal
    assert found.within


def test_a_whole_epoch_is_held_to_the_narrow_tolerance() -> None:
    read = recorded(WHOLE, row(100.5), row(101.0))
    near = replay.compare(read, [score(100.5, 0.9 + 0.0005), score(101.0)])
    assert near.largest == pytest.approx(0.0005)
    assert (near.equal, near.within) == (False, True)
    far = replay.compare(read, [score(100.5, 0.91), score(101.0)])
    assert not far.within


def test_a_score_that_is_not_made_again_is_a_deviation() -> None:
    found = replay.compare(recorded(WHOLE, row(100.5), row(101.0)), [score(100.5)])
    assert found.pairs[1].replayed is None
    assert not found.within


def test_a_video_from_the_middle_is_compared_once_it_has_settled() -> None:
    read = recorded(MIDDLE, row(101.0), row(119.0))
    found = replay.compare(read, [score(101.0, 0.1), score(119.0, 0.85)])
    assert [pair.settled for pair in found.pairs] == [False, True]
    assert found.within
    assert not found.equal
    short = replay.compare(recorded(MIDDLE, row(101.0)), [score(101.0)])
    assert short.largest is None


def test_faces_are_matched_by_their_moments_then_by_their_scores() -> None:
    rows = [row(100.5, 0.9, 1), row(100.5, 0.1, 2), row(101.0, 0.2, 2)]
    made = [score(100.5, 0.1, 5), score(100.5, 0.9, 4), score(101.0, 0.2, 5)]
    assert replay.compare(recorded(WHOLE, *rows), made).equal


def test_scores_outside_the_video_and_without_a_number_are_left_out() -> None:
    read = recorded(WHOLE, row(99.0), row(101.0), row(121.0), row(102.0) | {"p": None})
    assert [each.arrived for each in read.scores] == [pytest.approx(101.0)]


@pytest.mark.parametrize(
    ("change", "needs"),
    [
        (lambda p: p.pop(SIDECAR), "no video"),
        (lambda p: p.update({SIDECAR: sidecar().to_json()}), "which frames"),
        (lambda p: p.update({"scores.json": b'{"scores":[]}'}), "full_rate_hours"),
    ],
)
def test_what_is_missing_is_named(change: Callable[[dict[str, bytes]], Any], needs: str) -> None:
    made = parts(WHOLE, row(101.0))
    change(made)
    with pytest.raises(ReplayImpossible) as error:
        replay.recording(made)
    assert needs in str(error.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("scores.json", b"[]"),
        ("scores.json", b'{"scores":[{"at":1e400}]}'),
        ("scores.json", b"[" * 100_000),
        ("model.json", b'{"weights":[{}]}'),
        ("configuration.json", b"3"),
        ("versions.json", b"[]"),
        (SIDECAR, b"{}"),
    ],
)
def test_parts_of_another_shape_are_refused(name: str, data: bytes) -> None:
    made = parts(WHOLE, row(101.0)) | {name: data}
    with pytest.raises(BundleRefused):
        replay.recording(made)


def test_a_sidecar_that_would_fill_the_memory_is_refused() -> None:
    heavy = replace(WHOLE, packets=(replace(WHOLE.packets[0], bytes=2_000_000_000),))
    with pytest.raises(BundleRefused, match="more packets"):
        replay.recording(parts(heavy, row(101.0)))


def test_a_face_that_is_met_in_the_middle_is_rated_at_other_moments() -> None:
    read = recorded(MIDDLE, row(119.0), row(119.3))
    found = replay.compare(read, [score(118.92, 0.88), score(119.16, 0.89), score(119.4, 0.9)])
    assert [pair.replayed and pair.replayed.arrived for pair in found.pairs] == [118.92, 119.4]
    assert found.within
    exact = recorded(WHOLE, row(119.0))
    assert replay.compare(exact, [score(118.92)]).pairs[0].replayed is None


def test_thresholds_of_the_stream_survive_the_sidecar() -> None:
    known = replace(WHOLE, engine={"hop_s": 0.5, "warmup_s": None, "max_tracks": 3})
    assert Sidecar.of_json(known.to_json()) == known
    assert recorded(known, row(101.0)).sidecar.engine["hop_s"] == 0.5
