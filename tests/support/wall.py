"""A wall of streams whose states are scripted: no camera, no model, the real hub and the real page.

Every beat tells what an analyzer would tell within a second: a report, scores of every face, and a
picture. What a stream does is set between beats.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from skimage import data

from stream.analyzer.streams import StreamSpec
from stream.baseline.book import WatchedCamera
from stream.events import (
    AbstainReason,
    ConnectionState,
    EpochCause,
    EpochStarted,
    Event,
    Frame,
    Notice,
    ReasonCode,
    Score,
    ScoringModel,
    SecondLook,
    StreamChanged,
    StreamReport,
    TrackEnd,
    TrackEnded,
    TrackStarted,
    Verdict,
    VerdictChanged,
)
from stream.explain.overlay import Explanation
from stream.ingest.source import SourceSettings, SourceUrl
from styleflow.detectors.protocol import ModelCard
from styleflow.faces.face import Box, Face, FaceQuality, Image
from styleflow.overlay import Patch
from tests.support.web import WebRig
from tests.support.wire import CARD, UNTRAINED, score

STEP_S = 0.25


@dataclass
class PlayedStream:
    """One stream of the wall, as the script wants it."""

    id: str
    name: str
    url: str = "rtsp://camera.example/stream1"
    tags: tuple[str, ...] = ()
    model: ModelCard = CARD
    others: tuple[ModelCard, ...] = ()
    agreement: float = 0.6  # the others' scores, as a share of the first one's
    level: float = 0.12
    verdict: Verdict = Verdict.CLEAR
    reasons: tuple[AbstainReason, ...] = ()
    state: ConnectionState = ConnectionState.LIVE
    faces: int = 1
    fps: float = 25.0
    loss: float = 0.0
    face_px: float = 140.0
    brightness: float = 120.0
    drift: tuple[str, ...] = ()
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shift: float = 0.0
    second: dict[int, SecondLook] = field(default_factory=dict)  # by face
    slot: int = 0
    epoch: int = 1
    seen: set[int] = field(default_factory=set)
    told: Verdict = Verdict.PENDING


class PlayedWall:
    """Tells a hub what scripted streams do.

    Args:
        rig: the application behind the page.
        seed: of the scores' noise.
    """

    def __init__(self, rig: WebRig, seed: int = 1) -> None:
        self.rig = rig
        self.streams: dict[str, PlayedStream] = {}
        self._cameras: dict[str, WatchedCamera] = {}
        self._ago = 0.0
        self._rng = np.random.default_rng(seed)

    async def add(self, stream: PlayedStream, ago: float = 0.0) -> PlayedStream:
        """Add a stream and connect it, as of `ago` seconds before now."""
        self._ago = ago
        self.streams[stream.id] = stream
        url = SourceUrl.parse(stream.url)
        self.rig.control.cards[stream.id] = stream.model
        self.rig.control.others[stream.id] = tuple(ScoringModel(o, True) for o in stream.others)
        spec = StreamSpec(stream.id, SourceSettings(url), stream.name, tags=stream.tags)
        await self.rig.control.add(spec)
        self._tell(
            StreamChanged(stream.id, 1, ConnectionState.CONNECTING),
            StreamChanged(stream.id, 1, ConnectionState.LIVE),
            EpochStarted(stream.id, 1, EpochCause.CONNECTED),
        )
        return stream

    async def wait_for_call(self, id: str, name: str) -> PlayedStream:
        """Add a stream that nobody has called yet."""
        stream = PlayedStream(id, name, "whip://", state=ConnectionState.CONNECTING)
        self.streams[id] = stream
        self.rig.control.cards[id] = stream.model
        source = SourceSettings(SourceUrl.parse(stream.url))
        await self.rig.control.add(StreamSpec(id, source, name))
        return stream

    def connection(
        self,
        id: str,
        state: ConnectionState,
        code: ReasonCode | None = None,
        detail: str = "",
        ago: float = 0.0,
    ) -> None:
        """Have a stream's connection change; all its faces end when it is lost."""
        self._ago = ago
        stream = self.streams[id]
        stream.state = state
        retry = 2.0 if state is ConnectionState.BACKING_OFF else None
        self._tell(StreamChanged(id, stream.epoch, state, code, detail, retry))
        if state is ConnectionState.LIVE:
            stream.epoch += 1
            self._tell(EpochStarted(id, stream.epoch, EpochCause.CONNECTED))
        else:
            self._end(stream, TrackEnd.EPOCH_ENDED)

    def beat(self, ago: float = 0.0) -> None:
        """Tell one step of every stream, as of `ago` seconds before now."""
        self._ago = ago
        for stream in self.streams.values():
            if stream.slot % 4 == 0 or stream.state is not ConnectionState.LIVE:
                self._report(stream)
            if stream.state is ConnectionState.LIVE:
                self._look(stream)

    def past(self, begin: float, end: float = 0.0) -> None:
        """Tell at once what happened from `begin` to `end` seconds before now."""
        for step in range(round(begin / STEP_S), round(end / STEP_S), -1):
            self.beat(step * STEP_S)

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        """Beat in real time for as long as the context lasts."""

        async def play() -> None:
            while True:
                self.beat()
                await self.rig.clock.sleep(STEP_S)

        task = asyncio.create_task(play())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _tell(self, *events: Event) -> None:
        self.rig.stamps.behind_s = self._ago
        self.rig.publish(*events)

    def _report(self, stream: PlayedStream) -> None:
        live = stream.state is ConnectionState.LIVE
        nobody = (AbstainReason.NO_FACE,) if live and stream.faces == 0 else ()
        waiting = stream.state is ConnectionState.CONNECTING
        tracks, age = (stream.faces, 0.04) if live else (0, None if waiting else 9.0)
        self._tell(
            StreamReport(
                stream.id,
                stream.epoch,
                0.0 if waiting else stream.fps,
                stream.loss,
                tracks,
                nobody,
                age,
                baseline=self._camera(stream).mark,
                notices=(Notice.DRIFTED,) if stream.drift else (),
                drift=stream.drift,
            )
        )

    def _camera(self, stream: PlayedStream) -> WatchedCamera:
        if stream.id not in self._cameras:
            self._cameras[stream.id] = self.rig.book.camera(stream.id, stream.model)
        return self._cameras[stream.id]

    def _look(self, stream: PlayedStream) -> None:
        stream.slot += 1
        now = self.rig.clock.monotonic() - self._ago
        at = stream.slot * STEP_S
        boxes = _boxes(stream)[: stream.faces]
        for track in range(1, stream.faces + 1):
            if track not in stream.seen:
                stream.seen.add(track)
                self._tell(TrackStarted(stream.id, stream.epoch, track, at))
        scores = [self._score(stream, track, at, box, now) for track, box in enumerate(boxes, 1)]
        scores += [
            _said_by(other, one, stream.agreement) for one in scores for other in stream.others
        ]
        for one in scores[:1]:
            self._camera(stream).observe(one.capture, one.quality)
        self._tell(*scores)
        if stream.faces and stream.verdict is not stream.told:
            change = VerdictChanged(
                stream.id,
                stream.epoch,
                1,
                at,
                stream.told,
                stream.verdict,
                stream.level,
                stream.model.name,
            )
            stream.told = stream.verdict
            self._tell(change)
        if self._ago == 0.0:
            image = picture(stream)
            frame = Frame(stream.id, stream.epoch, stream.slot, at, now, image)
            self.rig.control.pictures.watch(stream.id, now)
            self.rig.control.pictures.offer(frame, enumerate(boxes, 1), scores, now)
            for name in self.rig.control.pictures.overlays(stream.id):
                found = [_points_at(frame, track, box, name) for track, box in enumerate(boxes, 1)]
                self.rig.control.pictures.offer_explained(
                    frame, enumerate(boxes, 1), scores, now, name, found
                )

    def _score(
        self, stream: PlayedStream, track: int, at: float, box: Box, arrived: float
    ) -> Score:
        wobble = 0.03 * math.sin(at / 3 + track) + self._rng.normal(0, 0.012)
        level = stream.level if track == 1 else 0.1 + 0.03 * track
        value = float(np.clip(level + wobble, 0.01, 0.99))
        spread = 0.08 if not stream.reasons else 0.25
        return score(
            stream.id,
            track,
            value,
            epoch=stream.epoch,
            end=at,
            low=max(value - spread, 0.0),
            high=min(value + spread, 1.0),
            verdict=stream.verdict if track == 1 else Verdict.CLEAR,
            reasons=stream.reasons if track == 1 else (),
            quality=FaceQuality(
                face_px=stream.face_px + 4 * math.sin(at / 5),
                sharpness=240 + 30 * math.sin(at / 4),
                brightness=stream.brightness,
                yaw_deg=4.0,
            ),
            box=box,
            arrived=arrived,
            second_look=stream.second.get(track),
        )

    def _end(self, stream: PlayedStream, reason: TrackEnd) -> None:
        at = stream.slot * STEP_S
        for track in sorted(stream.seen):
            self._tell(TrackEnded(stream.id, stream.epoch, track, at, reason))
        stream.seen.clear()
        stream.told = Verdict.PENDING


