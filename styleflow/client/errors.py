"""Errors of whoever talks to an analyzer, and why nobody answered, in words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from styleflow.errors import StyleFlowError


@dataclass(eq=False)
class AnalyzerAway(StyleFlowError):
    """A command needs a running analyzer, and there is none to be had.

    Attributes:
        address: where it was looked for, without credentials.
        reason: what is there instead.
        remedy: what to do about it.
    """

    code = "analyzer_away"
    title = "The analyzer cannot be reached"
    hint = "Start one with `styleflow serve`, or give the address of one that runs"
    status = 400
    retry = True

    address: str
    reason: str
    remedy: str = hint

    def __post_init__(self) -> None:
        self.hint = self.remedy

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}"


@dataclass(eq=False)
class RequestRefused(StyleFlowError):
    """An analyzer does not grant a request; what its problem response says is passed on.

    Attributes:
        code: as the analyzer declares it; `docs/errors.md` lists all.
        detail: what went wrong this time.
        faults: which parts of the request are wrong, and how.
    """

    code = "request_refused"
    title = "The analyzer refuses"
    hint = "Change what the message names"
    status = 502

    told_code: str
    told_title: str
    detail: str
    told_hint: str
    told_status: int
    told_retry: bool = False
    told_retry_after_s: float | None = None
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.code, self.title, self.hint = self.told_code, self.told_title, self.told_hint
        self.status, self.retry = self.told_status, self.told_retry
        self.retry_after_s = self.told_retry_after_s

    def __str__(self) -> str:
        return self.detail


@dataclass(eq=False)
class SubscriptionRefused(StyleFlowError):
    """An analyzer ends a subscription for a reason that connecting again would not change.

    Attributes:
        address: the analyzer's, without credentials.
        close_code: the WebSocket's: 1008, 4400, 4401 or 4404.
        reason: in the analyzer's words.
    """

    code = "subscription_refused"
    title = "The analyzer ends the subscription"
    hint = "Check the token and the names of the streams"
    status = 403

    address: str
    close_code: int
    reason: str

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}"


def no_answer(error: BaseException) -> str:
    """Return why nobody answered, in words, whichever library found out."""
    import httpx  # here: whoever connects to nobody does not pay for it
    from websockets.exceptions import InvalidHandshake, InvalidStatus

    for cause in _causes(error):
        match cause:
            case socket.gaierror():
                return "this host is not known"
            case ConnectionRefusedError():
                return "nothing listens on this host and port"
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {cause.verify_message}"
            case ssl.SSLError():
                return "no secure connection comes about; is it http:// rather than https://?"
            case TimeoutError() | httpx.TimeoutException():
                return "it does not answer"
            case InvalidStatus():
                return f"what answers there is no analyzer: HTTP {cause.response.status_code}"
            case InvalidHandshake():
                return "what answers there is no analyzer"
    return "it cannot be connected to"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then what led to it, the deepest last."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__
