"""The client's types are made of the wire's models."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs.client_types import ROOM, sources, type_of
from styleflow.client import requests
from styleflow.client.following import parse

PAGE = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
SENT = {
    "hello": requests.Hello,
    "subscribe": requests.Subscribe,
    "unsubscribe": requests.Unsubscribe,
    "incident": requests.ChangeIncident,
}


def test_the_committed_types_are_current() -> None:
    """Otherwise: make client-types."""
    assert {name: (ROOM / f"{name}.py").read_text(encoding="utf-8") for name in sources()} == (
        sources()
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["type"]))
def test_every_example_of_the_protocol_is_read_and_written_unchanged(
    example: dict[str, Any],
) -> None:
    if "v" in example:
        message = parse(json.dumps(example))
        assert message is not None
    else:
        message = SENT[example["type"]].model_validate(example)
    written = json.loads(message.model_dump_json(exclude_unset=True))
    assert written == example


@pytest.mark.parametrize("schema", [{"type": "object"}, {"type": "bytes"}, {}])
def test_a_schema_of_another_kind_is_no_silent_any(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no Python type"):
        type_of(schema)