def _said_by(other: ModelCard, one: Score, share: float) -> Score:
    """Return what another detector says of the same face."""
    low, high = one.low * share, one.high * share
    return replace(one, detector=other.name, score=one.score * share, low=low, high=high)


def _points_at(frame: Frame, track: int, box: Box, detector: str) -> Explanation:
    """Return a strong place at a face's mouth and a weak one at an eye, in a crop of its box."""
    patches = (Patch(0.3, 0.68, 0.72, 0.88, 0.9), Patch(0.2, 0.26, 0.44, 0.4, 0.4))
    sides = [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)]
    face = Face(box, np.zeros((5, 2)), 0.9)
    return Explanation(frame, face, track, detector, np.array(sides), patches)


def picture(stream: PlayedStream) -> Image:
    """Return a picture of the public-domain portrait, or of an empty room."""
    wall = np.linspace(150, 105, 360, dtype=np.float32)[:, None, None]
    room = np.broadcast_to(wall, (360, 640, 3)).copy()
    room[250:] *= 0.72  # a floor
    for place, box in enumerate(_boxes(stream)[: stream.faces]):
        _paste(room, box, 1.0 if place == 0 else 0.85)
    noise = np.random.default_rng(stream.slot).normal(0, 3, room.shape)
    return np.asarray(np.clip(room * stream.tint + noise, 0, 255).astype(np.uint8))


