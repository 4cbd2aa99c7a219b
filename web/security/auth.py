"""Authentication: bearer tokens with a role; without tokens only loopback is served."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from stream.errors import SettingInvalid
from stream.webrtc.calls import Publisher
from web.errors import AuthError, NotAllowed, TokenNeeded

MIN_TOKEN_CHARS = 16


class Scope(Enum):
    """Permission that an operation needs."""

    READ = "read"
    CONTROL = "control"
    PUBLISH = "publish"
    METRICS = "metrics"


class Role(Enum):
    """Purpose of a token, which decides its scopes."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    PUBLISHER = "publisher"
    METRICS = "metrics"

    @property
    def scopes(self) -> frozenset[Scope]:
        """Permissions of the role."""
        return _SCOPES[self]


_SCOPES = {
    Role.VIEWER: frozenset({Scope.READ, Scope.METRICS}),
    Role.OPERATOR: frozenset(Scope),
    Role.PUBLISHER: frozenset({Scope.PUBLISH}),
    Role.METRICS: frozenset({Scope.METRICS}),
}


class TokenDigest:
    """Digest of a token: enough to recognise it, too little to use it.

    Tokens are long and random, so one round of SHA-256 is as good as a slow hash.
    """

    __slots__ = ("_digest",)

    def __init__(self, token: str) -> None:
        if len(token) < MIN_TOKEN_CHARS:
            raise ValueError(f"a token has at least {MIN_TOKEN_CHARS} characters")
        self._digest = _digest(token)

    def matches(self, token: str) -> bool:
        """Compare in a time that does not depend on where they differ."""
        return hmac.compare_digest(self._digest, _digest(token))

    def __repr__(self) -> str:
        return "TokenDigest(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenDigest) and hmac.compare_digest(self._digest, other._digest)

    def __hash__(self) -> int:
        return hash(self._digest)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._parse,
            json_schema_input_schema=core_schema.str_schema(min_length=MIN_TOKEN_CHARS),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda _: "***"),
        )

    @classmethod
    def _parse(cls, value: object) -> TokenDigest:
        if isinstance(value, TokenDigest):
            return value
        if not isinstance(value, str):
            raise ValueError("a token is text")
        return cls(value)


@dataclass(frozen=True, slots=True)
class Token:
    """A credential as configured.

    Attributes:
        token: the secret, of at least 16 characters; only its digest is kept.
        role: viewer may read, operator may also change streams and use `/predict`, publisher may
            only call (WHIP) and hears its own scores, metrics may only read `/metrics`.
        name: whose it is.
        expires: when it stops working, and its running calls end; never, when None.
        max_streams: streams that a publisher may hold at a time: those that it sends, and those
            that its calls have created and that are still there. Operators may hold any number.
    """

    token: TokenDigest
    role: Role = Role.VIEWER
    name: str = ""
    expires: datetime | None = None
    max_streams: Annotated[int, Field(ge=1, le=1024)] = 4

    def __post_init__(self) -> None:
        if self.max_streams < 1:
            raise SettingInvalid("max_streams", self.max_streams, "must be at least 1")

    def valid_at(self, now: datetime) -> bool:
        """Return whether it still works; a time without zone is taken for UTC."""
        if self.expires is None:
            return True
        zone = self.expires.tzinfo or UTC
        return now < self.expires.replace(tzinfo=zone)


@dataclass(frozen=True, slots=True)
class Caller:
    """Caller whose credential was recognised, or who needs none.

    Attributes:
        token: the credential that was shown; None where none is needed.
    """

    token: Token | None

    @property
    def name(self) -> str:
        """Whose credential it is: the token's name, or its role; `local` where none is needed."""
        if self.token is None:
            return "local"
        return self.token.name or self.token.role.value

    def may(self, scope: Scope) -> bool:
        """Return whether the caller may do this."""
        return self.token is None or scope in self.token.role.scopes

    def check(self, scope: Scope) -> None:
        """Make sure that the caller may do this. Raises NotAllowed."""
        if self.token is not None and not self.may(scope):
            raise NotAllowed(
                f"{scope.value} is not allowed to a {self.token.role.value}",
                " or ".join(role.value for role in Role if scope in role.scopes),
            )

    def valid_at(self, now: datetime) -> bool:
        """Return whether the caller's credential still works."""
        return self.token is None or self.token.valid_at(now)

    @property
    def publisher(self) -> Publisher:
        """Credential on which the caller's WebRTC calls are made."""
        if self.token is None:
            return Publisher()
        limited = self.token.role is Role.PUBLISHER
        limit = self.token.max_streams if limited else None
        manages = self.may(Scope.CONTROL)
        return Publisher(self.token, limit, self.valid_at, manages)


class Authenticator:
    """Recognises callers by their bearer tokens.

    Args:
        tokens: the configured tokens; with none, every caller is admitted.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tuple(tokens)

    def identify(self, secret: str | None, now: datetime) -> Caller | None:
        """Return who shows this secret, or None when no token matches.

        Every token is compared, so that the time taken says nothing about which one matched.
        """
        if not self._tokens:
            return Caller(None)
        found = None
        for token in self._tokens:
            if token.token.matches(secret or "") and token.valid_at(now):
                found = token
        return Caller(found) if found is not None else None

    def admit(self, authorization: str | None, scope: Scope, now: datetime) -> Caller:
        """Return the caller of an HTTP request.

        Raises:
            Refusal: 401 without a working token, 403 with one that may not do this.
        """
        caller = self.identify(bearer(authorization), now)
        if caller is None:
            raise TokenNeeded(
                "no token" if not authorization else "this token is unknown or has expired",
                headers={"WWW-Authenticate": 'Bearer realm="styleflow"'},
            )
        caller.check(scope)
        return caller


def bearer(authorization: str | None) -> str | None:
    """Return the token in an Authorization header."""
    kind, _, secret = (authorization or "").partition(" ")
    return secret.strip() or None if kind.lower() == "bearer" else None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to an address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_binding(
    host: str,
    tokens: Sequence[Token],
    allowed_hosts: Sequence[str] = (),
    *,
    insecure: bool = False,
) -> None:
    """Make sure that only this machine is served without a token.

    A further host name means a proxy in front of loopback, behind which are other machines.

    Raises:
        AuthError: it says how to set a token.
    """
    if tokens or insecure:
        return
    for name in (host, *allowed_hosts):
        if not is_loopback(name):
            raise AuthError(name)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
