"""What docs/protocol.md shows is what the schema says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from stream.events import AbstainReason, ConnectionState, ReasonCode
from stream.publish.asyncapi import CLIENT_MESSAGES, SERVER_MESSAGES, document, schemas
from stream.publish.schema import CloseCode

PAGE = (Path(__file__).parents[4] / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["type"]))
def test_every_example_is_valid_and_complete(example: dict[str, Any]) -> None:
    kind = example["type"]
    Draft202012Validator(schemas()[kind]).validate(example)
    (SERVER_MESSAGES | CLIENT_MESSAGES)[kind].model_validate_json(json.dumps(example))


def test_every_kind_of_message_is_on_the_page() -> None:
    assert {e["type"] for e in EXAMPLES} | {"snapshot", "unsubscribed"} == set(schemas())


@pytest.mark.parametrize("words", [AbstainReason, ConnectionState, ReasonCode])
def test_every_word_of_the_closed_lists_is_on_the_page(words: Any) -> None:
    assert [word.value for word in words if f"`{word.value}`" not in PAGE] == []


@pytest.mark.parametrize("code", CloseCode)
def test_every_close_code_is_explained_to_people_and_programs(code: CloseCode) -> None:
    assert f"| {code.value} |" in PAGE
    assert f"- {code.value}: " in document("1")["info"]["description"]
