"""Errors of alerts. They carry data and declare how they are told, as `styleflow.errors` says.

StreamError
├── AlertUndelivered    a channel that does not take a message now
├── AlertRuleUnknown    a name that no rule has
├── AlertRuleFixed      a rule of the configuration, which the page cannot change
├── AlertRulesFull      the limit of rules that are made on the page is reached
└── AlertChannelMissing a channel that a rule names, or a library that a channel needs
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import StreamError


@dataclass(eq=False)
class AlertUndelivered(StreamError):
    """A channel does not take a message now; it is tried again.

    Attributes:
        reason: why, without any secret.
        again_s: seconds that the other side wants to be left alone; None when it did not say.
    """

    code = "alert_undelivered"
    title = "The message was not delivered"
    hint = "Check the channel's settings, then try it with `styleflow alerts test RULE`"
    status = 502
    retry = True

    reason: str
    again_s: float | None = None

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class AlertRuleUnknown(StreamError):
    """No rule of alerts has this name."""

    code = "alert_rule_unknown"
    title = "There is no such rule"
    hint = "GET /api/v1/alerts lists those that exist"
    status = 404

    name: str

    def __str__(self) -> str:
        return f"there is no rule {self.name!r}"


@dataclass(eq=False)
class AlertRuleFixed(StreamError):
    """A rule of alerts is in the configuration, so nobody changes it over the API."""

    code = "alert_rule_fixed"
    title = "This rule is in the configuration"
    hint = "Change it under alerts.rules there, or choose another name"
    status = 409

    name: str

    def __str__(self) -> str:
        return f"the rule {self.name!r} is in the configuration"


@dataclass(eq=False)
class AlertRulesFull(StreamError):
    """As many rules as may be made on the page exist."""

    code = "alert_rules_full"
    title = "No further rule is accepted"
    hint = "Remove one, or have one rule name several streams and channels"
    status = 429

    limit: int

    def __str__(self) -> str:
        return f"all {self.limit} rules that may be made on the page are in use"


@dataclass(eq=False)
class AlertChannelMissing(StreamError):
    """A rule names a channel that is not configured, or a channel needs a library that is not here.

    Attributes:
        channel: its name.
        reason: what is missing.
    """

    code = "alert_channel_missing"
    title = "This channel cannot be used"
    hint = "Configure it under alerts.channels, see docs/alerts.md"
    status = 422

    channel: str
    reason: str

    def __str__(self) -> str:
        return f"{self.channel!r}: {self.reason}"
