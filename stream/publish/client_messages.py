"""Messages that clients may send, and their parsing. Whatever is not known here is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    field_validator,
    model_validator,
)

from stream.incident import Label
from stream.publish.patterns import MAX_WILDCARDS, is_pattern, wildcards
from stream.publish.schema import VERSION, State

DEFAULT_HZ = 4.0
MAX_HZ = 60.0
MAX_STREAMS = 64
"""Most ids and globs in one subscription."""

MAX_WORDS = 4000
"""Longest comment, characters."""


class _FromClient(BaseModel):
    """Base of what clients send: a field that is not known is a mistake, not a wish."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _spoken(version: Any) -> Any:
    if type(version) is not int or version != VERSION:
        raise ValueError(f"this server speaks version {VERSION} of the protocol, and no other")
    return version


class _Message(_FromClient):
    v: Annotated[Literal[1], BeforeValidator(_spoken)] = Field(
        default=VERSION, description="of the protocol; it may be left out"
    )


class Hello(_Message):
    """The first message of a client, within five seconds."""

    type: Literal["hello"]
    token: str | None = Field(default=None, max_length=512, repr=False)
    client: str = Field(default="", max_length=128, description="what the client calls itself")


class ResumePoint(_FromClient):
    """The `epoch` and `seq` of the last message that a client has seen of one stream."""

    epoch: int = Field(ge=0)
    seq: int = Field(ge=0)


StreamType = Literal["score", "event", "status"]


class Subscribe(_Message):
    """Ask for messages; the answer is `subscribed`, then snapshots, then what happens."""

    type: Literal["subscribe"]
    id: Annotated[str, Field(min_length=1, max_length=64)]
    streams: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...],
        Field(min_length=1, max_length=MAX_STREAMS),
    ] = ("*",)
    types: Annotated[tuple[StreamType, ...], Field(min_length=1)] = ("score", "event", "status")
    max_hz: float = Field(default=DEFAULT_HZ, gt=0, le=MAX_HZ)
    min_state: State = "warming"
    resume: ResumePoint | Annotated[dict[str, ResumePoint], Field(max_length=1024)] = Field(
        default_factory=dict,
        description="where to go on, by stream; a bare point when exactly one stream is named",
    )

    @field_validator("streams")
    @classmethod
    def _few_wildcards(cls, streams: tuple[str, ...]) -> tuple[str, ...]:
        if any(wildcards(stream) > MAX_WILDCARDS for stream in streams):
            raise ValueError(f"a pattern may have at most {MAX_WILDCARDS} wildcards (* ? [)")
        return streams

    @model_validator(mode="after")
    def _bare_resume_names_its_stream(self) -> Self:
        if isinstance(self.resume, ResumePoint) and not self._names_one_stream():
            raise ValueError("a bare resume point needs exactly one stream, and no pattern")
        return self

    @property
    def resume_points(self) -> dict[str, ResumePoint]:
        """Resume points by stream."""
        if isinstance(self.resume, ResumePoint):
            return {self.streams[0]: self.resume}
        return self.resume

    def _names_one_stream(self) -> bool:
        return len(self.streams) == 1 and not is_pattern(self.streams[0])


class Unsubscribe(_Message):
    """End a subscription."""

    type: Literal["unsubscribe"]
    id: str


IncidentId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$", max_length=64)]

Words = Annotated[str, Field(min_length=1, max_length=MAX_WORDS, pattern=r"^[^\x00]*$")]
"""What a person writes."""


class ChangeIncident(_Message):
    """Say something of an incident; the answer is its `incident_changed`, or an `error`."""

    type: Literal["incident"]
    id: IncidentId
    acknowledged: bool | None = Field(default=None, description="false takes it back")
    label: Label | None = Field(default=None, description="null takes an earlier one back")
    note: Words | None = None


AnyClientMessage = Hello | Subscribe | Unsubscribe | ChangeIncident

ClientMessage = Annotated[AnyClientMessage, Field(discriminator="type")]
"""Everything that a client sends."""

_CLIENT: TypeAdapter[AnyClientMessage] = TypeAdapter(ClientMessage)


def parse_client(text: str | bytes) -> AnyClientMessage:
    """Return the client message in a text frame.

    Raises:
        pydantic.ValidationError: it is not JSON, not a known message, or breaks a limit.
    """
    return _CLIENT.validate_json(text)
