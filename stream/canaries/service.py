"""Canaries of one analyzer: known clips are sent to it, and what comes of them is judged.

Theory of operation. A round sends one clip after the other as a WebRTC call of this process to
itself: encoded, encrypted, sent over a socket, and from there on the way of every call. Its stream
is there only meanwhile. Events of canaries reach those sinks alone that ask for them: this one,
and the hub. Nobody has to make way: canaries count for no limit of streams or calls, and a round
begins or goes on only while the device has room and nothing is left out under overload.

Belongs to the event loop, and starts nothing: `run` is awaited by whoever keeps it going.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import structlog

from stream.canaries.clips import Clip
from stream.canaries.judge import Judge, Learned
from stream.canaries.learned_file import LearnedFile
from stream.canaries.records import Report, RoundResult, Sight, State
from stream.canaries.settings import CanarySettings
from stream.canaries.sighting import Sighting
from stream.clock import Clock
from stream.errors import StreamError, StreamUnknown
from stream.event_log.event_log import StampedEvent
from stream.webrtc.calls import LOOPBACK, CallAnswer
from stream.webrtc.outgoing import OutgoingCall, PictureTrack
from styleflow.cards import ModelCard

log = structlog.get_logger(__name__)

FIRST_S = 5.0
"""From the start to the first round."""

SOON_S = 30.0
"""Longest pause before the next round while something is learned or doubtful."""

LIMIT_S = 45.0
"""Longest that one clip may take from its offer to its last score."""

LOOK_S = 0.1

CODEC = "vp8"


class Host(Protocol):
    """The analyzer, as its canaries see it."""

    @property
    def models(self) -> tuple[ModelCard, ...]:
        """The models that score streams."""
        ...

    def no_room_for_canary(self) -> str:
        """Return why a canary would be in somebody's way now; empty when it would not."""
        ...

    async def open_canary(self, stream: str, name: str) -> None:
        """Start a canary's stream, which counts for no limit."""
        ...

    def answer_canary(self, stream: str, offer: str) -> Awaitable[CallAnswer]:
        """Answer the call of a canary."""
        ...

    async def remove(self, stream: str) -> None:
        """Stop and forget a stream."""
        ...


