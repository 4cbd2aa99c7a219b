"""The judge of canaries: what is expected of them, learned from the first rounds. Pure.

Theory of operation. The same clip on the same path with the same model gives nearly the same
figures every time. So the first `learn_rounds` rounds without findings are remembered, and from
then on every figure has a range: the median of what was learned, give or take four standard
deviations, and never less than a tolerance that is known from measuring rounds on well machines.
Logits belong to a model and are forgotten with it; the other figures belong to the path and stay.
While nothing is learned, three things are judged all the same: that a face is found and scored,
that each fake leans further to fake than its real clip, and that both come in time.

One round with findings may be a hiccup; two in a row are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, pstdev

from stream.canaries.records import (
    Canary,
    Expected,
    Finding,
    FindingKind,
    Outcome,
    Role,
    RoundResult,
    Sight,
    State,
)

CONFIRMED = 2
"""Rounds with findings in a row after which people are told."""

LEAST_GAP = 0.2
"""Least distance in logits by which a fake must lean further to fake than its real clip."""

LOGIT, GAP = "logit ", "gap "
"""Beginnings of the figures that belong to a detector, whose name follows."""

_DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Least room that a figure's range leaves on both sides of what was learned.

    Attributes:
        absolute: in the figure's unit.
        share: of the learned value.
    """

    absolute: float = 0.0
    share: float = 0.0


LOGIT_TOLERANCE = Tolerance(absolute=0.3)

PATH = {
    "fps": Tolerance(share=0.2),
    "face_px": Tolerance(share=0.1),
    "brightness": Tolerance(absolute=4.0),
    "sharpness": Tolerance(share=0.4),
}
"""Figures of the path, whatever the model is."""

_SAID = {
    "fps": ("pictures arrive at {value:.1f} a second", "{low:.1f} to {high:.1f}"),
    "face_px": ("the face is found {value:.0f} pixels large", "{low:.0f} to {high:.0f}"),
    "brightness": ("the face is {value:.0f} of 255 bright", "{low:.0f} to {high:.0f}"),
    "sharpness": ("the face has a sharpness of {value:.0f}", "{low:.0f} to {high:.0f}"),
    LOGIT: ("{detector} rates it {value:+.2f}", "{low:+.2f} to {high:+.2f}"),
}

_HINTS = {
    "fps": "Pictures are lost between encoder and detector: check the load, and FFmpeg's version",
    "face_px": "Faces are found otherwise than at install: check the face models and settings",
    "brightness": "Colours or levels are read otherwise: undo the last update of FFmpeg or drivers",
    "sharpness": "Pictures are scaled or encoded otherwise: undo the last update",
    LOGIT: "Its answer to the same video has changed: check the weights and what was updated last",
    GAP: "Do not rely on its scores: check the weights, or give a pair that it does tell apart",
    FindingKind.MISSING: "Run styleflow doctor; the log says what failed at that time",
    FindingKind.LATE: "The machine has too much to do: run fewer streams, or a faster one",
}


@dataclass(slots=True)
class Learned:
    """What was learned; a value that is kept in a file.

    Attributes:
        models: digests of the weights by detector, as they were learned with.
        clips: digests of the clips by canary, likewise.
        figures: by canary and figure, one value for each round.
    """

    models: dict[str, str] = field(default_factory=dict)
    clips: dict[str, str] = field(default_factory=dict)
    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def renew(self, models: Mapping[str, str], clips: Mapping[str, str]) -> str:
        """Forget what other models and clips have taught; return why, empty when nothing is new."""
        why = []
        for name, digest in models.items():
            known = self.models.get(name)
            if known == digest:
                continue
            if known is not None:
                why.append(f"{name} has other weights ({known[:12]} before, {digest[:12]} now)")
            self._forget(name)
        for name in self.models.keys() - models.keys():
            self._forget(name)
        for canary, digest in clips.items():
            if self.clips.get(canary) not in (None, digest):
                why.append(f"{canary} is another clip")
                self.figures.pop(canary, None)
        self.models, self.clips = dict(models), dict(clips)
        self.figures = {canary: known for canary, known in self.figures.items() if canary in clips}
        return "; ".join(why)

    def _forget(self, detector: str) -> None:
        for figures in self.figures.values():
            figures.pop(LOGIT + detector, None)
            figures.pop(GAP + detector, None)

    def add(self, canary: str, figures: Mapping[str, float], at_most: int) -> None:
        """Remember a round of a canary; of a figure that is known well enough nothing is added."""
        known = self.figures.setdefault(canary, {})
        for name, value in figures.items():
            values = known.setdefault(name, [])
            if len(values) < at_most:
                values.append(value)


