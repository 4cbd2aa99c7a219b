"""Configuration: precedence, interpolation, and faults that name what to change."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli import serve
from cli.config import annotated_defaults, check, shown
from cli.settings import ConfigInvalid, Settings, load
from stream.faults import keys_of
from stream.ingest.source import Transport
from styleflow.ensemble import Ensemble, Fit, Member, save
from styleflow.errors import CheckpointInvalid, EnsembleInvalid

ROOT = Path(__file__).resolve().parents[3]


def write(folder: Path, text: str) -> Path:
    path = folder / "styleflow.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(path: Path, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        load(path, env or {})
    return str(caught.value)


def test_the_manual_is_what_the_program_prints() -> None:
    """configs/default.yaml cannot drift from the settings and their docstrings."""
    text = (ROOT / "configs/default.yaml").read_text(encoding="utf-8")
    assert text == annotated_defaults(), (
        "run: .venv/bin/styleflow config defaults > configs/default.yaml"
    )


def test_the_manual_holds_the_defaults() -> None:
    assert load(ROOT / "configs/default.yaml", {}) == Settings()


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_configuration_is_good(path: Path) -> None:
    names = re.findall(r"\$\{(\w+):\?", path.read_text(encoding="utf-8"))
    env = dict.fromkeys(names, "a-long-and-random-text")
    env["STYLEFLOW__MODEL__DEVICE"] = "cpu"  # some are for a GPU, which may not be here
    check(path, env, show=False, untrained=True)


def test_environment_wins_over_file_and_options_over_both(tmp_path: Path) -> None:
    path = write(tmp_path, "web: {port: 1, host: 127.0.0.2}\nengine: {hop_s: 0.5}\n")
    env = {"STYLEFLOW__WEB__PORT": "2", "STYLEFLOW__ENGINE__ENTER": "0.9", "PATH": "/bin"}
    settings = load(path, env, {"web": {"port": 3, "host": None}})
    assert settings.web.port == 3
    assert settings.web.host == "127.0.0.2"
    assert settings.engine.hop_s == 0.5
    assert settings.engine.enter == 0.9


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"STYLEFLOW__WEB__TOKENS": "[{role: operator"}, "STYLEFLOW__WEB__TOKENS is not YAML"),
        ({"STYLEFLOW__WEB": "3", "STYLEFLOW__WEB__PORT": "4"}, "web is set to a value already"),
        ({"STYLEFLOW__WEB": "3"}, "web: must be a mapping"),
    ],
)
def test_a_slip_in_the_environment_is_named(env: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigInvalid, match=re.escape(said)):
        load(None, env)


def test_options_that_are_not_given_change_nothing() -> None:
    assert load(None, {}, {"web": {"host": None, "port": None}}) == Settings()


PUBLISHED = {
    "styleflow": "styleflow",
    "caddm-resnet34": "caddm-resnet34",
    "caddm-efficientnet-b3": "caddm-efficientnet-b3",
    "caddm-efficientnet-b4": "caddm-efficientnet-b4",
    "fakestormer": "fakestormer-c23",
    "gend-clip-l14": "gend-clip-l14",
    "gend-pe-l": "gend-pe-l",
    "gend-dinov3-l": "gend-dinov3-l",
}


@pytest.mark.parametrize("file", PUBLISHED)
def test_every_published_detector_has_a_file_ready_for_live_use(file: str) -> None:
    """One detector each, with the weights that its own comment says how to import."""
    path = ROOT / "configs" / f"{file}.yaml"
    (detector,) = load(path, {}).detectors
    assert detector.name == PUBLISHED[file]
    assert detector.checkpoint == Path(f"weights/{detector.name}.safetensors")
    text = path.read_text(encoding="utf-8")
    assert f"styleflow checkpoints import {detector.name} " in text
    assert f"--out weights/{detector.name}.safetensors" in text


def test_values_come_from_the_environment_and_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n", encoding="utf-8")
    path = write(
        tmp_path,
        f"""streams:
  - id: a
    source: {{url: 'rtsp://u:${{PW}}@cam/1'}}
  - id: b
    source: {{url: 'rtsp://u:${{file:{secret}}}@cam/1', transport: '${{T:-udp}}'}}