class Canaries:
    """Sends the clips and judges what comes of them; a sink of the event log.

    Args:
        settings: how often, and what is expected.
        sent: the clips, of each pair the real one first.
        host: the analyzer.
        clock: where time comes from.
        file: where it is kept what was learned.
    """

    def __init__(
        self,
        settings: CanarySettings,
        sent: Sequence[Clip],
        host: Host,
        clock: Clock,
        file: LearnedFile,
    ) -> None:
        self.settings = settings
        self.rounds: Counter[RoundResult] = Counter()
        self.sights: tuple[Sight, ...] = ()
        self._clips = tuple(sent)
        self._host = host
        self._clock = clock
        self._file = file
        self._sighting: Sighting | None = None
        self._anew = ""
        self._skipped = ""
        self._checked: tuple[float, datetime] | None = None
        self._began = clock.monotonic()
        self._busy = asyncio.Lock()
        self._judge = Judge(file.read(), settings.learn_rounds, settings.latency_s)
        self._renew()

    # --- what it says -------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """How the detector fares."""
        return self._judge.state

    @property
    def age_s(self) -> float:
        """Seconds since the last round that was judged, or since the start."""
        since = self._began if self._checked is None else self._checked[0]
        return max(self._clock.monotonic() - since, 0.0)

    def report(self) -> Report:
        """Return how the detector fares, for people."""
        return Report(
            state=self._judge.state,
            checked_at=None if self._checked is None else self._checked[1],
            findings=self._judge.findings,
            sights=self.sights,
            expected={c.canary.id: self._judge.expected(c.canary.id) for c in self._clips},
            rounds={result: self.rounds[result] for result in RoundResult},
            learned=self._judge.rounds_learned(),
            learn_rounds=self.settings.learn_rounds,
            anew=self._anew,
            skipped=self._skipped,
            every_s=self.settings.every_s,
            latency_s=self.settings.latency_s,
            canaries=tuple(clip.canary for clip in self._clips),
            sending="" if self._sighting is None else self._sighting.canary.id,
        )

    def health(self) -> dict[str, str]:
        """Return a sentence for the details of the process's health."""
        said = self._judge.state.value
        if self._judge.findings:
            said += f": {self._judge.findings[0].text}"
        elif self._checked is not None:
            said += f", checked {self.age_s:.0f} s ago"
        return {"canaries": said}

    # --- life ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send round after round until cancelled."""
        await self._clock.sleep(FIRST_S)
        while True:
            try:
                await self.check()
            except Exception:
                log.exception("a round of canaries failed")
            await self._clock.sleep(self._pause_s())

    def _pause_s(self) -> float:
        hurry = self._judge.state in (State.WAITING, State.LEARNING, State.DOUBTFUL)
        if hurry and not self._skipped:
            return min(self.settings.every_s, SOON_S)
        return self.settings.every_s

    def learn_anew(self) -> None:
        """Forget what was learned; the next rounds are what is expected from then on."""
        self._judge = Judge(Learned(), self.settings.learn_rounds, self.settings.latency_s)
        self._renew()
        self._anew = "somebody asked for it"
        self._file.write(self._judge.learned)

    def _renew(self) -> None:
        learned = self._judge.learned
        models = {card.name: card.sha256 for card in self._host.models}
        why = learned.renew(models, {clip.canary.id: clip.digest for clip in self._clips})
        if why:
            log.warning("canaries learn anew", why=why)
        self._anew = why

    # --- a round ------------------------------------------------------------------------------

    async def check(self) -> None:
        """Send every clip once and judge what comes of them; one round at a time."""
        async with self._busy:
            await self._check()

    async def _check(self) -> None:
        sights = []
        self._skipped = self._host.no_room_for_canary()
        for clip in self._clips:
            if not self._skipped:
                sights.append(await self._send(clip))
        if self._skipped:
            self.rounds[RoundResult.SKIPPED] += 1
            log.info("a round of canaries is skipped", why=self._skipped)
        else:
            self.conclude(tuple(sights))

    def conclude(self, sights: tuple[Sight, ...]) -> None:
        """Judge a round that was sent, learn from it while that is needed, log what is wrong."""
        before = self._judge.state
        outcome = self._judge.take(sights)
        self.sights = sights
        self.rounds[outcome.result] += 1
        self._checked = self._clock.monotonic(), self._clock.utc()
        if outcome.result is RoundResult.LEARNING:
            self._file.write(self._judge.learned)
        elif outcome.result is RoundResult.OK:
            self._anew = ""
        for finding in outcome.findings:
            log.warning("canary", state=outcome.state.value, found=finding.text, hint=finding.hint)
        if outcome.state is not before:
            log.info("canaries", state=outcome.state.value, before=before.value)

    async def _send(self, clip: Clip) -> Sight:
        """Send one clip through the whole path and return what was seen at its end."""
        canary = clip.canary
        sighting = self._sighting = Sighting(canary)
        track = PictureTrack(clip.pictures(), self._clock)
        outgoing = OutgoingCall((LOOPBACK,))
        failure = ""
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._host.open_canary(canary.id, canary.name)
                offer = await outgoing.offer(track, CODEC)
                answer = await self._host.answer_canary(canary.id, offer)
                await outgoing.connect(answer.sdp)
                await self._watch(track, sighting)
        except TimeoutError:
            failure = f"it did not get through within {LIMIT_S:g} s"
        except StreamError as error:
            failure = str(error)
        except Exception as error:
            log.exception("a canary could not be sent", canary=canary.id)
            failure = f"it failed inside ({type(error).__name__})"
        finally:
            self._sighting = None
            track.stop()
            await outgoing.close()
            with suppress(StreamUnknown):
                await self._host.remove(canary.id)
        return sighting.conclude(track.began, failure or track.fault)

    async def _watch(self, track: PictureTrack, sighting: Sighting) -> None:
        """Wait for the score of the last picture, or until it is too late for it.

        Of a canary that has to make way for others, nothing more is waited for.
        """
        ended: float | None = None
        while not self._skipped:
            self._skipped = self._host.no_room_for_canary()
            now = self._clock.monotonic()
            if ended is None and track.over.is_set():
                ended = now
            if ended is not None:
                if sighting.end >= track.at - sighting.hop_s:
                    return
                if now - ended > self.settings.latency_s + 1.0:
                    return
            await self._clock.sleep(LOOK_S)

    def accept(self, stamped: StampedEvent) -> None:
        """Take what is told of the canary that is on its way."""
        sighting = self._sighting
        if sighting is not None and stamped.event.stream == sighting.canary.id:
            sighting.take(stamped.event, stamped.now)
