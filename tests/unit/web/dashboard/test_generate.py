"""The page's types of the wire are those of the server's models."""

from __future__ import annotations

import pytest

from web.dashboard.generate import TARGET, source, type_of


def test_the_committed_file_is_current() -> None:
    """Whoever changes a model generates anew: run `make dashboard-protocol`."""
    assert TARGET.read_text(encoding="utf-8") == source(), "run: make dashboard-protocol"


@pytest.mark.parametrize(
    ("schema", "typescript"),
    [
        ({"type": "integer", "minimum": 0}, "number"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number | null"),
        ({"anyOf": [{"type": "number"}, {"type": "integer"}]}, "number"),
        ({"enum": ["a", "b"], "type": "string"}, '"a" | "b"'),
        ({"const": 1, "type": "integer"}, "1"),
        ({"$ref": "#/$defs/Model"}, "Model"),
        ({"type": "array", "items": {"type": "string"}}, "string[]"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, '("a" | "b")[]'),
        (
            {"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}]},
            "[number, string]",
        ),
        (
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/Point"}},
            "Record<string, Point>",
        ),
    ],
)
def test_a_schema_has_one_type(schema: dict[str, object], typescript: str) -> None:
    assert type_of(schema) == typescript


def test_a_schema_that_is_not_understood_is_an_error() -> None:
    """Never a silent `any`: what is new on the wire needs a type."""
    with pytest.raises(ValueError, match="no TypeScript type"):
        type_of({"type": "object"})
