"""Reports: one page that says what was seen, how far to trust it, and loads nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from stream.evidence.report import LIMITS, ReportFacts, ScorePoint, limits, render, timeline
from stream.incident import (
    Evidence,
    EvidenceState,
    Incident,
    IncidentStatus,
    Label,
    Mark,
    Peak,
    ScoredBy,
    Severity,
)
from stream.publish.incidents import incident_data
from styleflow.cards import TrainingStatus

BEGAN = datetime(2026, 3, 4, 2, 15, 10, tzinfo=UTC)
JPEG = b"\xff\xd8\xff\xe0 a picture"


def facts(status: str = "experimental", **changes: object) -> ReportFacts:
    """Return the facts of an incident of twelve seconds."""
    incident = Incident(
        id="lobby-1",
        stream="lobby",
        name=str(changes.pop("name", "Lobby <north>")),
        epoch=1,
        tracks=(1,),
        scored_by=ScoredBy("styleflow-live", "4", "causal", status, "ab" * 32),
        severity=Severity.HINT,
        status=IncidentStatus.CLOSED,
        opened=BEGAN + timedelta(seconds=10),
        last_at=BEGAN + timedelta(seconds=22),
        closed=BEGAN + timedelta(seconds=60),
        suspect_s=12.0,
        peak=Peak(0.93, 0.81, 0.98, BEGAN + timedelta(seconds=16)),
        label=Label.FALSE,
        labelled=Mark("anna", BEGAN + timedelta(hours=1)),
        evidence=Evidence(EvidenceState.KEPT, BEGAN, BEGAN + timedelta(seconds=27), 123456, "cd"),
        notice="experimental model",
    )
    values: dict[str, object] = {
        "incident": incident_data(incident),
        "scores": [
            ScorePoint(BEGAN + timedelta(seconds=n / 4), 1, n / 120, n / 150, n / 110)
            for n in range(108)
        ],
        "enter": 0.7,
        "picture": JPEG,
        "clip": "clip.mp4",
        "codec": "h264",
        "packets": 675,
        "remarks": (),
        "source": "rtsp://camera.example/1",
        "program": "1.0",
        "clock": "the analyzer's own",
        "fingerprint": "",
        "made": BEGAN + timedelta(days=1),
    }
    return ReportFacts(**(values | changes))  # type: ignore[arg-type]


class Tags(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of scripts and of addresses."""
        if tag in ("script", "link", "iframe", "object"):
            self.loads.append(tag)
        self.loads += [v or "" for k, v in attrs if k in ("src", "href", "data", "srcset")]


def test_a_report_needs_nothing_else() -> None:
    """It loads nothing from anywhere, and runs nothing."""
    tags = Tags()
    tags.feed(render(facts()))
    assert [each[:23] for each in tags.loads] == ["data:image/jpeg;base64,"]
    assert "url(" not in render(facts())
    assert "@import" not in render(facts())


def test_names_are_text() -> None:
    """A stream's name is no markup."""
    page = render(facts(name="<script>alert(1)</script>"))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_report_says_what_happened_and_who_judged_it() -> None:
    """The figures of the incident stand in the page."""
    page = render(facts())
    for said in (
        "0.93",
        "0.81 to 0.98",
        "12.0 s",
        "02:15:20.0",
        "a false alarm, by anna",
        "ab" * 32,
    ):
        assert said in page


@pytest.mark.parametrize("status", list(TrainingStatus))
def test_limits_are_said_in_words(status: TrainingStatus) -> None:
    """All of them, and the model's own first, when it has one."""
    said = limits(status)
    assert said[-len(LIMITS) :] == LIMITS
    assert (len(said) > len(LIMITS)) == (status is not TrainingStatus.TRAINED)
    page = render(facts(status.value)).replace("&#39;", "'")
    assert all(limit in page for limit in said)


def test_the_timeline_lies_within_its_frame_and_breaks_at_gaps() -> None:
    """Points stay inside, higher scores lie higher, and no line invents what was not scored."""
    later = [ScorePoint(BEGAN + timedelta(seconds=40 + n), 2, 1.0, 0.9, 1.0) for n in range(3)]
    plain = facts()
    drawn = timeline(facts(scores=[*plain.scores, *later]))
    assert [(line.track, len(line.paths)) for line in drawn.lines] == [(1, 1), (2, 1)]
    gapped = [point for point in plain.scores if not 5 < (point.at - BEGAN).total_seconds() < 9]
    assert len(timeline(facts(scores=gapped)).lines[0].paths) == 2
    numbers = [float(n) for line in drawn.lines for n in re.findall(r"[\d.]+", line.paths[0])]
    assert 0 <= min(numbers) < max(numbers) <= 680
    assert [word for _, word in drawn.ticks][:2] == ["02:15:10", "02:15:20"]


def test_a_report_without_scores_or_picture_is_a_report() -> None:
    """What was not kept is left out, not invented."""
    page = render(facts(scores=(), picture=None, clip=""))
    assert "<img" not in page
    assert "<svg" not in page
    assert "none is kept" in page