class Judge:
    """Says what is wrong with a round.

    Args:
        learned: what is known; added to while it is not enough.
        learn_rounds: rounds that it takes.
        latency_s: by when a picture's score must be there.

    Attributes:
        state: how the detector fares.
        findings: of the last round.
    """

    def __init__(self, learned: Learned, learn_rounds: int, latency_s: float) -> None:
        self.learned = learned
        self.learn_rounds = learn_rounds
        self.latency_s = latency_s
        self.state = State.WAITING
        self.findings: tuple[Finding, ...] = ()
        self._in_a_row = 0

    def take(self, sights: Sequence[Sight]) -> Outcome:
        """Judge a round, and learn from it while that is needed and nothing is wrong."""
        figures = {s.canary.id: dict(_figures(s, _partner(s, sights))) for s in sights}
        learning = any(
            len(self.learned.figures.get(canary, {}).get(name, ())) < self.learn_rounds
            for canary, known in figures.items()
            for name in known
        )
        self.findings = tuple(
            sorted(
                (f for s in sights for f in self._judge(s, figures[s.canary.id])),
                key=lambda finding: list(FindingKind).index(finding.kind),
            )
        )
        if not self.findings:
            self._in_a_row = 0
            self.state = State.LEARNING if learning else State.OK
            for canary, known in figures.items():
                self.learned.add(canary, known, self.learn_rounds)
            result = RoundResult.LEARNING if learning else RoundResult.OK
            return Outcome(self.state, (), result)
        self._in_a_row += 1
        self.state = self._told()
        return Outcome(self.state, self.findings, RoundResult.FINDINGS)

    def _told(self) -> State:
        if self._in_a_row < CONFIRMED:
            return State.DOUBTFUL
        late = all(finding.kind is FindingKind.LATE for finding in self.findings)
        return State.LATE if late else State.FAILING

    def rounds_learned(self) -> int:
        """Return from how many rounds everything that is known was learned, at least."""
        counts = [len(v) for known in self.learned.figures.values() for v in known.values()]
        return min(counts, default=0)

    def expected(self, canary: str) -> dict[str, Expected]:
        """Return the ranges of a canary's figures that are known well enough."""
        return {
            name: _range(name, values)
            for name, values in self.learned.figures.get(canary, {}).items()
            if len(values) >= self.learn_rounds and not _judged_apart(canary, name)
        }

    def _judge(self, sight: Sight, figures: Mapping[str, float]) -> Iterator[Finding]:
        canary = sight.canary
        if sight.failure or not sight.opinions:
            said = sight.failure or "no face was found in it, or none was scored"
            text = f"{_whose(canary)} gave no score: {said}"
            hint = _HINTS[FindingKind.MISSING]
            yield Finding(FindingKind.MISSING, canary.id, text, hint)
            return
        for name in self.learned.models:
            if name not in sight.opinions:
                text = f"{name} gave no score of {_whose(canary)}"
                hint = _HINTS[FindingKind.MISSING]
                yield Finding(FindingKind.MISSING, canary.id, text, hint, name)
        for name, wanted in self.expected(canary.id).items():
            value = figures.get(name)
            if value is not None and not wanted.holds(value):
                yield _changed(canary, name, value, wanted)
        yield from self._told_apart(canary, figures)
        if sight.latency_s is not None and sight.latency_s > self.latency_s:
            text = (
                f"scores of {_whose(canary)} came {sight.latency_s:.1f} s after their pictures,"
                f" and {self.latency_s:g} s is the bound"
            )
            yield Finding(FindingKind.LATE, canary.id, text, _HINTS[FindingKind.LATE])

    def _told_apart(self, canary: Canary, figures: Mapping[str, float]) -> Iterator[Finding]:
        for name, gap in figures.items():
            if not name.startswith(GAP):
                continue
            known = self.learned.figures.get(canary.id, {}).get(name, [])
            wanted = LEAST_GAP
            if len(known) >= self.learn_rounds:
                wanted = max(wanted, median(known) / 2)
            if gap < wanted:
                detector = name.removeprefix(GAP)
                text = (
                    f"{detector} no longer tells the pair {canary.pair} apart: the fake leans"
                    f" {gap:+.2f} further to fake than the real one, at least {wanted:+.2f} is"
                    " expected"
                )
                kind = FindingKind.NOT_TOLD_APART
                yield Finding(kind, canary.id, text, _HINTS[GAP], detector)


def _figures(sight: Sight, real: Sight | None) -> Iterator[tuple[str, float]]:
    """Yield the figures of a sight; those of a fake include how far it is from its real clip."""
    if sight.failure:
        return
    for name in PATH:
        value = getattr(sight, name)
        if value is not None:
            yield name, value
    for detector, opinion in sight.opinions.items():
        yield LOGIT + detector, opinion.logit
        if real is not None and detector in real.opinions:
            yield GAP + detector, opinion.logit - real.opinions[detector].logit


def _partner(sight: Sight, sights: Sequence[Sight]) -> Sight | None:
    """Return the real clip of a fake one."""
    if sight.canary.role is Role.REAL:
        return None
    real = Canary(sight.canary.pair, Role.REAL)
    return next((s for s in sights if s.canary == real), None)


def _judged_apart(canary: str, name: str) -> bool:
    """Say whether a figure is judged by the distance of a pair rather than by a range."""
    return name.startswith(GAP) or (name.startswith(LOGIT) and canary.endswith(Role.FAKE))


def _range(name: str, values: Sequence[float]) -> Expected:
    middle = median(values)
    tolerance = PATH.get(name, LOGIT_TOLERANCE)
    least = tolerance.absolute + tolerance.share * abs(middle)
    room = max(_DEVIATIONS * pstdev(values), least)
    return Expected(middle - room, middle + room)


def _changed(canary: Canary, name: str, value: float, wanted: Expected) -> Finding:
    kind = LOGIT if name.startswith(LOGIT) else name
    detector = name.removeprefix(LOGIT) if kind == LOGIT else ""
    seen, usual = _SAID[kind]
    text = (
        f"{_whose(canary)} is not what it was: {seen.format(value=value, detector=detector)},"
        f" {usual.format(low=wanted.low, high=wanted.high)} is expected"
    )
    return Finding(FindingKind.CHANGED, canary.id, text, _HINTS[kind], detector)


def _whose(canary: Canary) -> str:
    return f"the {canary.role} clip of {canary.pair}"