def _boxes(stream: PlayedStream) -> list[Box]:
    side, x, y = stream.face_px * 0.9, 320 + stream.shift, 150.0
    x += 6 * math.sin(stream.slot / 7)
    places = [(x, y), (x - 210, y + 20), (x + 210, y + 15)]
    return [Box(a - side / 2, b - side * 0.6, a + side / 2, b + side * 0.6) for a, b in places]


def _paste(room: np.ndarray, box: Box, light: float) -> None:
    """Put head and shoulders of the portrait where a face should be, softly into the room."""
    scale = box.width / 92.0  # the face is 92 px wide in the portrait
    x, y = box.centre
    place = np.array([[scale, 0, x - 223 * scale], [0, scale, y - 121 * scale]])
    size = (room.shape[1], room.shape[0])
    head = cv2.warpAffine(data.astronaut().astype(np.float32) * light, place, size)
    mask = cv2.warpAffine(_figure(), place, size)[:, :, None]
    room[:] = room * (1 - mask) + head * mask


def _figure() -> np.ndarray:
    """Return where the portrait shows a person, 0..1, with a soft edge."""
    mask = np.zeros((512, 512), np.float32)
    cv2.ellipse(mask, (221, 92), (64, 80), 0, 0, 360, 1.0, -1)
    cv2.ellipse(mask, (225, 335), (148, 158), 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 6))


def cameras(count: int) -> list[PlayedStream]:
    """Return so many ordinary cameras, each a little different."""
    rooms = ("Lobby", "Gate", "Counter", "Meeting room", "Interview", "Helpdesk", "Studio", "Annex")
    made = []
    for n in range(count):
        turn = n // len(rooms)
        name = rooms[n % len(rooms)] + (f" {turn + 1}" if turn else "")
        tint = (1.0 - 0.06 * (n % 3), 1.0 - 0.04 * (n % 4), 1.0 - 0.07 * ((n + 1) % 3))
        made.append(
            PlayedStream(
                id=f"cam-{n + 1}",
                name=name,
                level=0.08 + 0.02 * (n % 7),
                tint=tint,
                shift=40.0 * ((n % 5) - 2),
                face_px=110.0 + 14 * (n % 4),
            )
        )
    return made


def untrained(stream: PlayedStream) -> PlayedStream:
    """Return the same stream behind an untrained model."""
    return replace(
        stream,
        model=UNTRAINED,
        verdict=Verdict.PENDING,
        reasons=(AbstainReason.UNTRAINED,),
        level=0.46,
    )
