"""Settings of the web: texts for people name those that exist, and none shows a token."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from web.security.auth import Role, Token, TokenDigest
from web.settings import WebSettings

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted(path for path in (ROOT / "web").rglob("*.py") if "dashboard" not in path.parts)
KEY = re.compile(r"\bweb\.([a-z_]+(?:\.[a-z_]+)*)")


def named_in(source: str) -> set[str]:
    """Return the settings below `web` that a source's texts name; module docstrings excepted."""
    tree = ast.parse(source)
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    docstring = ast.get_docstring(tree, clean=False)
    told = (text for text in texts if isinstance(text, str) and text != docstring)
    return {key for text in told for key in KEY.findall(text)}


def exists(key: str) -> bool:
    """Say whether a setting below `web` exists."""
    kind: object = WebSettings()
    for part in key.split("."):
        if not is_dataclass(kind) or part not in {field.name for field in fields(kind)}:
            return False
        kind = getattr(kind, part)
    return True


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_hints_name_settings_that_exist(path: Path) -> None:
    """Whoever follows a hint finds the key in the configuration."""
    assert {key for key in named_in(path.read_text(encoding="utf-8")) if not exists(key)} == set()


def test_the_protocol_page_names_settings_that_exist() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    named = set(KEY.findall(page))
    assert "fetch.max_bytes" in named
    assert {key for key in named if not exists(key)} == set()


def test_no_setting_shows_a_token() -> None:
    secret = "an operator's long token"
    settings = WebSettings(tokens=(Token(TokenDigest(secret), Role.OPERATOR),))
    assert secret not in repr(settings)
    assert secret not in json.dumps(repr(settings.tokens[0].token))
