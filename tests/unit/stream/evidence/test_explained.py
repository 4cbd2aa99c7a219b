"""Explained moments: found, bounded, written beside the video, and said when there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream.clock import ManualClock
from stream.errors import OverlaysBusy, OverlayUnavailable, StreamError, StreamUnknown
from stream.event_log.event_log import StampedEvent
from stream.events import IncidentChanged
from stream.evidence.explained import (
    FACTS,
    MAX_HELD,
    MAX_LOOKING,
    MAX_LOOKS,
    PICTURE,
    ExplainedMoment,
    ExplainedMoments,
)
from stream.explain.stills import ExplainedFace, Overlay, ShownFace, Still
from stream.incident import Evidence, EvidenceState, Incident, IncidentStep
from styleflow.faces.face import Box
from styleflow.overlay import Patch, PointsAt
from tests.support.alerts import incident

CORNERS = np.array([[10, 10], [90, 10], [90, 90], [10, 90]], float)
PLACE = Patch(0.3, 0.6, 0.7, 0.9, 0.8)


def still(track: int = 1, *places: Patch, explained: bool = True, epoch: int = 1) -> Still:
    """Return a picture with one explained face."""
    faces = (ExplainedFace(track, CORNERS, places),) if explained else ()
    return Still(
        "lobby",
        epoch,
        7,
        1.0,
        100.0,
        640,
        360,
        (ShownFace(track, Box(10, 10, 90, 90)),),
        b"jpeg",
        960,
        Overlay("toy", explained, faces),
    )


class Played:
    """An analyzer whose next picture the test decides."""

    def __init__(self) -> None:
        self.next: Still | StreamError | None = None
        self.asked: list[str] = []

    async def picture(
        self, stream: str, width: int, overlay: str | None = None, *, drawn: bool = False
    ) -> Still | None:
        self.asked.append(f"{stream} {overlay}")
        if isinstance(self.next, StreamError):
            raise self.next
        return self.next

    async def pointers(self, stream: str) -> dict[str, PointsAt | None]:
        return {"toy": PointsAt.TRACES}


class Rig:
    """Moments that a played analyzer answers."""

    def __init__(self, folder: Path | None = None) -> None:
        self.clock = ManualClock(start=100.0)
        self.look = Played()
        self.folder = folder
        self.moments = ExplainedMoments(self.look, self.clock, folder)

    def tell(self, step: IncidentStep, one: Incident) -> None:
        """Tell of a change."""
        event = IncidentChanged(one.stream, one.epoch, one, step)
        self.moments.accept(StampedEvent(1, 0.0, self.clock.utc(), event))

    async def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, and look."""
        self.clock.advance(seconds)
        await self.moments.step()


def kept(one: Incident) -> Incident:
    """Return an incident whose video is kept."""
    return replace(one, evidence=Evidence(EvidenceState.KEPT))


def names(folder: Path) -> set[str]:
    """Return the files in a folder, which nobody else may read."""
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    return {path.name for path in folder.iterdir()}


async def test_the_first_frame_in_which_something_stands_out_is_kept() -> None:
    rig, one = Rig(), incident()
    rig.tell(IncidentStep.OPENED, one)
    await rig.turn()
    assert await rig.moments.find(one) == "looking"
    for nothing in (still(explained=False), still(2, PLACE), still(1, PLACE, epoch=2), still(1)):
        rig.look.next = nothing
        await rig.turn(0.25)
        assert await rig.moments.find(one) == "looking"
    rig.look.next = still(1, PLACE)
    await rig.turn(0.25)
    found = await rig.moments.find(one)
    assert isinstance(found, ExplainedMoment)
    assert found.overlay.faces[0].regions == (PLACE,)
    assert found.boxes == (Box(10, 10, 90, 90),)
    asked = len(rig.look.asked)
    await rig.turn(0.25)
    assert len(rig.look.asked) == asked, "nobody is asked once it is found"


