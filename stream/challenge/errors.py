"""Refusals of challenges. They carry data and declare how they are told.

StreamError
├── ChallengeRunning   the stream has one already
├── ChallengeTooSoon   the one before is hardly over
├── TooManyChallenges  as many as may be are running
├── ChallengeNoVideo   no pictures come in
├── ChallengeNoPage    colours need a page that the caller has open
└── ChallengeUnknown   there is none of this id
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import StreamError


@dataclass(eq=False)
class ChallengeRunning(StreamError):
    """A stream is being asked for something already."""

    code = "challenge_running"
    title = "This stream is being asked for something already"
    hint = "Wait for its result, which its page shows"
    status = 409

    stream: str

    def __str__(self) -> str:
        return f"a challenge of {self.stream!r} is running"


@dataclass(eq=False)
class ChallengeTooSoon(StreamError):
    """The last challenge of a stream is hardly over; `retry_after_s` says when to ask again."""

    code = "challenge_too_soon"
    title = "This stream was asked for something just now"
    hint = "Try again in some seconds, or lower challenges.cooldown_s"
    status = 429
    retry = True

    stream: str
    retry_after_s: float = 0.0

    def __post_init__(self) -> None:
        self.hint = f"Try again in {self.retry_after_s:.0f} s, or lower challenges.cooldown_s"

    def __str__(self) -> str:
        return f"the last challenge of {self.stream!r} is hardly over"


@dataclass(eq=False)
class TooManyChallenges(StreamError):
    """As many challenges as are allowed at a time are running."""

    code = "too_many_challenges"
    title = "Too many streams are being asked for something"
    hint = "Try again when one is over, or raise challenges.at_once"
    status = 429
    retry = True
    retry_after_s = 10.0

    limit: int

    def __str__(self) -> str:
        return f"{self.limit} challenges are running, which is all that may"


@dataclass(eq=False)
class ChallengeNoVideo(StreamError):
    """A stream gives no pictures, so nothing could be seen of what is asked."""

    code = "challenge_no_video"
    title = "No pictures come from this stream"
    hint = "Wait until it is live"
    status = 409

    stream: str

    def __str__(self) -> str:
        return f"{self.stream!r} is not live"


@dataclass(eq=False)
class ChallengeNoPage(StreamError):
    """Colours are to be shown, and the caller has no page of ours open."""

    code = "challenge_no_page"
    title = "There is no page that could show colours"
    hint = "Ask for another task; colours need a call from this analyzer's own page"
    status = 409

    stream: str

    def __str__(self) -> str:
        return f"whoever sends {self.stream!r} does not do so from a page of this analyzer"


@dataclass(eq=False)
class ChallengeUnknown(StreamError):
    """There is no challenge with this id: it never was, or is no longer in memory."""

    code = "challenge_unknown"
    title = "There is no such challenge"
    hint = "GET /api/v1/streams/STREAM/challenges lists those that are kept"
    status = 404

    challenge: str

    def __str__(self) -> str:
        return f"there is no challenge {self.challenge!r}"