""",
    )
    a, b = load(path, {"PW": "open-sesame"}).streams
    assert "open-sesame" in a.source.url
    assert "hunter2" in b.source.url
    assert b.source.transport is Transport.UDP


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "web: {tokens: [{token: 0123456789abcdef-very-secret}]}\n"
        "streams: [{id: a, source: {url: 'rtsp://u:hunter2@cam/1'}}]\n",
    )
    text = str(shown(load(path, {})))
    assert "hunter2" not in text
    assert "very-secret" not in text
    assert "***@cam" in text


SECRETS = """
alerts:
  channels:
    webhook: [{name: hook, url: 'https://hook.example/hunter2', secret: hunter2-hunter2-hunter2}]
    mqtt: [{name: home, host: broker.example, username: u, password: hunter2}]
    email: [{name: post, host: h.example, sender: a@b.example, to: [c@d.example],
             username: u, password: hunter2}]
    apprise: [{name: rest, url: 'json://u:hunter2@hook.example'}]
  rules: [{name: all, channels: [hook, home, post, rest]}]
"""


def test_secrets_of_alerts_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = write(tmp_path, SECRETS)
    settings = load(path, {})
    check(path, {}, show=True)
    for text in (repr(settings), str(shown(settings)), capsys.readouterr().out):
        assert "hunter2" not in text
    assert settings.alerts.channels.mqtt[0].password.get_secret_value() == "hunter2"


@pytest.mark.parametrize("change", ["name: 'a b'", "url: 'ftp://hunter2'", "secret: hunter2"])
def test_a_fault_beside_a_secret_does_not_tell_it(tmp_path: Path, change: str) -> None:
    hook = {"name": "name: hook", "url": "url: 'https://h.example/hunter2'", "secret": ""}
    hook[change.partition(":")[0]] = change
    keys = ", ".join(filter(None, hook.values()))
    said = faults(write(tmp_path, f"alerts: {{channels: {{webhook: [{{{keys}}}]}}}}"))
    assert "hunter2" not in said
    assert "alerts.channels.webhook[0]" in said


def test_times_of_day_need_no_quotes(tmp_path: Path) -> None:
    """YAML takes 22:00 for a number."""
    rule = "{name: a, channels: [a], quiet: [{start: 22:00, end: 06:00, zone: Europe/Berlin}]}"
    hook = "channels: {webhook: [{name: a, url: 'https://h.example'}]}"
    (read,) = load(write(tmp_path, f"alerts: {{{hook}, rules: [{rule}]}}"), {}).alerts.rules
    assert (read.quiet[0].start, read.quiet[0].end) == ("22:00", "06:00")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alerts: {rules: [{name: a, channels: [b]}]}", "there is no channel 'b'"),
        ("alerts: {rules: [{name: a, channels: []}]}", "channels must name one to 64, not 0"),
        (
            "alerts: {rules: [{name: a, channels: [b], quiet: [{start: 1:00, end: 1:00}]}]}",
            "end must differ from start",
        ),
        (
            "alerts: {rules: [{name: a, channels: [b], quiet: "
            "[{start: 1:00, end: 2:00, zone: Mars/Olympus}]}]}",
            "zone must be like Europe/Berlin",
        ),
        (
            "alerts: {channels: {apprise: [{name: a, url: 'json://h'}], "
            "webhook: [{name: a, url: 'https://h'}]}}",
            "'a' is named twice",
        ),
        ("alerts: {channels: {webhoook: []}}", "webhoook: unknown key; did you mean 'webhook'?"),
    ],
)
def test_a_fault_of_alerts_names_what_to_change(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=re.escape(said)):
        check(write(tmp_path, text), {}, show=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wbe: {port: 1}", "wbe: unknown key; did you mean 'web'?"),
        ("web: {prot: 1}", "web.prot: unknown key; did you mean 'port'?"),
        ("engine: {hops: 1}", "engine.hops: unknown key; did you mean 'hop_s'?"),
        ("perception: {tracker: {max_track: 1}}", "perception.tracker.max_track: unknown key"),
        ("streams: [{id: a, source: {uri: x}}]", "streams[0].source.uri: unknown key"),
        ("streams: [{id: 'a b', source: {url: x}}]", "streams[0].id"),
        ("web: {port: eighty}", "web.port: "),
        ("engine: {enter: 1.5}", "enter must lie between 0 and 1"),
        ("engine: {enter: 0.3, leave: 0.4}", "leave must be below enter"),
        ("model: {device: tpu}", "model.device: "),
        ("web: {tokens: [{token: short}]}", "at least 16 characters"),
        ("streams: [{id: a, source: {url: x}}, {id: a, source: {url: y}}]", "'a' is used twice"),
        ("web: [1, 2", "line "),
        ("- 1", "must be a mapping"),
        ("web: {host: '${NOWHERE}'}", "${NOWHERE}: is not set"),
        ("web: {host: '${NOWHERE:?give a host}'}", "give a host"),
        ("web: {host: '${file:/nowhere/at/all}'}", "cannot be read"),
    ],
)
def test_a_fault_names_what_to_change(tmp_path: Path, text: str, said: str) -> None:
    assert said in faults(write(tmp_path, text))


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    text = faults(write(tmp_path, "wbe: {}\nengine: {hops: 1}\n"))
    assert len(text.splitlines()) == 2


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    text = faults(tmp_path / "nowhere.yaml")
    assert text.endswith("cannot be read: No such file or directory")


def test_a_bad_source_is_found_by_the_check(tmp_path: Path) -> None:
    path = write(tmp_path, "streams: [{id: a, source: {url: 'rstp://u:hunter2@cam/1'}}]")
    with pytest.raises(ConfigInvalid) as caught:
        check(path, {}, show=False)
    assert "streams[0].source.url" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def refused_alike(tmp_path: Path, text: str, said: str) -> None:
    """Assert that `config check` and `serve` refuse a configuration with the same words."""
    path = write(tmp_path, text)
    with pytest.raises(ConfigInvalid) as checked:
        check(path, {}, show=False)
    with pytest.raises(ConfigInvalid) as served:
        serve.run(load(path, {}), Console(), origin=str(path))
    assert said in str(checked.value)
    assert str(served.value) == str(checked.value)


def test_more_streams_than_max_streams_are_not_called_good(tmp_path: Path) -> None:
    cameras = "".join(f"  - {{id: c{n}, source: {{url: rtsp://c{n}/1}}}}\n" for n in range(17))
    text = f"analyzer: {{max_streams: 16}}\nstreams:\n{cameras}"
    refused_alike(tmp_path, text, "17 are more than analyzer.max_streams allows (16)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web: {host: 0.0.0.0}", "web.host: a token is needed to listen here: 0.0.0.0"),
        ("web: {host: '::'}", "no token is set"),
        ("web: {host: 127.0.0.1000}", "no token is set"),
        ("web: {host: 192.0.2.77, tokens: [{token: 0123456789abcdef}]}", "cannot be listened on"),
        ("model: {checkpoint: nowhere.safetensors}", "model.checkpoint: nowhere.safetensors"),
        ("detectors: [{name: caddm-resnet34}]", "detectors[0].checkpoint: caddm-resnet34 needs"),
        ("detectors: [{name: caddm-resnet34, checkpoint: x}]", "detectors[0].checkpoint: x is not"),
        ("detectors: [{name: styleflow-live, checkpoint: x}]", "detectors[0].checkpoint: x is not"),
        ("model: {device: 'cuda:99'}", "model.device: there is no cuda:99 here"),
        ("ensemble: nowhere.json", "ensemble: nowhere.json is not here"),
        (
            "second_look: {detector: styleflow-live}",
            "second_look.detector: styleflow-live looks at every stream already",
        ),
        (
            "second_look: {detector: gend-pe-l}",
            "second_look.checkpoint: gend-pe-l needs a file of weights; `styleflow checkpoints",
        ),
        ("second_look: {detector: gend-pe-l, checkpoint: x}", "second_look.checkpoint: x is not"),
        ("streams: [{id: a, source: {url: 'demo://x'}}]", "streams[0].source.url"),
    ],
)
def test_what_serve_refuses_is_not_called_good(tmp_path: Path, text: str, said: str) -> None:
    if "demo" in text:
        with pytest.raises(ConfigInvalid, match=re.escape(said)):
            check(write(tmp_path, text), {}, show=False)
    else:
        refused_alike(tmp_path, text, said)


def test_a_file_of_weights_that_is_none_is_not_called_good(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"no weights")
    path = write(tmp_path, f"model: {{checkpoint: {weights}}}")
    with pytest.raises(CheckpointInvalid):
        check(path, {}, show=False)


def test_an_ensemble_of_other_detectors_is_not_called_good(tmp_path: Path) -> None:
    members = tuple(Member(name, "", 1.0) for name in ("caddm-resnet34", "fakestormer-c23"))
    save(Ensemble(members, 0.0, 1.0, Fit(10, 5, 0.1, 0.1)), tmp_path / "together.json")
    path = write(tmp_path, f"ensemble: {tmp_path / 'together.json'}")
    with pytest.raises(EnsembleInvalid, match="caddm-resnet34"):
        check(path, {}, show=False)


def test_all_that_serve_would_refuse_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "web: {host: 0.0.0.0}\nensemble: a\nmodel: {checkpoint: b}\n")
    with pytest.raises(ConfigInvalid) as caught:
        check(path, {}, show=False)
    assert len(caught.value.faults) == 3


Where = tuple[str | int, ...]

NEEDED: dict[str | int, dict[str, Any]] = {
    "streams": {"id": "a", "source": {"url": "demo://authentic"}},
    "source": {"url": "demo://authentic"},
    "detectors": {"name": "styleflow-live"},
    "tokens": {"token": "sixteen characters and more"},
    "webhook": {"name": "a", "url": "https://hook.example"},
    "mqtt": {"name": "a", "host": "broker.example"},
    "email": {"name": "a", "host": "h.example", "sender": "a@b.example", "to": ["c@d.example"]},
    "apprise": {"name": "a", "url": "json://hook.example"},
    "rules": {"name": "a", "channels": ["a"]},
}
"""What a section needs besides the key that is tried."""


def options(kind: Any) -> Iterator[Any]:
    """Yield a type, or those that it is a choice of."""
    if get_origin(kind) is Annotated:
        yield from options(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for option in get_args(kind):
            yield from options(option)
    else:
        yield kind


def numeric_keys(kind: Any, at: Where = ()) -> Iterator[Where]:
    """Yield where every key with a number lies; 0 stands for the first item of a list."""
    for key, inner in keys_of(kind).items():
        for option in options(inner):
            if option in (int, float):
                yield (*at, key)
            elif get_origin(option) is tuple:
                yield from numeric_keys(get_args(option)[0], (*at, key, 0))
            else:
                yield from numeric_keys(option, (*at, key))


NUMBERS = sorted(set(numeric_keys(Settings)), key=repr)


def nested(at: Where, value: object) -> dict[str, Any]:
    """Return a configuration that sets one key."""
    key, *rest = at
    if not rest:
        return {str(key): value}
    if rest[0] == 0:
        return {str(key): [{**NEEDED[key], **nested(tuple(rest[1:]), value)}]}
    return {str(key): {**NEEDED.get(key, {}), **nested(tuple(rest), value)}}


def blamed(fault: str) -> str:
    """Return the key that a fault names, as in `engine: hop_s must be …, not 0`."""
    section, _, said = fault.removeprefix("configuration: ").partition(": ")
    return said.split()[0] if " must " in said else re.split(r"[.\]]+", section)[-1]


@pytest.mark.parametrize("id", [".", "..", "....", "", "a/b", "x" * 65])
def test_a_stream_is_not_named_by_dots_alone(id: str) -> None:
    stream = {"id": id, "source": {"url": "demo://authentic"}}
    with pytest.raises(ConfigInvalid):
        load(None, {}, {"streams": [stream]})


@pytest.mark.parametrize("id", [".hidden", "a.b", "...x", "x" * 64, "-"])
def test_a_stream_may_have_dots_in_its_name(id: str) -> None:
    stream = {"id": id, "source": {"url": "demo://authentic"}}
    assert load(None, {}, {"streams": [stream]}).streams[0].id == id


def test_there_are_numbers_in_every_section() -> None:
    sections = {at[0] for at in NUMBERS}
    assert sections == set(keys_of(Settings)) - {"ensemble", "log"}


@pytest.mark.parametrize("at", NUMBERS, ids=lambda at: ".".join(map(str, at)))
def test_a_wrong_number_is_blamed_on_its_own_key(at: Where) -> None:
    """A message that names another key sends people to the wrong line of their file."""
    refused = set()
    for value in ("x", -1, 0, -0.5, 2.5, math.nan):
        try:
            load(None, {}, nested(at, value))
        except ConfigInvalid as error:
            (fault,) = error.faults
            assert blamed(fault) == at[-1], fault
            refused.add(value)
    assert "x" in refused, "words are taken for a number"


@pytest.mark.parametrize("at", NUMBERS, ids=lambda at: ".".join(map(str, at)))
def test_no_number_is_without_end(at: Where) -> None:
    """What is accepted reaches sums and sizes; -1 or 1e300 there fails far from its line."""
    for value in (-1e300, 1e300, -(10**400), 10**400, math.inf, -math.inf, math.nan, "1" * 5000):
        with pytest.raises(ConfigInvalid) as caught:
            load(None, {}, nested(at, value))
        (fault,) = caught.value.faults
        assert blamed(fault) == at[-1], fault
        assert len(fault) < 700


MAY_BE_NEGATIVE = {"bias"}


@pytest.mark.parametrize("at", NUMBERS, ids=lambda at: ".".join(map(str, at)))
def test_minus_one_is_refused_where_nothing_is_negative(at: Where) -> None:
    if at[-1] in MAY_BE_NEGATIVE:
        return
    with pytest.raises(ConfigInvalid):
        load(None, {}, nested(at, -1))


@given(low=st.integers(-10, 6000), start=st.integers(-10, 6000), high=st.integers(-10, 6000))
def test_rates_that_contradict_each_other_are_all_named(low: int, start: int, high: int) -> None:
    """Any of them may be the wrong one, unless one makes no sense by itself."""
    given_ = {"min_kbps": low, "start_kbps": start, "max_kbps": high}
    try:
        load(None, {}, {"webrtc": given_})
    except ConfigInvalid as error:
        (fault,) = error.faults
        if low >= 0 and start >= 0 and high >= 1:
            assert "max_kbps" in fault
            assert ("min_kbps" in fault) or ("start_kbps" in fault)
        else:
            wrong = {k for k, v in given_.items() if v < (1 if k == "max_kbps" else 0)}
            assert blamed(fault) in wrong
    else:
        assert 0 <= low <= start <= high


def test_only_a_detector_that_judges_frames_alone_has_a_cadence_and_a_precision(
    tmp_path: Path,
) -> None:
    wanted = "detectors: [{name: gend-pe-l, cadence_hz: 1, precision: int8}]"
    (detector,) = load(write(tmp_path, wanted), {}).detectors
    assert (detector.cadence_hz, detector.precision.value) == (1.0, "int8")
    for key in ("cadence_hz: 5", "precision: bfloat16"):
        path = write(tmp_path, f"detectors: [{{name: caddm-resnet34, {key}}}]")
        with pytest.raises(ConfigInvalid, match=r"only gend-… does"):
            load(path, {})
    for key in ("cadence_hz: 0", "cadence_hz: 61", "precision: int4"):
        with pytest.raises(ConfigInvalid):
            load(write(tmp_path, f"detectors: [{{name: gend-pe-l, {key}}}]"), {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{detector: gend-pl-l}", "second_look.detector: no detector is called 'gend-pl-l'"),
        ("{detector: gend-pe-l, share: 0}", "second_look.share"),
        ("{detector: gend-pe-l, share: 0.95}", "second_look.share"),
        ("{detector: gend-pe-l, when: 1.2}", "second_look.when"),
        ("{detector: gend-pe-l, every_s: -1}", "second_look.every_s"),
        ("{detector: caddm-resnet34, precision: int8}", "second_look.precision: caddm-resnet34"),
        ("{detectr: gend-pe-l}", "second_look.detectr"),
    ],
)
def test_a_second_look_without_sense_names_its_key(tmp_path: Path, text: str, said: str) -> None:
    assert said in faults(write(tmp_path, f"second_look: {text}"))


def test_a_second_look_is_configured_like_a_detector(tmp_path: Path) -> None:
    text = "second_look: {detector: gend-pe-l, precision: bfloat16, share: 0.1, at_once: 3}"
    second = load(write(tmp_path, text), {}).second_look
    wanted = second.wanted()
    assert wanted is not None
    assert (wanted.name, wanted.precision.value, wanted.slots) == ("gend-pe-l", "bfloat16", 3)
    assert second.settings().share == 0.1
    assert Settings().second_look.wanted() is None
