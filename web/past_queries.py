"""Parts of questions about the past: moments, spans and cursors, as they stand in a URL."""

from __future__ import annotations

import base64
import binascii
import math
from datetime import UTC, datetime

from stream.store.access import to_us
from web.errors import RequestInvalid

_LATEST_S = 253_402_300_799  # the end of the year 9999


def moment(text: str, where: str) -> int:
    """Return microseconds since 1970 of ISO 8601 or of seconds since 1970.

    A time without zone is UTC. A `+` that a URL has made a space of is understood.

    Args:
        text: what was written.
        where: name of the parameter, for the error.

    Raises:
        RequestInvalid: it is no time.
    """
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
            return to_us(at if at.tzinfo else at.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            raise RequestInvalid(f"{where} is neither ISO 8601 nor seconds since 1970") from None
    if not math.isfinite(seconds) or not -_LATEST_S <= seconds <= _LATEST_S:
        raise RequestInvalid(f"{where} is no second that there is")
    return round(seconds * 1e6)


def cursor_of(number: int) -> str:
    """Return an opaque text that stands for a place in a list."""
    return base64.urlsafe_b64encode(b"1:%d" % number).decode().rstrip("=")


def place_of(cursor: str) -> int:
    """Return the place that a cursor stands for.

    Raises:
        RequestInvalid: it is none of ours.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        version, _, number = text.partition(":")
        if version != "1" or not number.isdecimal() or len(number) > 18:
            raise ValueError
        return int(number)
    except (binascii.Error, UnicodeError, ValueError):
        raise RequestInvalid("cursor is none that was given out here") from None
