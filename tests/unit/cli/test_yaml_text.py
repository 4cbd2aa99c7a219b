"""YAML that was written to hurt, or by accident, ends in one short line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import yaml_text
from cli.settings import ConfigInvalid, load
from web.security.auth import Role

BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
)
MERGES = "\n".join(
    ["a0: &a0 {k: 1, l: 2}"]
    + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 30)]
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "aliases stand for more than"),
        (MERGES, "aliases stand for more than"),
        ("web: &w {tokens: [*w]}", "an alias contains itself"),
        ("&a [*a]", "an alias contains itself"),
        ("web: {port: " + "9" * 5000 + "}", "a number of 5000 characters"),
        ("web: {port: " + "1:" * 50_000 + "1}", "a number of 100001 characters"),
        ("web: {port: 1" + "0" * 5000 + ".5}", "a number of 5003 characters"),
        ("web: " + "[" * 100_000, "nested more than"),
        ("web: " + "{a: " * 50_000, "nested more than"),
        ("? " * 100_000, "nested more than"),
        ("- " * 100_000, "nested more than"),
        ("streams: [" + "x, " * 60_000 + "]", "more than"),
        ("#" * 300_000, "is longer than"),
        ("web: {port: 2026-01-01}", "web.port"),
        ("2026-01-01: 1", "2026-01-01: unknown key"),
        ("web: {port: !!timestamp 2026-13-45}", "cannot be read"),
        ("web: {port: !!timestamp x}", "cannot be read"),
        ("web: {port: !!bool x}", "cannot be read"),
        ("web: {port: !!python/object:os.system x}", "could not determine a constructor"),
        ("web: {port: !!binary AAAA}", "web.port"),
        ("web: {host: !!set {a}}", "web.host"),
        ("{[1]: 2}", "unhashable key"),
        ("1: 2", "1: unknown key"),
        ("null: 2", "None: unknown key"),
        ('"a\\nb\\x1b[2J": 1', "unknown key"),
        ("x" * 1000 + ": 1", "x"),
        ("web: \x00", "not YAML"),
        ("web: {host: '${file:/dev/zero}'}", "is longer than"),
        ('web: {host: "${file:/a\\0b}"}', "cannot be read"),
        ("web: [1\n---\n]", "line 2"),
        ("a: 1\n---\nb: 2", "but found another document"),
    ],
)
def test_a_hostile_or_broken_file_gives_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "styleflow.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigInvalid) as caught:
        load(path, {})
    (line,) = str(caught.value).splitlines()
    assert said in line
    assert line.isprintable()
    assert len(line) < 1000


def test_a_file_that_is_not_utf8_gives_one_line(tmp_path: Path) -> None:
    path = tmp_path / "styleflow.yaml"
    path.write_bytes(b"web:\n  host: caf\xe9\n")
    with pytest.raises(ConfigInvalid, match="line 2: is not UTF-8 text"):
        load(path, {})


def test_a_referenced_file_that_is_not_utf8_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xfe")
    path = tmp_path / "styleflow.yaml"
    path.write_text(f"web: {{host: '${{file:{tmp_path / 'secret'}}}'}}")
    with pytest.raises(ConfigInvalid, match="is not UTF-8 text"):
        load(path, {})


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigInvalid, match="is longer than"):
        load(Path("/dev/zero"), {})


def test_a_hostile_environment_gives_one_line() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load(None, {"STYLEFLOW__STREAMS": BOMB})
    assert len(str(caught.value).splitlines()) == 1


def test_a_thousand_faults_are_not_a_thousand_lines(tmp_path: Path) -> None:
    path = tmp_path / "styleflow.yaml"
    path.write_text("\n".join(f"k{n}: 1" for n in range(1000)))
    with pytest.raises(ConfigInvalid) as caught:
        load(path, {})
    assert len(caught.value.faults) == 51
    assert caught.value.faults[-1] == "and 950 more"


def test_aliases_and_merges_of_honest_files_work() -> None:
    text = "a: &a {x: 1, y: [1, 2]}\nb: {<<: *a, x: 3}\nc: *a\n"
    assert yaml_text.parse(text) == {
        "a": {"x": 1, "y": [1, 2]},
        "b": {"x": 3, "y": [1, 2]},
        "c": {"x": 1, "y": [1, 2]},
    }


def test_a_date_reaches_the_setting_that_wants_one(tmp_path: Path) -> None:
    path = tmp_path / "styleflow.yaml"
    path.write_text(
        "web: {tokens: [{token: 0123456789abcdef, role: viewer, expires: 2031-02-03},"
        " {token: 0123456789abcdeg, expires: 2031-02-03T04:05:06+01:00}]}"
    )
    day, moment = load(path, {}).web.tokens
    assert day.role is Role.VIEWER
    assert day.expires is not None
    assert (day.expires.year, day.expires.month, day.expires.day) == (2031, 2, 3)
    assert moment.expires is not None
    assert moment.expires.utcoffset() is not None
