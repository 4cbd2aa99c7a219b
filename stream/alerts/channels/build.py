"""Channels as they are configured: settings in, channels out."""

from __future__ import annotations

from stream.alerts.channels.apprise import Apprise
from stream.alerts.channels.channel import Channel
from stream.alerts.channels.email import Email
from stream.alerts.channels.mqtt import Mqtt, SnoozeSwitch
from stream.alerts.channels.webhook import Webhook
from stream.alerts.settings import (
    AppriseSettings,
    ChannelSettings,
    ChannelsSettings,
    EmailSettings,
    MqttSettings,
    WebhookSettings,
)
from stream.clock import Clock
from stream.outbound import Resolver, system_resolver


def build_channels(
    settings: ChannelsSettings,
    clock: Clock,
    version: str,
    snoozes: SnoozeSwitch | None = None,
    resolve: Resolver = system_resolver,
    *,
    brief: bool = False,
) -> list[Channel]:
    """Return every configured channel.

    Args:
        settings: the channels.
        clock: where time comes from.
        version: of this program.
        snoozes: what the switches of MQTT steer; they do nothing when left out.
        resolve: finds the addresses of webhooks.
        brief: for a command that runs beside the analyzer: brokers are connected to for every
            message alone.

    Raises:
        AlertChannelMissing: a library is not here, or a service is unknown.
    """

    def built(one: ChannelSettings) -> Channel:
        match one:
            case WebhookSettings():
                return Webhook(one, clock, resolve)
            case MqttSettings():
                return Mqtt(one, clock, version, snoozes, brief=brief)
            case EmailSettings():
                return Email(one)
            case AppriseSettings():
                return Apprise(one)

    return [built(one) for one in settings.all()]