async def test_a_frame_in_which_nothing_stands_out_is_better_than_none() -> None:
    rig, one = Rig(), incident()
    rig.look.next = still(1)
    rig.tell(IncidentStep.OPENED, one)
    await rig.turn()
    assert await rig.moments.find(one) == "looking"
    await rig.turn(2.5)
    found = await rig.moments.find(one)
    assert isinstance(found, ExplainedMoment)
    assert not found.points


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (OverlayUnavailable("toy", ()), "unable"),
        (OverlaysBusy(8), "busy"),
        (StreamUnknown("lobby"), "unseen"),
        (None, "unseen"),
    ],
)
async def test_why_there_is_none_is_known(answer: StreamError | None, why: str) -> None:
    rig, one = Rig(), incident()
    rig.look.next = answer
    rig.tell(IncidentStep.OPENED, one)
    await rig.turn()
    await rig.turn(13.0)
    assert await rig.moments.find(one) == why
    assert rig.moments.outcomes[why] == 1
    assert await rig.moments.find(incident("never-seen")) == "none"


async def test_it_lies_beside_the_video_and_is_there_after_a_restart(tmp_path: Path) -> None:
    rig, one = Rig(tmp_path), incident()
    rig.look.next = still(1, PLACE)
    rig.tell(IncidentStep.OPENED, one)
    await rig.turn()
    assert list(rig.moments) == [one.id], "there is no video yet"
    (tmp_path / one.id).mkdir()
    rig.tell(IncidentStep.EVIDENCE, kept(one))
    await rig.turn()
    assert names(tmp_path / one.id) == {FACTS, PICTURE}
    assert list(rig.moments) == []
    found = await Rig(tmp_path).moments.find(kept(one))
    assert isinstance(found, ExplainedMoment)
    assert found.points_at is PointsAt.TRACES
    assert found.overlay.faces[0].regions == (PLACE,)
    assert np.array_equal(found.overlay.faces[0].corners, CORNERS)
    assert found.jpeg == b"jpeg"


async def test_what_is_held_is_written_at_the_end(tmp_path: Path) -> None:
    rig, one = Rig(tmp_path), incident()
    rig.look.next = still(1, PLACE)
    rig.tell(IncidentStep.OPENED, one)
    await rig.turn()
    (tmp_path / one.id).mkdir()
    await rig.moments.close()
    assert (tmp_path / one.id / PICTURE).read_bytes() == b"jpeg"


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"faces": [{"track": 1}]}', b"\xff"])
async def test_a_broken_file_is_as_good_as_none(tmp_path: Path, broken: bytes) -> None:
    rig, one = Rig(tmp_path), kept(incident())
    (tmp_path / one.id).mkdir()
    (tmp_path / one.id / PICTURE).write_bytes(b"jpeg")
    (tmp_path / one.id / FACTS).write_bytes(broken)
    assert await rig.moments.find(one) == "none"


async def test_a_score_that_rose_a_good_deal_is_worth_another_look_but_not_for_ever() -> None:
    rig, one = Rig(), incident()
    rig.look.next = still(1, PLACE)
    rig.tell(IncidentStep.OPENED, replace(one, peak=replace(one.peak, p=0.5)))
    await rig.turn()
    for p in (0.52, 0.6, 0.7, 0.8, 0.9):
        rig.tell(IncidentStep.EXTENDED, replace(one, peak=replace(one.peak, p=p)))
        await rig.turn()
    assert rig.moments.outcomes["kept"] == MAX_LOOKS


async def test_looks_and_what_is_held_are_bounded_and_counted() -> None:
    rig = Rig()
    for n in range(MAX_LOOKING + 2):
        rig.tell(IncidentStep.OPENED, incident(f"i{n}"))
    assert rig.moments.looking == MAX_LOOKING
    assert rig.moments.outcomes["busy"] == 2
    assert await rig.moments.find(incident(f"i{MAX_LOOKING}")) == "busy"
    rig.look.next = still(1, PLACE)
    await rig.turn()
    for n in range(100, 100 + MAX_HELD):
        rig.tell(IncidentStep.OPENED, incident(f"i{n}"))
        await rig.turn()
    assert len(list(rig.moments)) == MAX_HELD
    assert rig.moments.outcomes["held"] == MAX_LOOKING
    assert await rig.moments.find(incident("i0")) == "held"
