"""An evaluation as one HTML file that needs nothing else: plots, tables and the worst errors.

The figures come from `figures`, the words are here, the looks are those of `page`'s template.
Thumbnails are cut from the clips themselves and exist only inside the report.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from styleflow.data.index import FAKE, REAL
from styleflow.errors import VideoUnusable
from styleflow.evaluation import plots
from styleflow.evaluation.conditions import read_pictures
from styleflow.evaluation.page import (
    Columns,
    Picture,
    Section,
    Summary,
    Table,
    Thumbnail,
    Thumbnails,
    card,
    figure,
    number,
    percent,
    seconds,
    side_by_side,
    whole,
)
from styleflow.evaluation.record import PLAIN, ClipRecord, of_condition

WORST = 6
"""So many of the worst errors of each kind are shown."""

_THUMBNAIL_PX = 144
_THUMBNAIL_FRAME = 40
_JPEG_QUALITY = 78
_TOLD = {
    "untrained": "The model is untrained. Its weights are random: every figure here is an accident "
    "and says nothing about any model. The report only shows that the path works.",
    "uncalibrated": "The model was never calibrated: ranks mean something, probabilities and "
    "verdicts do not.",
}
_REASONS = {
    "warming": "still gathering evidence",
    "untrained": "untrained model",
    "no_face": "no face",
    "face_small": "face too small",
    "blurred": "face blurred",
    "dark": "face too dark",
    "profile": "face turned away",
    "low_fps": "too few frames a second",
    "packet_loss": "too much missing",
    "contaminated": "damaged by loss",
    "overloaded": "analyzer too slow",
    "undecided": "score near chance",
}


def write_report(
    found: Mapping[str, Any], records: Sequence[ClipRecord], root: Path, page: Path
) -> None:
    """Write the report of an evaluation.

    Args:
        found: what `figures` returns, and `provenance` with it.
        records: of all clips, under all conditions.
        root: folder of the manifest, where thumbnails come from; a clip that is gone has none.
        page: the HTML file to write.

    Raises:
        OSError: it cannot be written.
    """
    plain = of_condition(records, PLAIN)
    made_with = found["provenance"]
    sections = [
        _clips(found, plain),
        _kinds(found),
        _streaming(found, plain),
        _calibration(found),
        _robustness(found),
        _cues(found),
        _worst(plain, root, found["calibration"]["threshold"]),
        _left_out(found),
        _made_with(made_with),
    ]
    told = [section for section in sections if section is not None]
    text = whole(f"{made_with['detector']}: evaluation", _summary(found), told)
    page.write_text(text, encoding="utf-8")


# --- sections -----------------------------------------------------------------------------------


def _summary(found: Mapping[str, Any]) -> Summary:
    video, streaming, made_with = found["video"], found["streaming"], found["provenance"]
    clips = video["clips"]
    told = _TOLD.get(made_with["status"], "")
    notices = [told] if told else []
    if made_with.get("limited"):
        notices.append(
            f"Only {made_with['clips']} clips of the split were looked at: a trial, no result."
        )
    early = next((r for r in streaming["by_seconds"] if r["seconds"] == 2.0), None)
    cards = [
        card("video AUC, live engine", video["auc"], "0.5 is guessing, 1 is perfect"),
        card("video AUC, offline", video["offline"]["auc_end"], "the same clips, rated at the end"),
        card("pairs ranked right", video["pairs"]["ranked_right"], "a fake above its own original"),
        card("fakes found", video["tpr_at_5"], "with 5 % of reals flagged"),
        card("AUC after 2 s", early["auc"] if early else None, "of the clips scored by then"),
        card(
            "false alarms an hour",
            streaming["false_alarms"]["per_hour"],
            f"{streaming['false_alarms']['alarms']} in "
            f"{(streaming['false_alarms']['hours'] or 0) * 60:.1f} min of real video",
            digits=1,
        ),
    ]
    lead = (
        f"{clips['real']} real and {clips['fake']} fake clips of {clips['groups']} people or "
        f"base videos, split {made_with['split']!r}; {made_with['mode']} mode, "
        f"{made_with['date']}."
    )
    foot = (
        f"Brackets hold 95 % of {made_with['rounds']:,} bootstrap draws of whole groups, not of "
        "clips. A score is evidence, not proof."
    )
    return Summary(made_with["detector"], lead, notices, cards, foot)


def _clips(found: Mapping[str, Any], plain: Sequence[ClipRecord]) -> Section:
    video = found["video"]
    offline, pairs = video["offline"], video["pairs"]
    rows = [
        ("AUC through the live engine", figure(video["auc"])),
        ("AUC if the engine may not abstain", figure(video["auc_forced"])),
        ("AUC offline, rating at the end", figure(offline["auc_end"])),
        ("AUC offline, mean of the ratings", figure(offline["auc_mean"])),
        ("live minus offline at the end", figure(offline["live_minus_end"])),
        ("AUC of clips with their original or fake", figure(pairs["auc"])),
        (f"pairs ranked right, of {pairs['pairs']}", figure(pairs["ranked_right"])),
        ("average precision", figure(video["ap"])),
        ("equal error rate", figure(video["eer"])),
        ("fakes found at 1 % false alarms", figure(video["tpr_at_1"])),
        ("fakes found at 5 % false alarms", figure(video["tpr_at_5"])),
    ]
    threshold = found["calibration"]["threshold"]
    return Section(
        "How well real and fake are told apart",
        "Each clip went through the engine that watches live video. Its score is the calibrated "
        "mean of its ratings that were evidence, of the face that leans most to fake.",
        [
            Table(("figure", "value"), rows),
            side_by_side(plots.scores(plain, threshold), plots.roc_curve(plain)),
        ],
    )


def _kinds(found: Mapping[str, Any]) -> Section:
    video = found["video"]
    kinds = {f"{n} ({k['fakes']})": k["auc"] for n, k in video["by_kind"].items()}
    generators = {f"{n} ({g['fakes']})": g["auc"] for n, g in video["by_generator"].items()}
    rows = [
        (name, f"{s['clips']['real']} / {s['clips']['fake']}", figure(s["auc"]))
        for name, s in video["by_source"].items()
    ]
    plain = video["auc"]["value"]
    left: list[Table | Picture] = []
    if kinds:
        left.append(Picture(plots.intervals(kinds, plain, "AUC against all reals, by kind")))
    if rows:
        left.append(Table(("source", "real / fake", "AUC"), rows, "Within one source"))
    right: list[Table | Picture] = []
    if generators:
        drawn = plots.intervals(generators, plain, "AUC against all reals, by generator")
        right.append(Picture(drawn))
    return Section(
        "What kind of fake",
        "Fakes of one kind or generator against all real clips; in brackets, how many fakes. One "
        "or two clips are an anecdote. The dashed line is the AUC of all.",
        [Columns([left, right])],
    )


def _streaming(found: Mapping[str, Any], plain: Sequence[ClipRecord]) -> Section:
    streaming = found["streaming"]
    alarms, abstention = streaming["false_alarms"], streaming["abstention"]
    rows = [
        ("time to a first verdict, median", seconds(streaming["time_to_verdict"])),
        ("time until a fake is called suspect, median", seconds(streaming["time_to_suspect"])),
        ("false alarms per hour of real video", figure(alarms["per_hour"], 1)),
        *_false_incidents(streaming.get("false_incidents") or {}),
        ("real clips with a false alarm", figure(alarms["clips_alarmed"])),
        ("fake clips that were called suspect", figure(streaming["fakes_found"])),
        ("what the rest adds to the first 2 s", figure(streaming["early"]["whole_minus_early"])),
        ("ratings without a verdict", percent(abstention["share"])),
        *(
            (f"… {_REASONS.get(why, why)}", percent(share))
            for why, share in abstention["reasons"].items()
        ),
    ]
    grown = [
        (
            f"{row['seconds']:g}",
            f"{row['scored']} of {row['clips']}",
            figure(row["auc"]),
            figure(row["auc_forced"]),
        )
        for row in streaming["by_seconds"]
    ]
    return Section(
        "While the video plays",
        "Verdicts and alarms are the engine's own, with its thresholds, warming up and abstaining. "
        "The intervals of the rates of alarms and incidents are those of a Poisson count. An "
        "incident is what the incident machine opens when the real clips are played to it one "
        "after the other. By a budget it is few at best where the known trials are of these very "
        "clips.",
        [
            Table(("figure", "value"), rows),
            side_by_side(plots.by_seconds(streaming["by_seconds"]), plots.over_time(plain)),
            Table(("seconds seen", "clips scored", "AUC", "AUC, may not abstain"), grown),
        ],
    )


def _false_incidents(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for way in ("thresholds", "budget"):
        if each := found.get(way):
            promised = f", {each['promised']:g} promised" if way == "budget" else ""
            name = f"false incidents per hour, by {way}{promised}"
            rows.append((name, f"{figure(each['per_hour'], 1)} ({each['incidents']} incidents)"))
    if missing := found.get("budget_missing"):
        rows.append(("false incidents per hour, by budget", f"none: {missing}"))
    return rows


def _calibration(found: Mapping[str, Any]) -> Section:
    calibration = found["calibration"]
    risk = calibration["risk_coverage"]
    share = percent(calibration["fakes_share"])
    rows = [
        ("expected calibration error", figure(calibration["ece"])),
        ("Brier score", figure(calibration["brier"])),
        (f"reals at or above {calibration['threshold']:g}", figure(calibration["reals_flagged"])),
        (f"fakes at or above {calibration['threshold']:g}", figure(calibration["fakes_flagged"])),
        ("mean risk over all coverages", number(risk["area"])),
    ]
    return Section(
        "Do probabilities come true, and does abstaining help?",
        f"Here {share} of the clips are fake; a model calibrated for another share must be off. "
        "Left: the score against the share of clips that are fake, with how many clips. Right: "
        "clips with the widest intervals are left unanswered first.",
        [
            Table(("figure", "value"), rows),
            side_by_side(
                plots.reliability(calibration["reliability"]), plots.risk_coverage(risk["points"])
            ),
        ],
    )


def _robustness(found: Mapping[str, Any]) -> Section | None:
    grid = found["robustness"]
    if not grid:
        return None
    return Section(
        "Degraded video",
        "The same clips, degraded before the engine sees them. “Lost” compares only clips that got "
        "a score both ways; “may not abstain” ranks every clip by all its ratings. In the last "
        "two columns only reals or only fakes are degraded: where they lie far apart, degradation "
        "drives the score.",
        [
            Picture(
                plots.intervals(
                    {name: row["auc_forced"] for name, row in grid.items()},
                    found["video"]["auc_forced"]["value"],
                    "AUC if the engine may not abstain",
                )
            ),
            _degraded_table("condition", grid),
        ],
    )


def _cues(found: Mapping[str, Any]) -> Section | None:
    cues = found["video"]["by_cue"]
    if not cues:
        return None
    return Section(
        "Which cue carries what",
        "The same weights with one cue taken away.",
        [_degraded_table("cue", cues)],
    )


def _degraded_table(what: str, grid: Mapping[str, Mapping[str, Any]]) -> Table:
    heads = (
        what,
        "scored",
        "AUC",
        "lost",
        "AUC, may not abstain",
        "lost",
        "only reals degraded",
        "only fakes degraded",
        "abstained",
    )
    rows = []
    for name, row in grid.items():
        total = row["clips"]["real"] + row["clips"]["fake"]
        rows.append(
            (
                name,
                f"{total - len(row['clips']['unscored'])} of {total}",
                figure(row["auc"]),
                figure(row["lost"]),
                figure(row["auc_forced"]),
                figure(row["lost_forced"]),
                number(row["only_reals_worn"]["value"]),
                number(row["only_fakes_worn"]["value"]),
                percent(row["abstained"]),
            )
        )
    return Table(heads, rows)


def _worst(plain: Sequence[ClipRecord], root: Path, threshold: float) -> Section:
    scored = [r for r in plain if r.score is not None]
    reals = sorted((r for r in scored if r.label == REAL), key=lambda r: -(r.score or 0.0))
    fakes = sorted((r for r in scored if r.label == FAKE), key=lambda r: r.score or 0.0)
    rows = [
        ("Real clips that look most like fakes", reals[:WORST]),
        ("Fake clips that look most real", fakes[:WORST]),
    ]
    return Section(
        "The worst errors",
        "One frame of each clip; what moves cannot be seen here.",
        [
            Thumbnails(title, [_thumbnail(r, root / r.clip, threshold) for r in chosen])
            for title, chosen in rows
        ],
    )


def _thumbnail(record: ClipRecord, video: Path, threshold: float) -> Thumbnail:
    return Thumbnail(
        jpeg=base64.b64encode(thumbnail(video)).decode(),
        score=f"{record.score:.2f}",
        told="suspect" if (record.score or 0.0) >= threshold else "not flagged",
        made=record.generator or "real",
        name=record.clip,
    )


def thumbnail(video: Path) -> bytes:
    """Return one frame of a video as a small JPEG; nothing when it cannot be read."""
    try:
        pictures = [picture for _, picture in islice(read_pictures(video), _THUMBNAIL_FRAME + 1)]
    except VideoUnusable:
        return b""
    height, width = pictures[-1].shape[:2]
    scale = _THUMBNAIL_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pictures[-1], size, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), quality)
    return np.asarray(data).tobytes() if done else b""


def _left_out(found: Mapping[str, Any]) -> Section | None:
    unscored = found["video"]["clips"]["unscored"]
    refused = found["provenance"].get("refused", [])
    if not unscored and not refused:
        return None
    rows = [(each["clip"], each["why"]) for each in unscored]
    rows += [(f"row {each['row']}: {each['file']}", each["reason"]) for each in refused]
    return Section(
        "Left out",
        f"Clips without a score: {len(unscored)}. Listed videos that cannot be used: "
        f"{len(refused)}. They are in no figure but those called “may not abstain”.",
        [Table(("clip", "why"), rows)],
    )


def _made_with(made_with: Mapping[str, Any]) -> Section:
    machine = made_with["hardware"]
    rows = [
        ("weights", f"{made_with['version']}, sha256 {made_with['weights_sha256']}"),
        ("computed in", made_with.get("precision", "")),
        ("training", made_with["status"]),
        ("command", made_with["command"]),
        ("commit", made_with["commit"]),
        ("machine", ", ".join(f"{k} {v}" for k, v in machine.items() if v is not None)),
        ("clips", f"{made_with['manifest']}, sha256 {made_with['manifest_sha256']}"),
        ("engine", ", ".join(f"{k} {v}" for k, v in made_with["engine"].items())),
    ]
    return Section("Made with", "", [Table(("what", "is"), rows)])
