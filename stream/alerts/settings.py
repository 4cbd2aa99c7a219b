"""Settings of alerts. Values only: rules, channels, and how long a message is tried."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, SecretStr

from stream.errors import SettingInvalid
from stream.incident import Severity

SeverityName = Literal["hint", "low", "medium", "high"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Security = Literal["tls", "starttls", "none"]

WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MIN_SECRET_CHARS = 16
"""Shortest secret that webhooks are signed with."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Names of rules and channels: they stand in addresses, in metrics and in logs."""

_CLOCK = re.compile(r"(?:[01]?\d|2[0-3]):[0-5]\d")
_GLOB = r"^[A-Za-z0-9._*?\[\]!-]{1,64}$"


def _of_the_day(value: object) -> object:
    """Return a time of day; YAML takes 22:00 without quotes for minutes."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return f"{value // 60:02d}:{value % 60:02d}"
    return value


Name = Annotated[str, Field(pattern=NAME)]
Glob = Annotated[str, Field(pattern=_GLOB)]
ClockTime = Annotated[str, BeforeValidator(_of_the_day), Field(max_length=5)]
Seconds = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]
Timeout = Annotated[float, Field(gt=0, le=120, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]
_Text = Annotated[str, Field(max_length=256)]


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours of the day in which a rule sends nothing.

    Attributes:
        start: when they begin, as in "22:00".
        end: when they are over; earlier than `start` means the next day.
        zone: time zone, as in Europe/Berlin.
        days: weekdays on which they begin, as in [sat, sun]; empty means every day.
    """

    start: ClockTime
    end: ClockTime
    zone: Annotated[str, Field(max_length=64)] = "UTC"
    days: tuple[Weekday, ...] = ()

    def __post_init__(self) -> None:
        for key in ("start", "end"):
            if not _CLOCK.fullmatch(getattr(self, key)):
                raise SettingInvalid(key, repr(getattr(self, key)), 'must be a time like "22:00"')
        if minute_of(self.start) == minute_of(self.end):
            raise SettingInvalid("end", self.end, "must differ from start")
        if not _is_zone(self.zone):
            raise SettingInvalid("zone", repr(self.zone), "must be like Europe/Berlin or UTC")


