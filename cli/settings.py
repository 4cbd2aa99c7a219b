"""Configuration: YAML and environment in, frozen settings out. Nobody else parses or reads either.

Precedence, lowest first: built-in defaults, the file, environment variables of the form
`STYLEFLOW__SECTION__KEY`, command-line options. Values may say `${VAR}`, `${VAR:-default}`,
`${VAR:?message}` or `${file:/run/secrets/x}`. An unknown key is an error that suggests the nearest.

The environment and the file are read here rather than by pydantic-settings (2.16), which ignores a
misspelt section (`STYLEFLOW__WEBB__PORT`) and a file that is not there, takes lists as JSON only,
and validates before references can be replaced.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from cli import yaml_text
from cli.errors import ConfigInvalid as ConfigInvalid
from stream.alerts.settings import AlertsSettings
from stream.analyzer.settings import AnalyzerSettings
from stream.analyzer.streams import (
    MAX_STREAM_ID,
    STREAM_ID,
    Labels,
    Priority,
    StreamName,
    StreamSpec,
    StreamTags,
)
from stream.baseline.settings import BaselineSettings
from stream.canaries.settings import CanarySettings
from stream.challenge.settings import ChallengeSettings
from stream.cluster.settings import ClusterSettings
from stream.drift.settings import DriftSettings
from stream.engine.decision_settings import DecisionSettings
from stream.engine.settings import EngineSettings
from stream.evidence.settings import EvidenceSettings
from stream.faults import dotted, told, unknown_keys
from stream.incidents.settings import IncidentSettings
from stream.ingest.source import Pace, SourceSettings, SourceUrl, Transport
from stream.perception.settings import PerceptionSettings
from stream.scheduling.batcher import BatcherSettings
from stream.scheduling.degradation import OverloadSettings
from stream.second_look.settings import SecondLookSettings
from stream.store.settings import StoreSettings
from stream.webrtc.calls import WebRtcSettings
from styleflow.calibration import Calibration
from styleflow.clips import PspInput
from styleflow.detectors.registry import DETECTORS
from styleflow.runtime_settings import Precision, Runtime
from web.settings import WebSettings

ENV_PREFIX = "STYLEFLOW__"

MAX_REFERENCE = 64 * 1024
"""Longest file in bytes that `${file:…}` stands for."""

_MAX_FAULT = 600
_MAX_FAULTS = 50


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceConfig(_Section):
    """Source of a stream.

    Attributes:
        url: rtsp://, rtsps://, whip:// (waits for a WebRTC peer at /whip/ID), demo://authentic,
            demo://tampered, or the path of a file.
        transport: RTP transport of an RTSP source; auto tries TCP, then UDP.
        timeout_s: silence after which the network layer gives up.
        tls_verify: check the server's certificate (RTSPS).
        tls_ca_file: certificates to trust instead of the system's (RTSPS).
        pace: speed at which a file is read; native or fast.
        loop: start a file again at its end, in a new epoch.
    """

    url: str
    transport: Transport = Transport.AUTO
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.5
    tls_verify: bool = True
    tls_ca_file: Path | None = None
    pace: Pace = Pace.NATIVE
    loop: bool = False

    def settings(self) -> SourceSettings:
        """Return what ingest wants. Raises SourceUrlInvalid."""
        return SourceSettings(
            url=SourceUrl.parse(self.url),
            transport=self.transport,
            timeout_s=self.timeout_s,
            tls_verify=self.tls_verify,
            tls_ca_file=self.tls_ca_file,
            pace=self.pace,
            loop=self.loop,
        )


class StreamConfig(_Section):
    """One stream that is there from the start.

    Attributes:
        id: 1 to 64 letters, digits, dots, dashes or underscores, not only dots; used in URLs and as
            a label.
        source: how it is obtained.
        name: what people call it; the id when empty. At most 128 characters, none of control.
        priority: normal or low; under overload, low ones are looked at only in windows.
        tags: what people sort it by, the most important first; at most 16 of 32 characters.
        placement: labels that its worker must have, all of them, as in {gpu: true, site: north};
            see `cluster.labels`. Without effect where one process does everything.
    """

    id: Annotated[str, Field(pattern=STREAM_ID, max_length=MAX_STREAM_ID)]
    source: SourceConfig
    name: StreamName = ""
    priority: Priority = Priority.NORMAL
    tags: StreamTags = ()
    placement: Labels = Field(default_factory=dict)

    def spec(self) -> StreamSpec:
        """Return what the analyzer wants. Raises SourceUrlInvalid."""
        return StreamSpec(
            self.id,
            self.source.settings(),
            self.name,
            self.priority,
            self.tags,
            self.placement,
        )


class ModelConfig(_Section):
    """Weights of the default detector, and the hardware that runs them.

    Attributes:
        checkpoint: file of weights; empty means the built-in model, which says how far its scores
            may be trusted.
        device: cpu, cuda or cuda:N.
        decoding: what decodes video where device is a GPU: auto is the GPU (NVDEC) for what it can
            decode and the processor for the rest; cpu is the processor alone. Pictures lie on the
            GPU either way.
        runtime: what runs networks without memory. auto is OpenVINO on a CPU and CUDA graphs on a
            GPU; torch is PyTorch as it is.
        workers: faces that OpenVINO works on at the same time, a thread each; empty means one per
            core. They do not wait for each other, so more of them cost no CPU time, but cores that
            decoders need as well.
        threads: CPU threads of torch; empty lets torch choose. In its small calls a second thread
            waits more than it works, and on a busy machine costs many times the CPU time (two
            cores at load 7: 12 ms per frame with one thread, 58 to 260 ms with two).
        precision: what OpenVINO computes styleflow-live's picture network in on a CPU, float32,
            bfloat16 or int8; empty means int8 on a processor that multiplies eight bits in one step
            (VNNI), and else bfloat16. docs/performance.md says how far scores differ.
        slots: faces that can be scored at the same time; a further one is refused and reported.
    """

    checkpoint: Path | None = None
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")] = "cpu"
    decoding: Literal["auto", "cpu"] = "auto"
    runtime: Runtime = Runtime.AUTO
    workers: Annotated[int, Field(ge=1, le=64)] | None = 1
    threads: Annotated[int, Field(ge=1, le=4096)] | None = 1
    precision: Precision | None = None
    slots: Annotated[int, Field(ge=1, le=4096)] = 64


class CalibrationConfig(_Section):
    """Calibration of a detector, from logit to probability, fitted on labelled video elsewhere.

    Attributes:
        scale: multiplies the logit.
        bias: added after scaling.
        spread: standard deviation of the scaled logit between clips of one label.
    """

    scale: Annotated[float, Field(gt=0, le=1000)] = 1.0
    bias: Annotated[float, Field(ge=-1000, le=1000)] = 0.0
    spread: Annotated[float, Field(gt=0, le=1000)] = 2.0

    def fitted(self) -> Calibration:
        """Return it as the engine wants it."""
        return Calibration(self.scale, self.bias, self.spread, fitted=True)


def _known(name: str) -> str:
    """Return the name of a detector that there is. Raises ValueError."""
    if name not in DETECTORS:
        near = difflib.get_close_matches(name, DETECTORS, n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no detector is called {name!r}{guess}; {', '.join(DETECTORS)}")
    return name


def _only_gend(value: Any, name: str | None, key: str | None) -> Any:
    """Return a value that detectors of single frames have of their own. Raises ValueError."""
    if value not in (None, Precision.FLOAT32) and not (name or "gend-").startswith("gend-"):
        raise ValueError(f"{name} has no {key} of its own; only gend-… does")
    return value


class DetectorConfig(_Section):
    """One of the detectors that look at every stream side by side.

    Attributes:
        name: styleflow-live, styleflow, caddm-resnet34, caddm-efficientnet-b3,
            caddm-efficientnet-b4, fakestormer-c0, fakestormer-c23, fakestormer-c40,
            gend-clip-l14, gend-pe-l or gend-dinov3-l.
        checkpoint: its file of weights, from `styleflow checkpoints import`; empty means what
            `styleflow checkpoints fetch` has brought, or styleflow-live's own.
        slots: faces that it can score at the same time; empty means model.slots.
        psp_input: what styleflow's style encoder is fed, clip (the crop that its content branch
            sees, as released) or ffhq (FFHQ's looser framing); empty means as the checkpoint says,
            clip for the authors' files. Only for styleflow.
        cadence_hz: frames per second of media time that it is fed; empty means 2 on a CPU and 12.5
            on a GPU. Only for gend-…, which judges every frame alone; the others were trained at
            theirs, or average a number of frames.
        precision: what OpenVINO computes its parts without memory in on a CPU, float32, bfloat16 or
            int8 (products of eight bits); the answers then differ, docs/models.md says how much.
            Only for gend-….
        calibration: replaces that of the checkpoint.
        prior: share of faces that are synthesised where it is used, above 0 and below 1; moves
            every score by Bayes' rule. Empty means the share that its calibration was made for.
    """

    name: str
    checkpoint: Path | None = None
    slots: Annotated[int, Field(ge=1, le=4096)] | None = None
    psp_input: PspInput | None = None
    cadence_hz: Annotated[float, Field(gt=0, le=60)] | None = None
    precision: Precision = Precision.FLOAT32
    calibration: CalibrationConfig | None = None
    prior: Annotated[float, Field(gt=0, lt=1)] | None = None

    @field_validator("name")
    @classmethod
    def _exists(cls, name: str) -> str:
        return _known(name)

    @field_validator("psp_input")
    @classmethod
    def _has_a_style_encoder(
        cls, psp_input: PspInput | None, info: ValidationInfo
    ) -> PspInput | None:
        name = info.data.get("name", "styleflow")
        if psp_input is not None and name != "styleflow":
            raise ValueError(f"{name} has no pSp; only styleflow does")
        return psp_input

    @field_validator("cadence_hz", "precision")
    @classmethod
    def _judges_frames_alone(cls, value: Any, info: ValidationInfo) -> Any:
        return _only_gend(value, info.data.get("name"), info.field_name)


class SecondLookConfig(_Section):
    """A heavier detector that is shown a face now and then, within a share of the time.

    Attributes:
        detector: its name, one that is not among `detectors`; empty means there is no second look.
            It may want at most the first detector's frames a second.
        checkpoint: its file of weights, likewise as in `detectors`.
        cadence_hz: frames per second of media time that it is fed; only for gend-….
        precision: what OpenVINO computes in, float32, bfloat16 or int8; only for gend-….
        calibration: replaces that of the checkpoint.
        when: how far the first detector's score has to lean, either way, 0..1: 0.4 is a score of
            0.7 and more, or of 0.3 and less. 0 takes every score.
        every_s: seconds after which a face is shown again whatever its score is; 0 only when it
            has come to lean to another side.
        share: of the device thread's time that second looks may take, above 0 and at most 0.9.
            They begin with nothing and never use more than has been earned.
        frames: sampled frames of one look; empty means half a clip of the detector.
        at_once: faces that may be looked at a second time at once, each in a slot of its own.
    """

    detector: str | None = None
    checkpoint: Path | None = None
    cadence_hz: Annotated[float, Field(gt=0, le=60)] | None = None
    precision: Precision = Precision.FLOAT32
    calibration: CalibrationConfig | None = None
    when: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.4
    every_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 30.0
    share: Annotated[float, Field(gt=0, le=0.9, allow_inf_nan=False)] = 0.2
    frames: Annotated[int, Field(ge=1, le=1024)] | None = None
    at_once: Annotated[int, Field(ge=1, le=64)] = 2

    @field_validator("detector")
    @classmethod
    def _exists(cls, name: str | None) -> str | None:
        return None if name is None else _known(name)

    @field_validator("cadence_hz", "precision")
    @classmethod
    def _judges_frames_alone(cls, value: Any, info: ValidationInfo) -> Any:
        return _only_gend(value, info.data.get("detector"), info.field_name)

    def wanted(self) -> DetectorConfig | None:
        """Return the detector as `detectors` would name it; None when there is none."""
        if self.detector is None:
            return None
        return DetectorConfig(
            name=self.detector,
            checkpoint=self.checkpoint,
            slots=self.at_once,
            cadence_hz=self.cadence_hz,
            precision=self.precision,
            calibration=self.calibration,
        )

    def settings(self) -> SecondLookSettings:
        """Return when it is asked, and what it may cost."""
        return SecondLookSettings(self.when, self.every_s, self.share, self.frames, self.at_once)


class LogConfig(_Section):
    """Level and format of the log.

    Attributes:
        level: debug, info, warning or error.
        format: console for people, json for machines; on standard error.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Settings(_Section):
    """Everything that can be configured.

    Attributes:
        web: where to listen, whom to serve, and what they may reach.
        webrtc: which calls are answered (WHIP), where, and how much they may send.
        model: which weights score, and on what.
        detectors: detectors that score side by side, the first one first; empty means
            styleflow-live alone. Each key of one is explained at the end of this file.
        ensemble: file from `styleflow ensemble fit`; its score is published beside theirs.
        analyzer: how much one process takes on.
        batching: how streams share one device.
        overload: what is left out when there is more work than the machine can do.
        perception: how closely pictures are looked at.
        engine: when scores become verdicts, and when no verdict is given.
        decision: what makes a verdict of the ratings: thresholds, or a budget of false alarms.
        baseline: how much known-real video makes a stream's own null, and for how long it holds.
        second_look: a heavier detector that is shown a face now and then.
        incidents: when suspect verdicts become an incident, and how severe it is.
        drift: when a stream counts as changed against its own last seven days.
        challenges: what operators may ask people to do, and when it counts as done.
        store: what is remembered beyond a restart, and where.
        evidence: what is kept of an incident's video, and for how long.
        alerts: who is told of which incidents, and how.
        canaries: known clips that are sent through the whole path, to see that it still works.
        cluster: how many processes analyze streams, on which machines.
        log: what is logged and how it looks.
        streams: streams that are there from the start; more can be added while running.
    """

    web: WebSettings = WebSettings()
    webrtc: WebRtcSettings = WebRtcSettings()
    model: ModelConfig = ModelConfig()
    detectors: tuple[DetectorConfig, ...] = ()
    ensemble: Path | None = None
    analyzer: AnalyzerSettings = AnalyzerSettings()
    batching: BatcherSettings = BatcherSettings()
    overload: OverloadSettings = OverloadSettings()
    perception: PerceptionSettings = PerceptionSettings()
    engine: EngineSettings = EngineSettings()
    decision: DecisionSettings = DecisionSettings()
    baseline: BaselineSettings = BaselineSettings()
    second_look: SecondLookConfig = SecondLookConfig()
    incidents: IncidentSettings = IncidentSettings()
    drift: DriftSettings = DriftSettings()
    challenges: ChallengeSettings = ChallengeSettings()
    store: StoreSettings = StoreSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    alerts: AlertsSettings = AlertsSettings()
    canaries: CanarySettings = CanarySettings()
    cluster: ClusterSettings = ClusterSettings()
    log: LogConfig = LogConfig()
    streams: tuple[StreamConfig, ...] = ()


def environment() -> Mapping[str, str]:
    """Return the process's environment variables; nobody else reads them."""
    return os.environ


def load(
    path: Path | None,
    env: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of a file, the environment and command-line options together.

    Args:
        path: the YAML file, or None for the built-in defaults.
        env: environment variables.
        overrides: nested values that win over everything else; None values are ignored.

    Raises:
        ConfigInvalid: naming every key that must change.
    """
    origin = str(path) if path else "configuration"
    raw = _read(path) if path else {}
    raw = _merge(raw, _from_environment(env))
    raw = _merge(raw, overrides or {})
    filled = _interpolate(raw, env, origin)
    faults = list(unknown_keys(Settings, filled))
    if faults:
        raise _invalid(origin, *faults)
    try:
        settings = Settings.model_validate(filled)
    except ValidationError as error:
        found = (
            f"{dotted(e['loc']) or 'configuration'}: {told(Settings, e)}" for e in error.errors()
        )
        raise _invalid(origin, *found) from None
    names = [detector.name for detector in settings.detectors]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise ConfigInvalid(origin, tuple(f"detectors: {name!r} is named twice" for name in double))
    ids = [stream.id for stream in settings.streams]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise ConfigInvalid(origin, tuple(f"streams: the id {i!r} is used twice" for i in twice))
    return settings


def _invalid(origin: str, *faults: str) -> ConfigInvalid:
    """Return the error that tells faults, a short and printable line each."""
    lines = [_line(fault) for fault in faults[:_MAX_FAULTS]]
    if len(faults) > _MAX_FAULTS:
        lines.append(f"and {len(faults) - _MAX_FAULTS} more")
    return ConfigInvalid(origin, tuple(lines))


def _line(text: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in text[: 2 * _MAX_FAULT])
    return text if len(text) <= _MAX_FAULT else f"{text[:_MAX_FAULT]} …"


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml_text.parse(yaml_text.read(path))
    except OSError as error:
        raise ConfigInvalid(str(path), (f"cannot be read: {error.strerror}",)) from None
    except yaml.YAMLError as error:
        raise _invalid(str(path), str(error)) from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ConfigInvalid(str(path), ("must be a mapping of sections, such as `web:`",))
    return raw


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in sorted(env.items()):  # a section before its keys, which then win
        if not name.startswith(ENV_PREFIX):
            continue
        *sections, key = name.removeprefix(ENV_PREFIX).lower().split("__")
        at = values
        for section in sections:
            inner = at.setdefault(section, {})
            if not isinstance(inner, dict):
                said = f"{name}: {section} is set to a value already, so it has no keys"
                raise ConfigInvalid("environment", (said,))
            at = inner
        try:
            at[key] = yaml_text.parse(text)
        except yaml.YAMLError as error:
            raise _invalid("environment", f"{name} is not YAML: {error}") from None
    return values


def _merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = _merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


_REFERENCE = re.compile(
    r"\$\{(?:file:(?P<file>[^}]+)|(?P<name>\w+)(?::(?P<op>[-?])(?P<arg>[^}]*))?)\}"
)


def _interpolate(value: Any, env: Mapping[str, str], origin: str) -> Any:
    """Return a value with every `${…}` replaced."""
    if isinstance(value, Mapping):
        return {key: _interpolate(item, env, origin) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolate(item, env, origin) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        if file := match["file"]:
            try:
                return yaml_text.read(Path(file), MAX_REFERENCE).strip()
            except (OSError, ValueError, yaml.YAMLError) as error:  # a ValueError: no path
                why = error.strerror if isinstance(error, OSError) else str(error)
                raise _invalid(origin, f"${{file:{file}}} cannot be read: {why}") from None
        found = env.get(match["name"])
        if found:
            return found
        if match["op"] == "-":
            return match["arg"]
        message = match["arg"] or "is not set in the environment"
        raise ConfigInvalid(origin, (f"${{{match['name']}}}: {message}",))

    return _REFERENCE.sub(replace, value)
