"""Decision against a budget of false alarms: trials, what is staked on them, and what they show.

Theory of operation. A stream has an `AlarmAccount` of *expected false alarms*: it earns
`false_alarms` per hour, and every trial that may raise an alarm is paid for in advance. The price
of a trial is the chance of a false alarm that it is held to: a stake of 0.02 lets it alarm when at
most 2 % of known real sources, the face itself among them, reach as high (`styleflow.decisions`).
In the words of betting: a stake of `a` is returned `1 / a` fold, as one alarm, if the face is as
extreme as that, which on a real source happens with a chance of at most `a`. So the expected number
of false alarms is at most what was staked, and that is at most what was earned. Expectations add up
whatever depends on whatever: neighbouring ratings, trials of one face and faces of one stream need
not be independent, and nothing is ever multiplied as if they were.

    pending or clear ──as high as few known reals, within the stake──▶ suspect
    pending ──as low as few known fakes, within `miss`──▶ clear
    suspect ──a whole later trial that half of known reals reach──▶ pending
    clear ──a whole later trial that half of known fakes undercut──▶ pending
    any ──evidence is interrupted──▶ pending

What no account can promise: that the stream's real faces are like the known real sources. Where
they are not (another codec, a strange camera) the budget does not hold, and a baseline is needed:
`own` then gives the table that a trial is compared with, and gives it when the trial begins, so
that one trial is never held against two.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from stream.engine.decider import Smoothed
from stream.engine.decision_settings import DecisionSettings
from stream.events import Decision, Verdict
from styleflow.decisions import DecisionTable, Trial

HOUR_S = 3600.0
MOST_STAKE = 0.05
"""A trial is never held to less than this: one known real source in twenty."""
Own = Callable[[DecisionTable], DecisionTable]
"""What the next trial of a stream is compared with, given the general table."""

SAVED_H = 24.0
"""An account keeps at most what it earns in so many hours (and never less than two trials)."""
CONTRADICTED = 0.5
"""A verdict is given up by a trial that so large a share of the other kind's sources reaches."""
_ROUNDING = 1e-9


