"""Words for what is wrong: where it is, what is near, and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream.faults import dotted, keys_of, told, unknown_keys


class Source(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    timeout_s: float = Field(default=2.5, gt=0, le=60)
    transport: Literal["tcp", "udp"] = "tcp"


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sources: tuple[Source, ...] = ()
    spare: Source | None = None


@dataclass
class Limits:
    most: int = 3


def faults(value: Any) -> list[str]:
    with pytest.raises(ValidationError) as raised:
        Wanted.model_validate(value)
    return [f"{dotted(f['loc'])}: {told(Wanted, f)}" for f in raised.value.errors()]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"sorces": []}, "sorces: unknown key; did you mean 'sources'?"),
        ({"zzz": 1}, "zzz: unknown key; known: sources, spare"),
        ({"sources": [{"url": "x", "timeut_s": 1}]}, "sources[0].timeut_s: unknown key; did you"),
        ({"spare": {"url": "x", "trnsport": 1}}, "spare.trnsport: unknown key; did you mean"),
        ({"spare": {}}, "spare.url: is missing"),
        ({"spare": 3}, "spare: must be a mapping of keys and values"),
        ({"spare": {"url": "x", "transport": "ip"}}, "spare.transport: Input should be 'tcp' or"),
        ({"spare": {"url": "x", "timeout_s": 99}}, "spare.timeout_s: Input should be less than"),
    ],
)
def test_a_fault_says_where_what_and_what_is_allowed(value: Any, said: str) -> None:
    assert faults(value)[0].startswith(said)


def test_unknown_keys_are_found_before_values_are_looked_at() -> None:
    written = {"sources": [{"url": 3, "uri": "x"}], "spar": None}
    assert list(unknown_keys(Wanted, written, "streams")) == [
        "streams.sources[0].uri: unknown key; did you mean 'url'?",
        "streams.spar: unknown key; did you mean 'spare'?",
    ]


def test_dataclasses_have_keys_too() -> None:
    assert set(keys_of(Limits)) == {"most"}
    assert keys_of(int) == {}


def test_what_is_wanted_need_not_be_known() -> None:
    assert told(None, {"type": "extra_forbidden", "loc": ("x",), "msg": ""}) == "unknown key"
