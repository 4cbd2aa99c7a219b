"""An incident on one page of HTML that needs nothing else, for people who will not open a bundle.

The figures come in as values, the words are here, the looks are those of the template. The page
loads nothing and runs no script, so it can be sent, printed on A4 and kept.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from stream.publish.schema import IncidentData
from styleflow.cards import TrainingStatus

WIDTH, HEIGHT = 680, 190
"""Size of the timeline in units of its own; it is scaled to the page."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 8, 24
_COLOURS = 4  # further faces of an incident share them
_GAP_S = 2.0  # a line is not drawn across a longer time without scores
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MAX_TICKS = 8

LIMITS = (
    "A score says how much a face resembles faces that the model was shown as synthesised. It is a "
    "reason to look, not proof, and it says nothing about who somebody is or what they meant.",
    "The model looks at faces only: not at the voice, not at the rest of the picture, and not at "
    "what is said. A genuine recording that is shown out of its context looks genuine.",
    "Poor light, strong compression, beauty filters, blurred backgrounds and video that was "
    "filmed from a screen can raise the score of a genuine face, and lower that of a fake.",
    "Methods of synthesis that are newer than the model may not be recognised. A low score "
    "clears nobody.",
)
"""What every reader has to know, in plain words."""

_OF_STATUS = {
    TrainingStatus.UNTRAINED: "The model has random weights: its score means nothing at all.",
    TrainingStatus.UNCALIBRATED: "The model was never calibrated: compare its scores with one "
    "another, and do not read them as probabilities.",
    TrainingStatus.EXPERIMENTAL: "The model is experimental: it was found to be often wrong on "
    "methods of synthesis that it had not seen. Its score is a hint to look, no more.",
}


@dataclass(frozen=True, slots=True)
class ScorePoint:
    """One score of an incident's timeline.

    Attributes:
        at: wall clock at which its newest packet arrived.
        track: whose score.
        p: the score, 0..1.
        lo: lower end of its interval.
        hi: upper end of its interval.
    """

    at: datetime
    track: int
    p: float
    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was done or said of an incident.

    Attributes:
        at: wall clock.
        by: whose doing.
        text: what.
    """

    at: datetime
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything that a report tells.

    Attributes:
        incident: as it is now.
        scores: of all its faces, in order of time.
        enter: score from which a face may become suspect.
        picture: JPEG of its peak; None without one.
        clip: name of the media file; empty when no video is kept.
        codec: of the video.
        packets: packets of the video.
        remarks: comments and changes, in order of time.
        source: where the video came from, without credentials.
        program: version of this program.
        clock: where times come from, in words.
        left_out: what limits have left out, in words.
        fingerprint: of the key that signs bundles; empty without one.
        made: when the report was made.
    """

    incident: IncidentData
    scores: Sequence[ScorePoint]
    enter: float
    picture: bytes | None
    clip: str
    codec: str
    packets: int
    remarks: Sequence[Remark]
    source: str
    program: str
    clock: str
    fingerprint: str
    made: datetime
    left_out: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One face's scores as the timeline draws them.

    Attributes:
        track: whose.
        colour: 1 to 4.
        paths: stretches of the line, as SVG paths.
        bands: the intervals around it, as SVG paths.
    """

    track: int
    colour: int
    paths: tuple[str, ...]
    bands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The timeline's parts in its own units.

    Attributes:
        lines: one per face.
        ticks: place and words of times below it.
        suspect: left end and width of the time from the first to the last suspicion.
        peak: place of the highest score; None when it lies outside.
        enter: height of the threshold.
    """

    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]
    suspect: tuple[float, float]
    peak: tuple[float, float] | None
    enter: float


def render(facts: ReportFacts) -> str:
    """Return the page."""
    incident = facts.incident
    jpeg = facts.picture
    return _template().render(
        facts=facts,
        incident=incident,
        rows=_rows(facts),
        limits=limits(incident.model.status),
        drawn=timeline(facts) if facts.scores else None,
        width=WIDTH,
        height=HEIGHT,
        plot=(_LEFT, _TOP, WIDTH - _RIGHT, HEIGHT - _BOTTOM),
        grid=tuple((_y(p), f"{p:g}") for p in (0.0, 0.25, 0.5, 0.75, 1.0)),
        picture=None if jpeg is None else base64.b64encode(jpeg).decode(),
        day=_day,
        clock=_clock,
    )


def limits(status: TrainingStatus) -> tuple[str, ...]:
    """Return what a reader has to know of scores by a model of this status, the gravest first."""
    own = _OF_STATUS.get(status)
    return (own, *LIMITS) if own else LIMITS


