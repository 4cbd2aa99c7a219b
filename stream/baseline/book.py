"""The baselines that hold now, and the cameras that engines watch with them.

The event loop writes, device threads read: every entry is one immutable value, replaced whole. An
engine's camera belongs to the engine's thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stream.baseline.baseline import Baseline
from stream.baseline.changes import Lately, changed
from stream.baseline.mixing import mixed
from stream.baseline_mark import BaselineMark, BaselineState
from stream.events import CaptureConditions
from styleflow.cards import ModelCard
from styleflow.decisions import DecisionTable
from styleflow.faces.face import FaceQuality

_BY_THRESHOLDS = "verdicts come of thresholds here; set decision.by to budget"


@dataclass(frozen=True, slots=True)
class Kept:
    """A baseline, and whether its time is over."""

    baseline: Baseline
    expired: bool = False


class BaselineBook:
    """The baselines of all streams.

    Args:
        decides: whether verdicts come of a budget; else nothing is compared with a baseline.
    """

    def __init__(self, *, decides: bool) -> None:
        self.decides = decides
        self._kept: Mapping[str, Kept] = {}

    def replace(self, kept: Mapping[str, Kept]) -> None:
        """Have these hold from now on, by stream."""
        self._kept = dict(kept)

    def put(self, stream: str, kept: Kept | None) -> None:
        """Have one hold from now on, or none for its stream."""
        others = {key: one for key, one in self._kept.items() if key != stream}
        self._kept = others if kept is None else {**others, stream: kept}

    def get(self, stream: str) -> Kept | None:
        """Return a stream's; None without one."""
        return self._kept.get(stream)

    def all(self) -> tuple[Kept, ...]:
        """Return all, ordered by stream."""
        return tuple(kept for _, kept in sorted(self._kept.items()))

    def camera(self, stream: str, card: ModelCard) -> WatchedCamera:
        """Return what an engine of a stream watches its camera with."""
        return WatchedCamera(self, stream, card)


class WatchedCamera:
    """One stream as one detector's engine sees it: its null, as long as its picture is the same.

    Args:
        book: the baselines.
        stream: id of the stream.
        card: of the detector.
    """

    def __init__(self, book: BaselineBook, stream: str, card: ModelCard) -> None:
        self._book = book
        self._stream = stream
        self._card = card
        self._lately = Lately()
        self._observed = 0
        self._judged: tuple[Kept, int, BaselineMark] | None = None
        self._mixed: tuple[Baseline, DecisionTable, DecisionTable] | None = None

    def observe(self, capture: CaptureConditions, quality: FaceQuality) -> None:
        """Take note of the conditions behind one rating."""
        self._lately.note(capture, quality)
        self._observed += 1

    @property
    def mark(self) -> BaselineMark | None:
        """What is told of the baseline; None when there is none of this detector."""
        kept = self._book.get(self._stream)
        if kept is None or kept.baseline.detector != self._card.name:
            return None
        known = self._judged
        if known is None or known[0] is not kept or known[1] != self._observed:
            state, reason = self._judge(kept)
            baseline = kept.baseline
            mark = BaselineMark(baseline.name, baseline.minutes, baseline.made, state, reason)
            known = self._judged = (kept, self._observed, mark)
        return known[2]

    def table(self, general: DecisionTable) -> DecisionTable:
        """Return what the next trial is compared with: this camera's null, or the general one."""
        mark, kept = self.mark, self._book.get(self._stream)
        if mark is None or mark.state is not BaselineState.ACTIVE or kept is None:
            return general
        baseline = kept.baseline
        if baseline.horizon != general.horizon:
            return general
        known = self._mixed
        if known is None or known[0] is not baseline or known[1] is not general:
            known = self._mixed = (baseline, general, mixed(general, baseline.statistics))
        return known[2]

    def _judge(self, kept: Kept) -> tuple[BaselineState, str]:
        baseline = kept.baseline
        if kept.expired:
            return BaselineState.EXPIRED, f"it held until {baseline.expires:%Y-%m-%d}"
        if baseline.digest != self._card.sha256:
            return BaselineState.UNUSED, "it is of other weights than those that score now"
        if not self._book.decides:
            return BaselineState.UNUSED, _BY_THRESHOLDS
        what = changed(baseline.statistics.conditions, self._lately)
        return (BaselineState.CHANGED, what) if what else (BaselineState.ACTIVE, "")
