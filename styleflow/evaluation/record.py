"""Record of one clip in an evaluation, and the folder that keeps records.

A `ClipRecord` is one clip under one condition: what the manifest says of it and every rating that
the live engine published. All figures are worked out from records alone, so a report can be made
again without looking at a single picture.

The `Ledger` writes a record as soon as a clip is done: whole, as a line of JSON, in
`records.jsonl`, which a later run reads to go on from there; and in short, as a row of `clips.csv`,
for people.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from styleflow.data.index import Entry
from styleflow.decisions import Quality
from styleflow.errors import ResultsUnusable
from styleflow.evaluation.summary import Summary

PLAIN = "as it is"
"""The condition of a clip that nothing was done to."""

WITHOUT = "without "
"""Begins the name of the condition in which a cue is taken away from the detector."""

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Rating:
    """One published score of one face.

    Attributes:
        track: which face.
        end: media seconds of the newest frame behind it.
        frames: sampled frames behind it.
        logit: the model's raw output.
        score: the published number, smoothed.
        verdict: `pending`, `clear` or `suspect`, as published.
        reasons: why it gave no verdict; empty when it did. what is `untrained` or
            `undecided` only still is evidence.
        sharpness: of the face; 0 where it is unknown, as in older records.
        face_px: side of the face in source pixels, likewise.
        bits_per_pixel: compressed bits per source pixel, likewise.
        brightness: of the face, likewise.
    """

    track: int
    end: float
    frames: int
    logit: float
    score: float
    verdict: str
    reasons: tuple[str, ...] = ()
    sharpness: float = 0.0
    face_px: float = 0.0
    bits_per_pixel: float = 0.0
    brightness: float = 0.0

    @property
    def quality(self) -> Quality:
        """The quality that known trials are told apart by."""
        return Quality(self.sharpness, self.face_px, self.bits_per_pixel)

    @property
    def counts(self) -> bool:
        """Whether it is evidence: nothing speaks against the frames behind it."""
        return not set(self.reasons) - {"untrained", "undecided"}


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """One clip under one condition, and what came of it.

    Attributes:
        clip: the file, as its manifest names it.
        condition: what was done to its pictures before the engine saw them.
        label: 0 real, 1 fake.
        group: whoever must stay together.
        kind: of manipulation; empty for real ones.
        generator: what made it; empty for real ones.
        source: where it was gathered.
        pair: joins a fake to its original; empty without one.
        duration_s: media seconds that were looked at.
        score: what a whole analysis reports, 1 leans fake; None when there was no evidence.
        low: lower end of the score's interval; None without a score.
        high: upper end of the score's interval; None without a score.
        verdict: of the whole clip.
        problem: why there is no score; empty when there is one.
        ratings: every published score of every face, in order.
        offline_end: logit that the offline loop ends with; None when it was not asked or had none.
        offline_mean: mean logit of the offline loop's ratings; None likewise.
        memory: sampled frames that one rating sums up; 0 for its window alone.
    """

    clip: str
    condition: str
    label: int
    group: str
    kind: str
    generator: str
    source: str
    pair: str
    duration_s: float
    score: float | None
    low: float | None
    high: float | None
    verdict: str
    problem: str
    ratings: tuple[Rating, ...] = ()
    offline_end: float | None = None
    offline_mean: float | None = None
    memory: int = 0

    def logit(self, seen_s: float = math.inf, *, forced: bool = False) -> float | None:
        """Return the logit behind the score that the clip would get if it ended here.

        It is the summary of the ratings of a face that are evidence, and the highest of all faces.

        Args:
            seen_s: media seconds after which the clip is taken to end.
            forced: let ratings count that gave no verdict, as if abstaining were not allowed.
        """
        faces: dict[int, Summary] = {}
        for rating in self.ratings:
            if rating.end <= seen_s + 1e-6 and (forced or rating.counts):
                face = faces.setdefault(rating.track, Summary(self.memory))
                face.add(rating.logit, rating.frames)
        logits = [face.logit for face in faces.values()]
        return max((logit for logit in logits if logit is not None), default=None)

    @property
    def alarms(self) -> int:
        """How often a face became suspect by the engine's own verdict."""
        count = 0
        held: dict[int, str] = {}
        for rating in self.ratings:
            if rating.verdict == "suspect" and held.get(rating.track) != "suspect":
                count += 1
            if rating.verdict != "pending":  # pending is shown while a verdict is held underneath
                held[rating.track] = rating.verdict
        return count

    def first(self, *verdicts: str) -> float | None:
        """Return the media seconds of the first rating with one of these verdicts, or None."""
        return min((r.end for r in self.ratings if r.verdict in verdicts), default=None)

    @property
    def abstained(self) -> float:
        """Share of the ratings that gave no evidence; 1 where there was not even a rating."""
        if not self.ratings:
            return 1.0
        return sum(not rating.counts for rating in self.ratings) / len(self.ratings)


