"""From a camera to a bundle whose packets give the same scores again.

The detector is the default one with a calibration that calls every face synthesised; its logits
are its own.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
import yaml
from aiortc import RTCRtpSender

from tests.support.bundles import forged, unzipped
from tests.support.calls import VIDEO, Caller, MovingTrack
from tests.support.media import encode, face_pictures
from tests.support.rtsp import Media, RtspServer
from tests.support.server import ROOT, Server, Watcher

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[RtspServer]:
    media = Media(encode(tmp_path / "face.mp4", face_pictures(150), "h264", gop=12))
    with RtspServer({"/door": media}) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path) -> Path:
    settings = {
        "store": {"url": f"sqlite:///{tmp_path / 'styleflow.db'}"},
        "evidence": {"folder": str(tmp_path / "evidence"), "before_s": 10, "after_s": 1},
        "webrtc": {"bind": ["127.0.0.1"]},
        "incidents": {"experimental_alarms": True, "quiet_s": 3, "merge_s": 3},
        "detectors": [
            {"name": "styleflow-live", "calibration": {"scale": 0.05, "bias": 3, "spread": 0.1}}
        ],
    }
    (tmp_path / "styleflow.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def evidence(site: Path, *words: str | Path, code: int = 0) -> str:
    """Run `styleflow evidence` as a process of its own and return what it says."""
    command = [sys.executable, "-m", "cli.main", "evidence", *map(str, words)]
    env = {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "XDG_DATA_HOME": str(site / "data")}
    done = subprocess.run(
        command, capture_output=True, text=True, env=env, timeout=200, check=False, cwd=ROOT
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


class FaceTrack(MovingTrack):
    """A face, in real time, over and over."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures = face_pictures(100)

    async def recv(self) -> av.VideoFrame:
        await self._wait()
        picture = self.pictures[self._n % len(self.pictures)]
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = round(self._n * self._step / VIDEO), VIDEO
        return frame


def kept(server: Server) -> dict[str, Any] | None:
    answer = httpx.get(f"{server.url}/api/v1/incidents", timeout=20)
    found: list[dict[str, Any]] = answer.json()["incidents"]
    return next((each for each in found if each["evidence"]["state"] == "kept"), None)


def clip_of(server: Server) -> dict[str, Any]:
    """Return the incident whose clip is there."""
    pause = threading.Event()
    for _ in range(240):
        if (incident := kept(server)) is not None:
            return incident
        pause.wait(0.25)
    raise AssertionError("no clip")


def opened(message: dict[str, Any]) -> bool:
    return message["type"] == "event" and message["data"].get("step") == "opened"


def wait_for_scores(watcher: Watcher, count: int) -> None:
    """Wait until so many scores have come, however long they take."""
    seen = itertools.count(1)
    watcher.wait(lambda m: m["type"] == "score" and next(seen) >= count, f"{count} scores", 120)


def exported(site: Path, camera: RtspServer, *, scores: int = 1) -> Path:
    """Have a camera turn suspect, with so many scores, and return the bundle of the incident."""
    with Server(site / "styleflow.yaml") as server:
        assert server.add("door", camera.url("/door")).is_success
        with server.watching("door") as watcher:
            watcher.wait(opened, "incident", 120)
            wait_for_scores(watcher, scores)
        camera.kill()
        incident = clip_of(server)
    file = site / "door.zip"
    evidence(site, "export", incident["id"], file, "--config", site / "styleflow.yaml")
    return file


def test_the_packets_of_an_incident_give_the_recorded_scores_again(
    site: Path, camera: RtspServer
) -> None:
    """Bit for bit, because the video holds the connection's beginning and the machine is the same.

    A bundle whose scores were altered and that was signed anew is told.
    """
    file = exported(site, camera, scores=12)
    said = evidence(site, "replay", file)
    assert "the same to the last bit" in said
    compared = re.search(r"compared (\d+) scores, (\d+) of them", said)
    assert compared is not None
    assert int(compared[1]) == int(compared[2]) > 5
    files = dict(unzipped(file))
    scores = json.loads(files["scores.json"])
    scores["scores"][-3]["p"] -= 0.2
    altered = files | {"scores.json": json.dumps(scores).encode()}
    other = forged(site / "altered.zip", [*altered.items()])
    said = evidence(site, "replay", other, code=1)
    assert "NOT the same" in said
    assert "largest  deviation 0.2" in said


@pytest.mark.parametrize(("codec", "media"), [("VP8", "webm"), ("H264", "mp4")])
async def test_a_call_that_turns_suspect_leaves_a_clip_that_plays_and_gives_the_same_scores(
    site: Path, codec: str, media: str
) -> None:
    with Server(site / "styleflow.yaml") as server:
        with server.watching() as watcher:
            async with Caller(f"{server.url}/whip/me", FaceTrack()) as caller:
                known = RTCRtpSender.getCapabilities("video").codecs
                transceiver = caller.connection.getTransceivers()[0]
                wanted = [each for each in known if each.mimeType == f"video/{codec}"]
                transceiver.setCodecPreferences(wanted)
                await caller.call()
                told = await asyncio.to_thread(watcher.wait, opened, "incident", 120)
                await asyncio.to_thread(wait_for_scores, watcher, 12)
                assert await caller.delete() == 200
        incident = await asyncio.to_thread(clip_of, server)
        assert incident["id"] == told["data"]["incident"]["id"]
        address = f"{server.url}/api/v1/incidents/{incident['id']}/clip"
        answer = await asyncio.to_thread(httpx.get, address, timeout=20)
        assert answer.headers["Content-Type"].endswith(media)
    with av.open(io.BytesIO(answer.content)) as container:
        assert container.streams.video[0].codec_context.name in (codec.lower(), "libvpx", "vp8")
        pictures = sum(1 for _ in container.decode(video=0))
    assert pictures > 25
    file = site / "me.zip"
    evidence(site, "export", incident["id"], file, "--config", site / "styleflow.yaml")
    sidecar = json.loads(dict(unzipped(file))["packets.json"])
    assert sidecar["source"] == "call"
    assert pictures == len(sidecar["packets"])
    said = evidence(site, "replay", file)
    assert "the same to the last bit" in said, said