class AlarmAccount:
    """Expected false alarms that one stream may still risk.

    At most `finest + per_hour * hours` of them are staked in any number of hours, so that is the
    most that is expected.

    Args:
        per_hour: false alarms earned per hour of media time, above 0.
        finest: smallest stake that means anything, see `DecisionTable.finest`.

    Attributes:
        balance: what may be staked now; begins with one smallest stake.
        staked: everything that was staked so far.
    """

    def __init__(self, per_hour: float, finest: float) -> None:
        self.per_hour = per_hour
        self.finest = finest
        self.balance = finest
        self.staked = 0.0
        self._most = max(2.0 * finest, per_hour * SAVED_H)

    def earn(self, seconds: float) -> None:
        """Take in the income of so many seconds, at least 0; what exceeds the limit is lost."""
        self.balance = min(self.balance + self.per_hour * seconds / HOUR_S, self._most)

    def stake(self, *, newcomer: bool, finest: float | None = None) -> float:
        """Pay for a trial and return the chance of a false alarm that it is held to, or 0.

        It is half of what there is, in multiples of the smallest stake. Faces that have been looked
        at before leave one smallest stake for a newcomer.

        Args:
            newcomer: whether nothing has been staked on this face before.
            finest: smallest stake that means anything for this trial; the account's when None.
        """
        unit = finest or self.finest
        spare = self.balance - (0.0 if newcomer else self.finest)
        units = math.floor(spare / unit + _ROUNDING)
        if units < 1:
            return 0.0
        most = max(1, math.floor(MOST_STAKE / unit + _ROUNDING))
        stake = min(max(1, units // 2), most) * unit
        self.balance -= stake
        self.staked += stake
        return stake

    def wait_s(self, *, newcomer: bool, finest: float | None = None) -> float:
        """Return the seconds of income until a trial can be paid for; 0 when one can."""
        short = (finest or self.finest) + (0.0 if newcomer else self.finest) - self.balance
        return max(short, 0.0) / self.per_hour * HOUR_S


class BudgetDecider:
    """Verdict about one face from its trials.

    Args:
        table: known trials of the detector whose ratings come.
        account: of the face's stream, shared with its other faces.
        miss: chance that a fake face is ever called clear, 0..1: half of it is risked on the first
            trial, half of the rest on the next, and so on.
        give_up_s: seconds of evidence after which an undecided face is said to stay so.
        again_s: seconds of evidence between two stakes on one face. Trials of one face are much
            alike, so that a second stake soon after the first buys little.
        own: what the next trial is compared with; the table itself when None.
    """

    def __init__(
        self,
        table: DecisionTable,
        account: AlarmAccount,
        miss: float,
        give_up_s: float,
        again_s: float,
        own: Own | None = None,
    ) -> None:
        self._general = self._table = table
        self._own = own
        self._account = account
        self._miss_left = miss
        self._give_up_s = give_up_s
        self._again_s = again_s
        self._held = Verdict.PENDING
        self._undecided_s = 0.0
        self._staked_s: float | None = None  # of evidence since the latest stake
        self._begin()

    def _begin(self) -> None:
        if self._own is not None:
            self._table = self._own(self._general)
        self._trial = Trial(self._table.horizon)
        self._stake: float | None = None
        self._miss = 0.0

    def restart(self) -> None:
        """Forget the trial and the verdict: evidence was interrupted. What was staked is spent."""
        self._decide(Verdict.PENDING)
        self._begin()

    def rate(self, logit: float, seconds: float, smoothed: Smoothed | None = None) -> Verdict:
        """Take in a rating that is evidence and return the verdict.

        Args:
            logit: raw and finite.
            seconds: media seconds of usable frames that it speaks for, above 0.
            smoothed: with the quality of the pictures; a trial has a mean of its own.
        """
        if self._trial.over:
            self._conclude()
        self._trial.add(logit, seconds, smoothed.quality if smoothed else None)
        if self._staked_s is not None:
            self._staked_s += seconds
        if self._held is Verdict.PENDING:
            self._undecided_s += seconds
        if not self._trial.comparable:
            return self._held
        stake = self._pay() if self._stake is None else self._stake
        if self._held is not Verdict.SUSPECT and self._within(self.as_high, stake):
            self._decide(Verdict.SUSPECT)
        elif self._held is Verdict.PENDING and self._within(self.as_low, self._miss):
            self._decide(Verdict.CLEAR)
        return self._held

    @property
    def undecided(self) -> bool:
        """Never: what is missing is in `decision`."""
        return False

    @property
    def as_high(self) -> float:
        """Share of known real sources that reach as high as this trial."""
        return self._table.as_high(self._trial)

    @property
    def as_low(self) -> float:
        """Share of known fake sources that reach as low as this trial."""
        return self._table.as_low(self._trial)

    def decision(self) -> Decision:
        """Return what to publish."""
        as_high, stake = self.as_high, self._stake or 0.0
        held_to = stake or self._account.finest
        reached = math.log(as_high) / math.log(held_to) if as_high < 1.0 else 0.0
        return Decision(
            verdict=self._held,
            evidence=1.0 if self._held is Verdict.SUSPECT else min(reached, 1.0),
            as_high=as_high,
            as_low=self.as_low,
            stake=stake,
            needs_s=self._needs_s(),
            gave_up=self._held is Verdict.PENDING and self._undecided_s >= self._give_up_s,
        )

    def _needs_s(self) -> float | None:
        if self._held is Verdict.SUSPECT:
            return None
        rest = max(self._table.horizon.trial_s - self._trial.seen_s, 0.0)
        if self._stake:
            return rest
        pause = 0.0 if self._staked_s is None else max(self._again_s - self._staked_s, 0.0)
        finest = self._table.finest_of(self._trial)
        wait_s = self._account.wait_s(newcomer=self._staked_s is None, finest=finest)
        return max(rest, pause, wait_s)

    def _pay(self) -> float:
        """Stake on the trial that has become comparable; one of a suspect face costs nothing."""
        self._stake = 0.0
        if self._held is Verdict.SUSPECT:
            return 0.0
        if self._staked_s is None or self._staked_s >= self._again_s:
            finest = self._table.finest_of(self._trial)
            self._stake = self._account.stake(newcomer=self._staked_s is None, finest=finest)
        if self._stake:
            self._staked_s = 0.0
        if self._held is Verdict.PENDING:
            finest = self._table.finest_miss
            self._miss = math.floor(self._miss_left / 2 / finest + _ROUNDING) * finest
            self._miss_left -= self._miss
        return self._stake

    def _decide(self, verdict: Verdict) -> None:
        self._held = verdict
        self._undecided_s = 0.0

    def _conclude(self) -> None:
        """Let a whole trial contradict what is held, and begin the next."""
        contradicts = {Verdict.SUSPECT: self.as_high, Verdict.CLEAR: self.as_low}
        if contradicts.get(self._held, 0.0) > CONTRADICTED:
            self._held = Verdict.PENDING
        self._begin()

    @staticmethod
    def _within(share: float, allowed: float) -> bool:
        return allowed > 0 and share <= allowed + _ROUNDING


class Budget:
    """Deciders of one stream's faces, which share its account.

    Args:
        table: known trials of the detector.
        settings: the budget and its times.
    """

    def __init__(self, table: DecisionTable, settings: DecisionSettings) -> None:
        self._table = table
        self._settings = settings
        self._own: Own | None = None
        self.account = AlarmAccount(settings.per_hour, table.finest)

    def compare_with(self, own: Own) -> None:
        """Have trials that begin from now on compared with what this returns."""
        self._own = own

    def earn(self, seconds: float) -> None:
        """Take note that the stream was watched for so many media seconds more."""
        self.account.earn(seconds)

    def face(self) -> BudgetDecider:
        """Return the decider of one more face."""
        settings = self._settings
        return BudgetDecider(
            self._table,
            self.account,
            settings.miss,
            settings.give_up_s,
            settings.again_s,
            self._own,
        )