def timeline(facts: ReportFacts) -> Timeline:
    """Return the timeline of the scores, of which there is at least one."""
    first = min(point.at for point in facts.scores)
    last = max(max(point.at for point in facts.scores), first + timedelta(seconds=1))

    def x(at: datetime) -> float:
        share = (min(max(at, first), last) - first) / (last - first)
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    tracks = sorted({point.track for point in facts.scores})
    peak = facts.incident.peak
    from_x, to_x = x(facts.incident.opened), x(facts.incident.last_at)
    inside = peak.p is not None and first <= peak.at <= last
    return Timeline(
        lines=tuple(
            _line(n, [point for point in facts.scores if point.track == track], x)
            for n, track in enumerate(tracks)
        ),
        ticks=tuple((x(at), f"{at:%H:%M:%S}") for at in _ticks(first, last)),
        suspect=(from_x, round(max(to_x - from_x, 1.0), 1)),
        peak=(x(peak.at), _y(peak.p)) if inside and peak.p is not None else None,
        enter=_y(facts.enter),
    )


def _line(index: int, points: Sequence[ScorePoint], x: Any) -> Line:
    stretches: list[list[ScorePoint]] = []
    for point in points:
        new = not stretches or (point.at - stretches[-1][-1].at).total_seconds() > _GAP_S
        if new:
            stretches.append([])
        stretches[-1].append(point)
    paths = tuple(_path([(x(p.at), _y(p.p)) for p in each]) for each in stretches)
    bands = tuple(
        _path([(x(p.at), _y(p.hi)) for p in each] + [(x(p.at), _y(p.lo)) for p in reversed(each)])
        + "Z"
        for each in stretches
    )
    return Line(points[0].track, index % _COLOURS + 1, paths, bands)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points)


def _y(p: float) -> float:
    share = min(max(p, 0.0), 1.0)
    return round(_TOP + (1 - share) * (HEIGHT - _TOP - _BOTTOM), 1)


def _ticks(first: datetime, last: datetime) -> list[datetime]:
    span = (last - first).total_seconds()
    step = next((each for each in _STEPS_S if span / each <= _MAX_TICKS), _STEPS_S[-1])
    begin = first.replace(microsecond=0) + timedelta(seconds=-first.second % step)
    found: list[datetime] = []
    at = begin
    while at <= last and len(found) <= 4 * _MAX_TICKS:
        if at >= first:
            found.append(at)
        at += timedelta(seconds=step)
    return found


def _rows(facts: ReportFacts) -> list[tuple[str, str, str]]:
    """Return the facts as name, value and whether it is code."""
    incident, evidence = facts.incident, facts.incident.evidence
    model = incident.model
    end = incident.closed or incident.last_at
    rows = [
        ("Stream", f"{incident.name} ({incident.stream})", ""),
        ("Source", facts.source, ""),
        ("Began", f"{_day(incident.opened)} {_clock(incident.opened)} UTC", ""),
        ("Suspect last", f"{_day(incident.last_at)} {_clock(incident.last_at)} UTC", ""),
        ("Ended", f"{_day(end)} {_clock(end)} UTC" if incident.closed else "goes on", ""),
        ("Suspect for", f"{incident.suspect_s:.1f} s", ""),
        ("Faces", ", ".join(str(track) for track in incident.tracks), ""),
        ("Model", f"{model.name} {model.version}, {model.mode.value}, {model.status.value}", ""),
        ("Weights", model.sha256, "code"),
        ("Threshold", f"{facts.enter:g}", ""),
        ("Acknowledged", _mark(incident.acknowledged), ""),
        ("Found to be", _label(incident), ""),
    ]
    if facts.clip:
        size = f"{evidence.bytes / 1e6:.2f} MB, {facts.packets} packets, {facts.codec}"
        rows.append(("Video", f"{facts.clip}, {size}, not re-encoded", ""))
        if evidence.start and evidence.end:
            rows.append(("Video from, to", f"{_clock(evidence.start)}, {_clock(evidence.end)}", ""))
        rows.append(("SHA-256 of the video", evidence.sha256, "code"))
    else:
        rows.append(("Video", "none is kept", ""))
    rows.append(("Clock", facts.clock, ""))
    if facts.fingerprint:
        rows.append(("Key that signs bundles", facts.fingerprint, "code"))
    return [row for row in rows if row[1]]


def _mark(mark: Any) -> str:
    return "" if mark is None else f"by {mark.by}, {_day(mark.at)} {_clock(mark.at)} UTC"


def _label(incident: IncidentData) -> str:
    if incident.label is None:
        return "not judged by anybody yet"
    word = {"true": "synthesised", "false": "a false alarm", "unclear": "unclear"}
    said = word[incident.label.value]
    return f"{said}, {_mark(incident.labelled)}" if incident.labelled else said


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}.{at.microsecond // 100_000}"


@cache
def _template() -> Template:
    return Environment(
        loader=PackageLoader("stream.evidence"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    ).get_template("report.html")
