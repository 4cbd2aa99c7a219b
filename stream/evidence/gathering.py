"""Gathering: the packets of one incident, while it goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stream.evidence.settings import EvidenceSettings
from stream.incident import Incident
from stream.ingest.frame_log import FrameNote
from stream.ingest.source import Packet

_LATE_S = 60.0  # a video begins with the keyframe before its start, however long ago that was


@dataclass(slots=True)
class Gathering:
    """Packets of an incident, from before it began to the end of its suspicion.

    Attributes:
        incident: as it is now.
        kind: kind of source: `call`, `rtsp` or `file`.
        start: monotonic seconds from which packets are wanted.
        until: monotonic seconds up to which they are gathered, at most.
        ends: monotonic seconds at which its video ends; moves on while the face is suspect.
        closed: the incident is over.
        packets: what was gathered; their bytes are those of the packet log while both hold them.
        bytes: of them.
        left_out: packets that were not taken, by reason.
        notes: frames that were looked at in that time.
        engine: the stream's thresholds and times when it began, by name.
    """

    incident: Incident
    kind: str
    start: float
    until: float
    ends: float
    closed: bool = False
    packets: list[Packet] = field(default_factory=list)
    bytes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[FrameNote] = field(default_factory=list)
    engine: Mapping[str, Any] = field(default_factory=dict)
    _last: Packet | None = None
    _last_note: int = 0
    _full: bool = False

    @classmethod
    def begin(
        cls, incident: Incident, kind: str, opened: float, settings: EvidenceSettings
    ) -> Gathering:
        """Return the gathering of an incident that opened at some monotonic second."""
        start = opened - settings.before_s
        until = start + settings.max_s
        return cls(incident, kind, start, until, min(until, opened + settings.after_s))

    def move(self, incident: Incident, last_at: float, settings: EvidenceSettings) -> None:
        """Take note of the incident's latest suspicion, in monotonic seconds."""
        self.incident = incident
        self.ends = min(self.until, max(self.ends, last_at + settings.after_s))

    def take(self, held: Sequence[Packet], max_bytes: int) -> None:
        """Take the packets of a log that were not taken yet.

        Args:
            held: what the log holds now, oldest first.
            max_bytes: what the packets may have in all.
        """
        for packet in self._new(held):
            self._last = packet
            if packet.arrived > self.until:
                continue
            if self._full or self.bytes + len(packet.data) > max_bytes:
                self._full = True
                self.left_out["too_large"] += 1
                continue
            self.packets.append(packet)
            self.bytes += len(packet.data)

    def note(self, held: Sequence[FrameNote]) -> None:
        """Take the notes of a log that were not taken yet; as many as of packets at most."""
        for note in held:
            if note.number > self._last_note and self.start - _LATE_S <= note.arrived <= self.until:
                self.notes.append(note)
        if held:
            self._last_note = max(self._last_note, held[-1].number)

    def is_over(self, now: float) -> bool:
        """Return whether nothing more is to come."""
        return now >= (self.ends if self.closed else self.until)

    def cut(self) -> list[Packet]:
        """Return the packets up to the end of the video."""
        return [packet for packet in self.packets if packet.arrived <= self.ends]

    def cut_notes(self, first: float, last: float) -> tuple[FrameNote, ...]:
        """Return the notes of frames that arrived between two monotonic seconds, inclusive."""
        return tuple(note for note in self.notes if first <= note.arrived <= last)

    def _new(self, held: Sequence[Packet]) -> Sequence[Packet]:
        if self._last is None:
            first = 0
            for number, packet in enumerate(held):
                if packet.arrived > self.start:
                    break
                if packet.keyframe:
                    first = number
            return held[first:]
        for number in range(len(held) - 1, -1, -1):
            if held[number] is self._last:
                return held[number + 1 :]
        return [packet for packet in held if packet.arrived > self._last.arrived]
