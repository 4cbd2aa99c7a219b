"""Generator of `src/protocol.ts`: the page's types of the wire, made from the server's models.

Run it after a model has changed: `make dashboard-protocol`. A test compares the committed file with
what comes out here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stream.publish.asyncapi import CLIENT_MESSAGES, SERVER_MESSAGES
from stream.publish.challenge_schema import PromptMessage
from stream.publish.schema import RESUME_GAP, SUBPROTOCOL
from web.problem_responses import ProblemBody
from web.routes.alerts import AlertsView, RuleBody, TrialView
from web.routes.baselines import BaselineBody, BaselineView
from web.routes.caller import CallerView
from web.routes.canaries import CanariesView
from web.routes.challenges import ChallengeBody, ChallengeList
from web.routes.explained import ExplanationView
from web.routes.history import HistoryView
from web.routes.models import ModelList
from web.routes.pictures import OverlayList, PictureFaces, PictureOverlay
from web.routes.stored import StoreView
from web.routes.streams import StreamBody, StreamChange
from web.routes.thresholds import ThresholdsChange, ThresholdsView
from web.routes.workers import WorkersView

TARGET = Path(__file__).parent / "src" / "protocol.ts"

RESPONSES: tuple[type[BaseModel], ...] = (
    PictureFaces,
    PictureOverlay,
    OverlayList,
    HistoryView,
    ThresholdsView,
    BaselineView,
    CallerView,
    CanariesView,
    ModelList,
    AlertsView,
    TrialView,
    StoreView,
    WorkersView,
    ExplanationView,
    ChallengeList,
    PromptMessage,
    ProblemBody,
)
"""Bodies and headers of HTTP responses that the page reads."""

REQUESTS: tuple[type[BaseModel], ...] = (
    StreamBody,
    StreamChange,
    ThresholdsChange,
    RuleBody,
    BaselineBody,
    ChallengeBody,
)
"""Bodies of HTTP requests that the page sends."""

HEAD = """\
// The wire format as the server's models define it. Generated: change the models, then run
// `make dashboard-protocol`. docs/protocol.md explains what everything means.
"""

WIDTH = 100

Schema = Mapping[str, Any]
Mode = Literal["validation", "serialization"]


def source() -> str:
    """Return the text of the module."""
    sent: list[tuple[type[BaseModel], Mode]] = [
        (model, "serialization") for model in (*SERVER_MESSAGES.values(), *RESPONSES)
    ]
    taken: list[tuple[type[BaseModel], Mode]] = [
        (model, "validation") for model in (*CLIENT_MESSAGES.values(), *REQUESTS)
    ]
    _, schema = models_json_schema([*sent, *taken])
    definitions: dict[str, Schema] = schema["$defs"]
    parts = [
        HEAD,
        f"export const SUBPROTOCOL = {json.dumps(SUBPROTOCOL)};\n",
        "/** Code of the `error` message that says a resume point is too old. */\n"
        f"export const RESUME_GAP = {RESUME_GAP};\n",
        *(_definition(name, definitions[name]) for name in sorted(definitions)),
        _alias("ServerMessage", [model.__name__ for model in SERVER_MESSAGES.values()]),
        _alias("ClientMessage", [model.__name__ for model in CLIENT_MESSAGES.values()]),
    ]
    return "\n".join(parts)


def type_of(schema: Schema) -> str:
    """Return the TypeScript type of a JSON Schema.

    Raises:
        ValueError: the schema uses something that no model of the wire used so far.
    """
    return " | ".join(_options(schema))


def _options(schema: Schema) -> list[str]:
    """Return the members of the union that a schema is; one when it is none."""
    if "$ref" in schema:
        return [str(schema["$ref"]).rpartition("/")[2]]
    if "const" in schema:
        return [json.dumps(schema["const"])]
    if "enum" in schema:
        return [json.dumps(value) for value in schema["enum"]]
    if "anyOf" in schema or "oneOf" in schema:
        members = schema.get("anyOf") or schema["oneOf"]
        return list(dict.fromkeys(option for member in members for option in _options(member)))
    match schema.get("type"):
        case "string" | "boolean" | "null" as kind:
            return [str(kind)]
        case "number" | "integer":
            return ["number"]
        case "array":
            return [_array(schema)]
        case "object" if "additionalProperties" in schema:
            return [f"Record<string, {type_of(schema['additionalProperties'])}>"]
        case "object" if "patternProperties" in schema:
            (values,) = schema["patternProperties"].values()
            return [f"Record<string, {type_of(values)}>"]
    raise ValueError(f"no TypeScript type for {json.dumps(schema)}")


def _array(schema: Schema) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(type_of(item) for item in schema['prefixItems'])}]"
    options = _options(schema["items"])
    return f"{options[0]}[]" if len(options) == 1 else f"({' | '.join(options)})[]"


def _definition(name: str, schema: Schema) -> str:
    comment = "".join(f"{line}\n" for line in _comment(schema.get("description", ""), ""))
    if "properties" not in schema:
        return comment + _alias(name, _options(schema))
    required = schema.get("required", ())
    fields = "".join(
        f"{line}\n"
        for key, field in schema["properties"].items()
        for line in _field(key, field, optional=key not in required)
    )
    return f"{comment}export interface {name} {{\n{fields}}}\n"


def _field(key: str, schema: Schema, *, optional: bool) -> Iterator[str]:
    yield from _comment(schema.get("description", ""), "  ")
    options = _options(schema)
    line = f"  {key}{'?' if optional else ''}: {' | '.join(options)};"
    if len(line) <= WIDTH:
        yield line
        return
    yield f"  {key}{'?' if optional else ''}:"
    yield from (f"    | {option}" for option in options[:-1])
    yield f"    | {options[-1]};"


def _alias(name: str, options: list[str]) -> str:
    line = f"export type {name} = {' | '.join(options)};\n"
    if len(line) <= WIDTH + 1:
        return line
    return f"export type {name} =\n" + "\n".join(f"  | {option}" for option in options) + ";\n"


def _comment(text: str, indent: str) -> Iterator[str]:
    text = text.partition("\n\n")[0].replace("\n", " ").strip()  # the summary of a docstring
    if not text:
        return
    line = f"{indent}/** {text} */"
    if len(line) <= WIDTH:
        yield line
        return
    yield f"{indent}/**"
    yield from (f"{indent} * {part}" for part in wrap(text, WIDTH - len(indent) - 3))
    yield f"{indent} */"


def main() -> None:
    """Write the module."""
    TARGET.write_text(source(), encoding="utf-8")


if __name__ == "__main__":
    main()