def describe(entry: Entry, root: Path) -> dict[str, Any]:
    """Return what the manifest says of a clip, as fields of its record."""
    path = entry.path
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    return {
        "clip": name,
        "label": entry.label,
        "group": entry.group,
        "kind": entry.kind,
        "generator": entry.generator,
        "source": entry.source,
        "pair": entry.pair,
    }


_SHOWN = (
    *(f.name for f in fields(ClipRecord) if f.name != "ratings"),
    "forced_logit",
    "ratings",
    "abstained",
    "first_verdict_s",
    "first_suspect_s",
    "alarms",
)


class Ledger:
    """The results of an evaluation, on disk as soon as they are there.

    Args:
        folder: made when it is missing.
        subject: what is evaluated; results of anything else are never mixed with these.

    Attributes:
        records: by clip and condition; those of an earlier run included.

    Raises:
        ResultsUnusable: the folder holds results of something else, or is damaged.
        OSError: it cannot be read or written.
    """

    def __init__(self, folder: Path, subject: Mapping[str, Any]) -> None:
        self.folder = folder
        self.records: dict[tuple[str, str], ClipRecord] = {}
        self._file = folder / "records.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        head = {"format": FORMAT, **subject}
        lines = _whole_lines(self._file)
        if lines:
            self._check(lines[0], head)
            for line in lines[1:]:
                self._keep(_parse(self._file, line))
        # A line that an interruption cut short is dropped here, so that the next begins anew.
        text = "".join(line + "\n" for line in lines or [json.dumps(head)])
        self._file.write_text(text, encoding="utf-8")
        self._write_table()

    def add(self, record: ClipRecord) -> None:
        """Keep the result of one more clip."""
        self._keep(record)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")
        with self._table.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(_row(record))

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self.records

    @property
    def _table(self) -> Path:
        return self.folder / "clips.csv"

    def _keep(self, record: ClipRecord) -> None:
        self.records[record.clip, record.condition] = record

    def _check(self, line: str, head: Mapping[str, Any]) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            raise ResultsUnusable(self._file, "its first line is damaged") from None
        for key, wanted in head.items():
            if not isinstance(found, dict) or found.get(key) != wanted:
                had = found.get(key) if isinstance(found, dict) else None
                reason = f"holds results with {key} {had!r}, and this run has {wanted!r}"
                raise ResultsUnusable(self._file, f"{reason}; name another folder with --out")

    def _write_table(self) -> None:
        with self._table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_SHOWN)
            writer.writerows(_row(record) for record in self.records.values())


def read_records(folder: Path) -> tuple[dict[str, Any], list[ClipRecord]]:
    """Return what an evaluation was about, as its ledger's first line says, and its records.

    Raises:
        ResultsUnusable: the folder holds no results, or damaged ones.
        OSError: they cannot be read.
    """
    file = folder / "records.jsonl"
    lines = _whole_lines(file)
    if not lines:
        raise ResultsUnusable(file, "holds no results; `styleflow evaluate` makes them")
    try:
        subject = json.loads(lines[0])
    except ValueError:
        raise ResultsUnusable(file, "its first line is damaged") from None
    if not isinstance(subject, dict) or subject.get("format") != FORMAT:
        raise ResultsUnusable(file, f"it is not of format {FORMAT}")
    return subject, [_parse(file, line) for line in lines[1:]]


def of_condition(records: Iterable[ClipRecord], condition: str) -> list[ClipRecord]:
    """Return the records under one condition, in order."""
    return [record for record in records if record.condition == condition]


def _row(record: ClipRecord) -> list[Any]:
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    values |= {
        "forced_logit": record.logit(forced=True),
        "ratings": len(record.ratings),
        "abstained": round(record.abstained, 4),
        "first_verdict_s": record.first("clear", "suspect"),
        "first_suspect_s": record.first("suspect"),
        "alarms": record.alarms,
    }
    return ["" if values[name] is None else values[name] for name in _SHOWN]


def _whole_lines(file: Path) -> list[str]:
    """Return the lines of a file that end as lines do; an interrupted one does not."""
    if not file.is_file():
        return []
    *whole, _ = file.read_text(encoding="utf-8").split("\n")
    return whole


def _parse(file: Path, line: str) -> ClipRecord:
    try:
        raw = json.loads(line)
        ratings = tuple(
            Rating(**{**rating, "reasons": tuple(rating["reasons"])}) for rating in raw["ratings"]
        )
        return ClipRecord(**{**raw, "ratings": ratings})
    except (ValueError, TypeError, KeyError) as error:
        raise ResultsUnusable(file, f"a line of it is damaged ({error})") from None
