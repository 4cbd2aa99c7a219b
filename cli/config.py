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
    ConfigInvalid,
    DetectorConfig,
    Settings,
    StreamConfig,
    keys_of,
    load,
)
from stream.errors import SourceUrlInvalid
from stream.ingest.check import check as check_source
from stream.ingest.source import SourceUrl
from styleflow.detectors.registry import BUILT_IN

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

EXAMPLE = """\
# - id: lobby
#   name: Lobby, north door
#   source:
#     url: rtsp://user:${LOBBY_PASSWORD}@192.0.2.7/stream1
"""


def check(path: Path, env: Mapping[str, str], *, show: bool) -> None:
    """Say that a configuration is good, or raise ConfigInvalid with every fault."""
    settings = load(path, env)
    faults = list(_bad_sources(settings))
    if faults:
        raise ConfigInvalid(str(path), tuple(faults))
    out = Console()
    if show:
        out.print(yaml.safe_dump(shown(settings), sort_keys=False), markup=False, highlight=False)
    for line in _absent_files(settings):
        out.print(f"{path}: note: {line}", style="yellow", markup=False, highlight=False)
    n = len(settings.streams)
    out.print(f"{path}: good, {n} stream{'' if n == 1 else 's'}", markup=False, highlight=False)


def _bad_sources(settings: Settings) -> Iterator[str]:
    for index, stream in enumerate(settings.streams):
        try:
            check_source(stream.spec().source)
        except SourceUrlInvalid as error:
            yield f"streams[{index}].source.url: {error.reason} ({error.shown})"


def _absent_files(settings: Settings) -> Iterator[str]:
    """Yield what `serve` would refuse to start without; another machine may well have it."""
    for index, detector in enumerate(settings.detectors):
        if detector.checkpoint is None and detector.name != BUILT_IN:
            yield f"detectors[{index}].checkpoint: {detector.name} needs a file of weights"
        elif detector.checkpoint is not None and not detector.checkpoint.is_file():
            yield f"detectors[{index}].checkpoint: {detector.checkpoint} is not here"
    if settings.ensemble is not None and not settings.ensemble.is_file():
        yield f"ensemble: {settings.ensemble} is not here"


def shown(settings: Settings) -> dict[str, Any]:
    """Return settings as plain values, with credentials hidden."""
    values = settings.model_dump(mode="json")
    for stream in values["streams"]:
        stream["source"]["url"] = SourceUrl.parse(stream["source"]["url"]).redacted
    return values


def annotated_defaults() -> str:
    """Return every key with its meaning and default, as the YAML of `configs/default.yaml`."""
    values = Settings().model_dump(mode="json")
    lines = [HEADER, *_section(Settings, values, 0)]
    streams = ["", *(f"# {line}" for line in _described(StreamConfig, 0)), EXAMPLE]
    detectors = ["", DETECTOR_HEADER, *(f"# {line}" for line in _described(DetectorConfig, 0))]
    return "\n".join(lines + streams + detectors) + "\n"


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
