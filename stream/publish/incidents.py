"""Wire form of incidents."""

from __future__ import annotations

from stream.events import IncidentChanged
from stream.incident import (
    Evidence,
    Incident,
    IncidentStatus,
    Mark,
    Peak,
    ScoredBy,
    SecondOpinion,
    Severity,
)
from stream.publish.schema import (
    EvidenceData,
    IncidentChangedData,
    IncidentData,
    MarkData,
    Model,
    PeakData,
    SecondLookData,
)
from styleflow.detectors.protocol import TemporalMode, TrainingStatus


def incident_data(incident: Incident) -> IncidentData:
    """Return the wire's form of an incident."""
    return IncidentData(
        id=incident.id,
        stream=incident.stream,
        name=incident.name,
        epoch=incident.epoch,
        tracks=incident.tracks,
        model=_model(incident.scored_by),
        severity=incident.severity.word,
        status=incident.status,
        opened=incident.opened,
        last_at=incident.last_at,
        closed=incident.closed,
        suspect_s=incident.suspect_s,
        peak=_peak(incident.peak),
        acknowledged=_mark(incident.acknowledged),
        label=incident.label,
        labelled=_mark(incident.labelled),
        notes=incident.notes,
        evidence=_evidence(incident.evidence),
        summary=incident_summary(incident),
        notice=incident.notice,
        second_look=_second_look(incident.second_look),
    )


def incident_of(data: IncidentData) -> Incident:
    """Return the incident that the wire's form tells of; its numbers are finite."""
    return Incident(
        id=data.id,
        stream=data.stream,
        name=data.name,
        epoch=data.epoch,
        tracks=data.tracks,
        scored_by=ScoredBy(
            data.model.name,
            data.model.version,
            data.model.mode.value,
            data.model.status.value,
            data.model.sha256,
        ),
        severity=Severity[data.severity.upper()],
        status=data.status,
        opened=data.opened,
        last_at=data.last_at,
        closed=data.closed,
        suspect_s=data.suspect_s or 0.0,
        peak=Peak(data.peak.p or 0.0, data.peak.lo or 0.0, data.peak.hi or 0.0, data.peak.at),
        acknowledged=_mark_of(data.acknowledged),
        label=data.label,
        labelled=_mark_of(data.labelled),
        notes=data.notes,
        evidence=Evidence(
            data.evidence.state,
            data.evidence.start,
            data.evidence.end,
            data.evidence.bytes,
            data.evidence.sha256,
        ),
        notice=data.notice,
        second_look=_second_opinion(data.second_look),
    )


def incident_changed_data(name: str, event: IncidentChanged) -> IncidentChangedData:
    """Return the wire's form of a change of an incident.

    Args:
        name: durable name of the event.
        event: what changed.
    """
    return IncidentChangedData(
        id=name,
        step=event.step,
        by=event.by,
        text=event.text,
        incident=incident_data(event.incident),
    )


def incident_summary(incident: Incident) -> str:
    """Return an incident in one sentence of plain words."""
    what = "a hint of synthesis" if incident.severity is Severity.HINT else "looks synthesised"
    long = f"for {incident.suspect_s:.0f} s"
    goes_on = " so far" if incident.status is IncidentStatus.OPEN else ""
    return f"{incident.name}: {what} {long}{goes_on}, at most {incident.peak.p:.2f}"


def _model(scored_by: ScoredBy) -> Model:
    return Model(
        name=scored_by.name,
        version=scored_by.version,
        mode=TemporalMode(scored_by.mode),
        status=TrainingStatus(scored_by.status),
        sha256=scored_by.sha256,
    )


def _second_look(second: SecondOpinion | None) -> SecondLookData | None:
    if second is None:
        return None
    return SecondLookData(
        detector=second.detector,
        status=TrainingStatus(second.status),
        score=second.score,
        at=second.at,
        agrees=second.agrees,
    )


def _second_opinion(data: SecondLookData | None) -> SecondOpinion | None:
    if data is None:
        return None
    score, at = data.score or 0.0, data.at or 0.0
    return SecondOpinion(data.detector, data.status.value, score, at, data.agrees)


def _peak(peak: Peak) -> PeakData:
    return PeakData(p=peak.p, lo=peak.lo, hi=peak.hi, at=peak.at)


def _mark(mark: Mark | None) -> MarkData | None:
    return None if mark is None else MarkData(by=mark.by, at=mark.at)


def _mark_of(data: MarkData | None) -> Mark | None:
    return None if data is None else Mark(data.by, data.at)


def _evidence(evidence: Evidence) -> EvidenceData:
    return EvidenceData(
        state=evidence.state,
        start=evidence.start,
        end=evidence.end,
        bytes=evidence.bytes,
        sha256=evidence.sha256,
    )
