"""Who is let in, and where nobody needs a token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from web.security.auth import (
    Authenticator,
    AuthError,
    Role,
    Scope,
    Token,
    TokenDigest,
    bearer,
    check_binding,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECRET = "correct horse battery staple"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    check_binding(host, ())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "analyzer.lan", ""])
def test_any_other_address_does_and_the_error_says_how_to_set_one(host: str) -> None:
    with pytest.raises(AuthError) as caught:
        check_binding(host, ())
    assert "STYLEFLOW__WEB__TOKENS" in caught.value.hint
    check_binding(host, (Token(TokenDigest(SECRET)),))


def test_a_name_behind_a_proxy_in_front_of_loopback_needs_a_token_too() -> None:
    with pytest.raises(AuthError, match=r"scores\.example can be reached") as caught:
        check_binding("127.0.0.1", (), ("localhost", "scores.example"))
    assert "--insecure" in caught.value.hint
    check_binding("127.0.0.1", (), ("localhost",))
    check_binding("127.0.0.1", (Token(TokenDigest(SECRET)),), ("scores.example",))
    check_binding("0.0.0.0", (), ("scores.example",), insecure=True)


def test_without_tokens_everybody_may_do_everything() -> None:
    caller = Authenticator(()).identify(None, NOW)
    assert caller is not None
    assert all(caller.may(scope) for scope in Scope)


def test_a_viewer_reads_and_an_operator_also_steers() -> None:
    authenticator = Authenticator(
        (Token(TokenDigest(SECRET)), Token(TokenDigest(SECRET + "!"), Role.OPERATOR))
    )
    viewer = authenticator.identify(SECRET, NOW)
    operator = authenticator.identify(SECRET + "!", NOW)
    assert viewer is not None
    assert operator is not None
    assert [viewer.may(s) for s in (Scope.READ, Scope.CONTROL)] == [True, False]
    assert [operator.may(s) for s in (Scope.READ, Scope.CONTROL)] == [True, True]
    assert authenticator.identify(SECRET + "?", NOW) is None
    assert authenticator.identify("", NOW) is None


@pytest.mark.parametrize("zone", [UTC, None])
def test_a_token_expires(zone: object) -> None:
    expires = (NOW + timedelta(hours=1)).replace(tzinfo=zone)  # type: ignore[arg-type]
    authenticator = Authenticator((Token(TokenDigest(SECRET), expires=expires),))
    assert authenticator.identify(SECRET, NOW) is not None
    assert authenticator.identify(SECRET, NOW + timedelta(hours=2)) is None


def test_only_a_digest_is_kept() -> None:
    token = TypeAdapter(Token).validate_python({"token": SECRET, "role": "operator"})
    assert token.token.matches(SECRET)
    assert SECRET not in repr(token)
    assert SECRET.encode() not in TypeAdapter(Token).dump_json(token)


def test_short_tokens_are_refused() -> None:
    with pytest.raises(ValidationError, match="at least 16"):
        TypeAdapter(Token).validate_python({"token": "short"})


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        (None, None),
    ],
)
def test_bearer(header: str | None, token: str | None) -> None:
    assert bearer(header) == token
