"""`styleflow config`: check a configuration, or print every key with its meaning and default."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from rich.console import Console

from cli.settings import (
    DetectorConfig,
    Settings,
    StreamConfig,
    load,
)
from cli.validation import validate
from stream.alerts.settings import (
    AppriseSettings,
    EmailSettings,
    MqttSettings,
    QuietHours,
    Rule,
    WebhookSettings,
)
from stream.faults import keys_of
from stream.ingest.source import SourceUrl
from styleflow import ensemble
from styleflow.detectors.registry import BUILT_IN
from styleflow.weights.places import fetched

HEADER = """\
# Every key of StyleFlow Live with its unit, effect and default. This file is the manual and the
# default configuration at once; leave out what you do not change. Printed by:
#
#   styleflow config defaults
#
# Any key can also be set in the environment as STYLEFLOW__SECTION__KEY, for example
# STYLEFLOW__WEB__PORT=9000. Values may say ${VAR}, ${VAR:-default}, ${VAR:?message} or
# ${file:/run/secrets/x}. An unknown key is an error that suggests the nearest.
"""

DETECTOR_HEADER = "# One of `detectors`; configs/side-by-side.yaml has an example."

ALERTS = (
    ("alerts.channels.webhook", WebhookSettings),
    ("alerts.channels.mqtt", MqttSettings),
    ("alerts.channels.email", EmailSettings),
    ("alerts.channels.apprise", AppriseSettings),
    ("alerts.rules", Rule),
    ("alerts.rules[].quiet", QuietHours),
)
"""Lists of the alerts, and what one item of each is."""

ALERTS_EXAMPLE = """\
# alerts:
#   channels:
#     webhook:
#       - name: control-room
#         url: https://control.example/alerts
#         secret: ${file:/run/secrets/webhook}
#     mqtt:
#       - name: home
#         host: homeassistant.local
#         username: styleflow
#         password: ${MQTT_PASSWORD}
#   rules:
#     - name: doors
#       channels: [control-room, home]
#       streams: [door-*]
#       severity: medium
#       min_s: 3
#       quiet: [{start: "22:00", end: "06:00", zone: Europe/Berlin}]
"""

EXAMPLE = """\
# - id: lobby
#   name: Lobby, north door
#   tags: [Berlin, doors]
#   source:
#     url: rtsp://user:${LOBBY_PASSWORD}@192.0.2.7/stream1
"""


def check(path: Path, env: Mapping[str, str], *, show: bool, untrained: bool = False) -> None:
    """Say that a configuration is good, or raise ConfigInvalid with every fault.

    Args:
        path: the file.
        env: environment variables.
        show: print the settings that result, too.
        untrained: detectors without weights are given random ones, as by `serve --untrained`.

    Raises:
        ConfigInvalid: `serve` would refuse it.
        CheckpointInvalid: a file of weights is none.
        EnsembleInvalid: the ensemble's file is none, or not of these detectors.
    """
    settings = load(path, env)
    validate(settings, str(path), untrained=untrained)
    _open_weights(settings)
    out = Console()
    if show:
        out.print(yaml.safe_dump(shown(settings), sort_keys=False), markup=False, highlight=False)
    n = len(settings.streams)
    out.print(f"{path}: good, {n} stream{'' if n == 1 else 's'}", markup=False, highlight=False)


def _open_weights(settings: Settings) -> None:
    """Read every configured file of weights, as `serve` does when it loads the models."""
    together = ensemble.load(settings.ensemble) if settings.ensemble else None
    chosen = settings.detectors or (DetectorConfig(name=BUILT_IN),)
    cards = []
    for detector in chosen:
        is_ours = detector.name == BUILT_IN
        own = settings.model.checkpoint if is_ours else fetched(detector.name)
        path = detector.checkpoint or own
        shipped = is_ours and path is None and together is not None
        if shipped or (path is not None and path.is_file()):
            from cli import wiring  # here: it loads torch, for which nothing else here has a use

            cards.append(wiring.checkpoint(detector, settings).card)
    second = settings.second_look.wanted()
    if second is not None and second.checkpoint is not None and second.checkpoint.is_file():
        from cli import wiring

        wiring.checkpoint(second, settings)
    if together is not None and len(cards) == len(chosen):
        together.check(cards)


def shown(settings: Settings) -> dict[str, Any]:
    """Return settings as plain values, with credentials hidden."""
    values = settings.model_dump(mode="json")
    for stream in values["streams"]:
        stream["source"]["url"] = SourceUrl.parse(stream["source"]["url"]).redacted
    from stream.store.database import shown_url  # here: it loads a database's library

    values["store"]["url"] = shown_url(settings.store.url.get_secret_value())
    return values


def annotated_defaults() -> str:
    """Return every key with its meaning and default, as the YAML of `configs/default.yaml`."""
    values = Settings().model_dump(mode="json")
    lines = [HEADER, *_section(Settings, values, 0)]
    streams = ["", *(f"# {line}" for line in _described(StreamConfig, 0)), EXAMPLE]
    detectors = ["", DETECTOR_HEADER, *(f"# {line}" for line in _described(DetectorConfig, 0))]
    alerts = [line for at, kind in ALERTS for line in _item(at, kind)]
    return "\n".join(lines + streams + detectors + ["", *alerts, ALERTS_EXAMPLE.rstrip()]) + "\n"


def _item(at: str, kind: Any) -> Iterator[str]:
    """Yield the lines about one item of a list: what its keys mean."""
    yield f"# One of `{at}`; docs/alerts.md says how to set it up."
    for key, meaning in _meanings(kind).items():
        yield f"# {key}: {meaning}"
    yield ""


def _section(kind: Any, values: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield the lines of one section: a comment from its docstring, then `key: default`."""
    meanings = _meanings(kind)
    pad = "  " * depth
    for key, inner in keys_of(kind).items():
        if depth == 0:
            yield ""
        for line in textwrap.wrap(meanings[key], 96 - len(pad)):
            yield f"{pad}# {line}"
        value = values[key]
        if keys_of(inner) and isinstance(value, Mapping):
            yield f"{pad}{key}:"
            yield from _section(inner, value, depth + 1)
        else:
            yield f"{pad}{key}: {_scalar(value)}"


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list) and not value:
        return "[]"
    return str(yaml.safe_dump(value, default_flow_style=True)).split("\n")[0]


def _described(kind: type[BaseModel], depth: int) -> Iterator[str]:
    for key, meaning in _meanings(kind).items():
        yield f"{'  ' * depth}{key}: {meaning}"
        inner = keys_of(kind).get(key)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _described(inner, depth + 1)


def _meanings(kind: Any) -> dict[str, str]:
    """Return what a class's docstring says about each of its attributes."""
    _, _, text = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if match := re.match(r"    (\w+): (.*)", line):
            found[match[1]] = match[2]
        elif line.startswith("        ") and found:
            found[list(found)[-1]] += " " + line.strip()
        elif line.strip():
            break
    return found
