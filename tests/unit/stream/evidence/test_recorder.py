"""The recorder: from an incident that opens to a clip that is kept, and gives way again."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import av
import pytest

from stream.errors import EvidenceMissing
from stream.events import CaptureConditions
from stream.evidence.recorder import ABANDONED_S
from stream.evidence.settings import EvidenceSettings
from stream.evidence.shelf import PICTURE, SIDECAR
from stream.evidence.sidecar import Sidecar
from stream.incident import Evidence, EvidenceState, Label
from stream.ingest.frame_log import FrameNote
from stream.ingest.source import Packet
from stream.store.access import DirectStore
from stream.store.database import Database
from tests.support.evidence import EvidenceRig
from tests.support.incidents import incident
from tests.support.packets import recorded

ONE, TWO, THREE = (f"20260301-02300{n}-1" for n in (1, 2, 3))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> list[Packet]:
    """Twenty seconds from 100.0 on, a keyframe each second."""
    return recorded(tmp_path_factory.mktemp("video"), count=500, gop=25)


@pytest.fixture
def rig(tmp_path: Path, video: list[Packet], database: Database) -> EvidenceRig:
    """A recorder with a store of either kind."""
    made = EvidenceRig(tmp_path, store=DirectStore(database.engine))
    made.held["lobby"] = video
    return made


def length(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


async def test_an_incident_is_kept_from_before_it_began_until_after_its_last_suspicion(
    rig: EvidenceRig, video: list[Packet]
) -> None:
    rig.wait(5)
    closed = await rig.whole(ONE, suspect_s=3)
    assert [(name, told.state) for name, told in rig.told] == [
        (ONE, EvidenceState.PENDING),
        (ONE, EvidenceState.KEPT),
    ]
    kept = rig.told[-1][1]
    path = await rig.recorder.file(ONE, "clip")
    assert kept.start == closed.opened - timedelta(seconds=1)
    assert kept.end == closed.last_at + timedelta(seconds=1)
    assert kept.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert kept.bytes == path.stat().st_size
    assert length(path) == 126  # 1 + 3 + 1 s, both ends
    sidecar = Sidecar.of_json(path.with_name(SIDECAR).read_bytes())
    assert list(sidecar.rebuilt(path.read_bytes())) == video[100:226]
    assert (await rig.recorder.file(ONE, "picture")).read_bytes()[:2] == b"\xff\xd8"
    assert rig.states() == {ONE: EvidenceState.KEPT}
    assert rig.recorder.kept == 1


async def test_files_are_readable_by_their_owner_only(rig: EvidenceRig) -> None:
    rig.wait(5)
    await rig.whole(ONE)
    assert rig.folder.stat().st_mode & 0o777 == 0o700
    assert (rig.folder / ONE).stat().st_mode & 0o777 == 0o700
    files = {path.name: path.stat().st_mode & 0o777 for path in (rig.folder / ONE).iterdir()}
    assert files == dict.fromkeys(("clip.mp4", SIDECAR, PICTURE), 0o600)


async def test_a_stream_that_is_removed_leaves_what_was_taken_last(rig: EvidenceRig) -> None:
    rig.wait(5)
    opened = rig.open(ONE)
    rig.wait(2)
    del rig.held["lobby"]
    rig.wait(2)
    rig.close(opened, 4.0)
    rig.wait(2)
    await rig.recorder.work()
    assert rig.told[-1][1].state is EvidenceState.KEPT
    assert length(await rig.recorder.file(ONE, "clip")) == 76  # 1 s before and 2 s of it


async def test_a_long_incident_is_kept_before_it_is_over(
    tmp_path: Path, video: list[Packet]
) -> None:
    rig = EvidenceRig(tmp_path, EvidenceSettings(before_s=1, after_s=60, max_s=4))
    rig.held["lobby"] = video
    rig.wait(5)
    rig.open(ONE)
    rig.wait(4)
    await rig.recorder.work()
    assert rig.told[-1][1].state is EvidenceState.KEPT
    assert length(await rig.recorder.file(ONE, "clip")) == 101
    assert rig.recorder.gathering == 0


async def test_a_video_has_no_more_bytes_than_it_may(tmp_path: Path, video: list[Packet]) -> None:
    rig = EvidenceRig(tmp_path, EvidenceSettings(before_s=1, after_s=1, max_clip_bytes=65536))
    rig.held["lobby"] = video
    rig.wait(3)
    await rig.whole(ONE, suspect_s=12)
    path = await rig.recorder.file(ONE, "clip")
    taken = Sidecar.of_json(path.with_name(SIDECAR).read_bytes())
    assert sum(packet.bytes for packet in taken.packets) <= 65536
    assert taken.left_out["too_large"] == rig.recorder.left_out["too_large"] > 0


async def test_no_packets_are_no_evidence_which_is_told_and_counted(rig: EvidenceRig) -> None:
    rig.held["lobby"] = []
    await rig.whole(ONE)
    assert rig.told[-1] == (ONE, Evidence())
    assert rig.recorder.lost["no_packets"] == 1
    assert rig.states() == {ONE: EvidenceState.NONE}
    with pytest.raises(EvidenceMissing, match="none"):
        await rig.recorder.file(ONE, "clip")
    with pytest.raises(EvidenceMissing, match="nothing is known"):
        await rig.recorder.file(TWO, "clip")


async def test_what_is_too_much_at_a_time_is_counted(tmp_path: Path, video: list[Packet]) -> None:
    bounds = EvidenceSettings(before_s=1, after_s=1, max_recording=2, max_waiting=1)
    rig = EvidenceRig(tmp_path, bounds)
    rig.held["lobby"] = video
    rig.wait(5)
    opened = [rig.open(name) for name in (ONE, TWO, THREE)]
    rig.wait(2)
    for each in opened:
        rig.close(each, 0)
    rig.recorder.tick()
    assert (rig.recorder.lost["busy"], rig.recorder.lost["queue"]) == (1, 1)
    assert rig.recorder.waiting == 1
    await rig.recorder.work()
    assert sorted(rig.states().values()) == ["kept", "none", "none"]


async def test_a_disk_that_takes_nothing_is_counted(rig: EvidenceRig) -> None:
    rig.folder.write_text("no folder")
    rig.wait(5)
    await rig.whole(ONE)
    assert rig.recorder.lost["disk"] == 1
    assert rig.told[-1] == (ONE, Evidence())


async def test_what_is_gathered_at_the_end_is_written(rig: EvidenceRig) -> None:
    rig.wait(5)
    rig.open(ONE)
    rig.wait(2)
    await rig.recorder.close()
    assert rig.told[-1][1].state is EvidenceState.KEPT
    assert length(await rig.recorder.file(ONE, "clip")) > 25


async def test_what_an_earlier_run_was_about_to_keep_is_none(
    rig: EvidenceRig, tmp_path: Path, video: list[Packet]
) -> None:
    rig.wait(5)
    await rig.whole(ONE)
    rig.open(TWO)
    (rig.folder / f"{TWO}.part").mkdir()
    (rig.folder / TWO).mkdir()
    (rig.folder / "somebody-elses").mkdir()
    next_run = EvidenceRig(tmp_path, store=rig.store)
    await next_run.recorder.work()
    next_run.recorder.tick()
    assert dict(next_run.told)[TWO] == Evidence()
    assert next_run.states() == {ONE: EvidenceState.KEPT, TWO: EvidenceState.NONE}
    assert {path.name for path in rig.folder.iterdir()} == {ONE, "somebody-elses"}
    assert (await next_run.recorder.file(ONE, "clip")).is_file()


async def test_a_video_of_a_closed_incident_whose_worker_is_gone_is_given_up_by_its_heir(
    rig: EvidenceRig, tmp_path: Path
) -> None:
    rig.close(rig.open(ONE), 0.0)  # closed, and its worker dies before the video is written
    rig.open(TWO)  # whoever takes the stream over closes this one
    heir = EvidenceRig(tmp_path, store=rig.store)
    assert await heir.recorder.inherit() == 0
    heir.clock.advance(ABANDONED_S + 1)
    assert await heir.recorder.inherit() == 1
    assert heir.told == [(ONE, Evidence())]
    assert heir.states() == {ONE: EvidenceState.NONE, TWO: EvidenceState.PENDING}
    assert await heir.recorder.inherit() == 0


async def test_an_heir_gives_up_no_video_of_its_own(rig: EvidenceRig) -> None:
    rig.close(rig.open(ONE), 0.0)
    rig.clock.advance(ABANDONED_S + 1)
    assert await rig.recorder.inherit() == 0
    assert rig.states() == {ONE: EvidenceState.PENDING}


async def test_an_incident_that_was_never_told_of_its_clip_is_at_the_next_start(
    rig: EvidenceRig, tmp_path: Path
) -> None:
    rig.wait(5)
    closed = await rig.whole(ONE)
    rig.keep(incident(ONE, opened=closed.opened, evidence=Evidence(EvidenceState.PENDING)))
    next_run = EvidenceRig(tmp_path, store=rig.store)
    await next_run.recorder.work()
    assert next_run.told == [rig.told[-1]]


async def test_the_oldest_gives_way_and_what_was_found_true_last(
    tmp_path: Path, video: list[Packet]
) -> None:
    rig = EvidenceRig(tmp_path, EvidenceSettings(before_s=1, after_s=1, max_count=2))
    rig.held["lobby"] = video
    rig.wait(3)
    first = await rig.whole(ONE)
    rig.keep(incident(ONE, opened=first.opened, label=Label.TRUE))
    await rig.whole(TWO)
    assert rig.recorder.pruned == 0
    await rig.whole(THREE)
    assert rig.states() == {
        ONE: EvidenceState.KEPT,
        TWO: EvidenceState.PRUNED,
        THREE: EvidenceState.KEPT,
    }
    name, told = rig.told[-1]
    assert (name, told.state) == (TWO, EvidenceState.PRUNED)
    assert told.sha256  # what it was stays known
    assert not (rig.folder / TWO).exists()
    assert (rig.recorder.shelved, rig.recorder.pruned) == (2, 1)
    with pytest.raises(EvidenceMissing, match="pruned"):
        await rig.recorder.file(TWO, "clip")


async def test_old_clips_are_deleted_but_not_true_ones(rig: EvidenceRig) -> None:
    rig.wait(3)
    first = await rig.whole(ONE)
    rig.keep(incident(ONE, opened=first.opened, label=Label.TRUE))
    await rig.whole(TWO)
    rig.clock.advance(91 * 86400.0)
    await rig.recorder.work()
    assert rig.states() == {ONE: EvidenceState.KEPT, TWO: EvidenceState.PRUNED}


async def test_a_row_that_the_store_refused_is_written_later(rig: EvidenceRig) -> None:
    submit, away = rig.store.submit, True

    def refusing(write):  # type: ignore[no-untyped-def]
        def failing(connection):  # type: ignore[no-untyped-def]
            raise OSError("the disk is full")

        return submit(failing if away else write)

    rig.wait(5)
    rig.store.submit = refusing  # type: ignore[method-assign, assignment]
    opened = rig.open
    rig.keep = lambda known: None  # type: ignore[method-assign]
    made = opened(ONE)
    rig.wait(2)
    rig.close(made, 0)
    rig.recorder.tick()
    await rig.recorder.work()
    assert rig.states() == {}
    assert (await rig.recorder.file(ONE, "clip")).is_file()
    away = False
    rig.wait(2)
    assert rig.states() == {ONE: EvidenceState.KEPT}


async def test_the_frames_that_were_looked_at_and_the_thresholds_are_kept_beside_the_packets(
    rig: EvidenceRig, video: list[Packet]
) -> None:
    rig.looked_at["lobby"] = [
        FrameNote(packet.arrived, 1, n, n * 0.08, 0, n == 0, 1, 1, CaptureConditions(), n + 1)
        for n, packet in enumerate(video[::2])
    ]
    rig.wait(5)
    await rig.whole(ONE, suspect_s=3)
    path = await rig.recorder.file(ONE, "clip")
    kept = Sidecar.of_json(path.with_name(SIDECAR).read_bytes())
    arrivals = [note.arrived for note in kept.frames]
    assert arrivals == [packet.arrived for packet in video[100:226:2]]
    assert not any(note.begins for note in kept.frames)
    assert kept.engine == {"hop_s": 0.5}