@dataclass(frozen=True, slots=True)
class Rule:
    """Rule that decides which incidents are told, and through which channels.

    Attributes:
        name: of the rule, up to 64 letters, digits, dots, dashes or underscores.
        channels: names of the channels that tell it.
        streams: ids of streams; globs such as cam-* are allowed.
        severity: least severity of an incident, hint, low, medium or high.
        min_s: seconds for which the face must have been suspect.
        quiet: hours in which nothing is sent. An incident that is still open when they are over is
            told then.
        most: messages per stream within `per_s` at most; ends of incidents are not counted.
        per_s: see `most`.
        updates: tell the end of an incident, too.
        enabled: whether it holds.
    """

    name: Name
    channels: tuple[Name, ...]
    streams: tuple[Glob, ...] = ("*",)
    severity: SeverityName = "low"
    min_s: Seconds = 0.0
    quiet: tuple[QuietHours, ...] = ()
    most: Annotated[int, Field(ge=1, le=1000)] = 6
    per_s: Annotated[float, Field(ge=1, le=604_800, allow_inf_nan=False)] = 3600.0
    updates: bool = True
    enabled: bool = True

    def __post_init__(self) -> None:
        for key in ("channels", "streams"):
            count = len(getattr(self, key))
            if not 1 <= count <= 64:
                raise SettingInvalid(key, count, "must name one to 64")
        if len(self.quiet) > 32:
            raise SettingInvalid("quiet", len(self.quiet), "must be at most 32")

    @property
    def least(self) -> Severity:
        """Least severity of an incident that it tells."""
        return Severity[self.severity.upper()]


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Webhook: an HTTP POST of JSON for every message.

    Attributes:
        name: of the channel.
        url: http:// or https://; hidden everywhere, because such addresses are often a secret.
        secret: at least 16 characters, with which messages are signed (HMAC-SHA256); empty signs
            nothing.
        timeout_s: of one attempt.
        allow_networks: addresses that are sent to although they are not public, as in
            192.168.1.0/24.
    """

    name: Name
    url: SecretStr
    secret: SecretStr = field(default_factory=lambda: SecretStr(""))
    timeout_s: Timeout = 10.0
    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def __post_init__(self) -> None:
        if not re.match(r"https?://[^/\s@]+(/\S*)?$", self.url.get_secret_value()):
            rule = "must be http(s)://HOST/… without spaces or a login"
            raise SettingInvalid("url", "what is there", rule)
        if 0 < len(self.secret.get_secret_value()) < MIN_SECRET_CHARS:
            rule = f"must have at least {MIN_SECRET_CHARS} characters"
            raise SettingInvalid("secret", "a shorter one", rule)


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """MQTT broker, with discovery by Home Assistant.

    Attributes:
        name: of the channel.
        host: of the broker.
        port: of the broker; 8883 is usual with TLS.
        tls: speak TLS.
        tls_ca_file: certificates to trust instead of the system's.
        username: to log in with; empty logs nobody in.
        password: to log in with.
        topic: first part of all topics, and the name of this analyzer there.
        discovery: first part of Home Assistant's topics; empty announces nothing.
        streams: ids of streams that are shown; globs are allowed.
        severity: least severity of an open incident that turns the suspicion on.
        score_s: seconds between two scores of one stream at least.
        expire_s: seconds after which Home Assistant calls a score unknown; 0 never does.
        snooze_min: minutes for which the switch snoozes a stream.
        timeout_s: of connecting, and of one message.
    """

    name: Name
    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Port = 1883
    tls: bool = False
    tls_ca_file: Path | None = None
    username: _Text = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "styleflow"
    discovery: Annotated[str, Field(pattern=r"^[A-Za-z0-9_/-]{0,64}$")] = "homeassistant"
    streams: tuple[Glob, ...] = ("*",)
    severity: SeverityName = "low"
    score_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = 5.0
    expire_s: Annotated[int, Field(ge=0, le=86400)] = 60
    snooze_min: Annotated[int, Field(ge=1, le=10_080)] = 60
    timeout_s: Timeout = 10.0

    @property
    def least(self) -> Severity:
        """Least severity of an open incident that turns the suspicion on."""
        return Severity[self.severity.upper()]


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """E-mail through an SMTP server.

    Attributes:
        name: of the channel.
        host: of the server.
        sender: address that messages come from.
        to: addresses that messages go to.
        port: of the server; 465 is usual with tls, 587 with starttls.
        security: tls, starttls, or none, which sends everything in clear.
        tls_ca_file: certificates to trust instead of the system's.
        username: to log in with; empty logs nobody in.
        password: to log in with.
        timeout_s: of one attempt.
    """

    name: Name
    host: Annotated[str, Field(min_length=1, max_length=255)]
    sender: Annotated[str, Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$", max_length=254)]
    to: tuple[Annotated[str, Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$", max_length=254)], ...]
    port: Port = 465
    security: Security = "tls"
    tls_ca_file: Path | None = None
    username: _Text = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    timeout_s: Timeout = 20.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.to) <= 64:
            raise SettingInvalid("to", len(self.to), "must name one to 64 addresses")
        if self.username and self.security == "none":
            raise SettingInvalid("security", "none", "must be tls or starttls to log in")


@dataclass(frozen=True, slots=True)
class AppriseSettings:
    """Any of the services that Apprise knows (extra `notify`).

    Attributes:
        name: of the channel.
        url: as Apprise documents it, with the service's secrets in it; hidden everywhere.
        timeout_s: of one attempt.
    """

    name: Name
    url: SecretStr
    timeout_s: Timeout = 30.0

    def __post_init__(self) -> None:
        if "://" not in self.url.get_secret_value():
            raise SettingInvalid("url", "what is there", "must be a URL as Apprise documents it")


ChannelSettings = WebhookSettings | MqttSettings | EmailSettings | AppriseSettings


@dataclass(frozen=True, slots=True)
class ChannelsSettings:
    """Channels through which alerts are told, by kind; each is explained at the end of this file.

    Attributes:
        webhook: addresses that messages are posted to as JSON.
        mqtt: brokers, with discovery by Home Assistant.
        email: SMTP servers.
        apprise: services that Apprise knows.
    """

    webhook: tuple[WebhookSettings, ...] = ()
    mqtt: tuple[MqttSettings, ...] = ()
    email: tuple[EmailSettings, ...] = ()
    apprise: tuple[AppriseSettings, ...] = ()

    def all(self) -> Iterator[ChannelSettings]:
        """Yield every channel."""
        yield from self.webhook
        yield from self.mqtt
        yield from self.email
        yield from self.apprise


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Outbox: what is tried again, how often and for how long.

    Attributes:
        waiting: messages of one channel that may wait; the oldest gives way and is counted.
        first_s: wait after the first failure; it doubles with each further one, and up to half of
            it is left to chance.
        most_s: longest wait between two attempts.
        try_s: age at which a message is given up.
        keep_days: how long delivered messages are remembered, so that none is sent twice.
    """

    waiting: Annotated[int, Field(ge=1, le=100_000)] = 1000
    first_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 2.0
    most_s: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)] = 900.0
    try_s: Annotated[float, Field(gt=0, le=604_800, allow_inf_nan=False)] = 86400.0
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 30


@dataclass(frozen=True, slots=True)
class AlertsSettings:
    """Alerts: who is told of which incidents, and how.

    Attributes:
        channels: ways in which people and programs are told.
        rules: which incidents are told through which channels; more can be made on the page. Each
            key of one is explained at the end of this file.
        outbox: what is tried again, how often and for how long.
        page: address under which people reach the page, as in https://styleflow.example, for links
            in messages; empty sends no links.
    """

    channels: ChannelsSettings = ChannelsSettings()
    rules: tuple[Rule, ...] = ()
    outbox: OutboxSettings = OutboxSettings()
    page: Annotated[str, Field(pattern=r"^(https?://[^\s@]+)?$", max_length=256)] = ""


def faults(settings: AlertsSettings) -> Iterator[str]:
    """Yield what cannot work together, each beginning with its key."""
    names = [channel.name for channel in settings.channels.all()]
    yield from (f"alerts.channels: {name!r} is named twice" for name in _twice(names))
    rules = [rule.name for rule in settings.rules]
    yield from (f"alerts.rules: {name!r} is named twice" for name in _twice(rules))
    for index, rule in enumerate(settings.rules):
        for name in rule.channels:
            if name not in names:
                yield f"alerts.rules[{index}].channels: there is no channel {name!r}"


def minute_of(clock: str) -> int:
    """Return the minute of the day that a time such as 22:00 means."""
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def _twice(names: Iterable[str]) -> list[str]:
    seen = list(names)
    return sorted({name for name in seen if seen.count(name) > 1})


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
