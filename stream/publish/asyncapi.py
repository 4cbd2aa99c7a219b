"""The WebSocket protocol for programs: JSON Schemas and one AsyncAPI 3 document.

Both are derived from the models in `schema` and `client_messages`; nothing is written twice.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stream.publish.client_messages import ChangeIncident, Hello, Subscribe, Unsubscribe
from stream.publish.schema import (
    RESUME_GAP,
    SUBPROTOCOL,
    CloseCode,
    ErrorMessage,
    EventMessage,
    LaggedMessage,
    ScoreMessage,
    SnapshotMessage,
    StatusMessage,
    SubscribedMessage,
    UnsubscribedMessage,
)

SERVER_MESSAGES: dict[str, type[BaseModel]] = {
    "score": ScoreMessage,
    "event": EventMessage,
    "status": StatusMessage,
    "snapshot": SnapshotMessage,
    "subscribed": SubscribedMessage,
    "unsubscribed": UnsubscribedMessage,
    "lagged": LaggedMessage,
    "error": ErrorMessage,
}
"""What the server sends, by `type`."""

CLIENT_MESSAGES: dict[str, type[BaseModel]] = {
    "hello": Hello,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "incident": ChangeIncident,
}
"""What a client sends, by `type`."""

_CLOSE_WORDS: dict[CloseCode, str] = {
    CloseCode.GOING_AWAY: "the analyzer stops for good",
    CloseCode.FORBIDDEN: "no token, a wrong one, or no hello in time",
    CloseCode.TOO_BIG: "a client message is too big",
    CloseCode.RESTARTING: "the server stops or restarts: connect again and resume",
    CloseCode.TOO_SLOW: "the client reads too slowly, or there is no room: try again later",
    CloseCode.BAD_MESSAGE: "a client message is not understood; the reason says what",
    CloseCode.TOKEN_EXPIRED: "the token has expired",
    CloseCode.UNKNOWN_STREAM: "subscribe names only streams that do not exist",
}


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every message by its `type`, each complete in itself."""
    found = {
        name: model.model_json_schema(mode="serialization")
        for name, model in SERVER_MESSAGES.items()
    }
    return found | {name: model.model_json_schema() for name, model in CLIENT_MESSAGES.items()}


def document(version: str, root_path: str = "") -> dict[str, Any]:
    """Return the AsyncAPI 3 document.

    Args:
        version: version of the program.
        root_path: prefix of the paths.
    """
    names = {**SERVER_MESSAGES, **CLIENT_MESSAGES}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "StyleFlow Live scores",
            "version": version,
            "description": _description(),
        },
        "defaultContentType": "application/json",
        "channels": {
            "scores": {
                "address": f"{root_path}/api/v1/scores",
                "title": f"WebSocket, subprotocol {SUBPROTOCOL}",
                "messages": {
                    name: {"$ref": f"#/components/messages/{name}"} for name in sorted(names)
                },
            }
        },
        "operations": {
            "receive": _operation("receive", CLIENT_MESSAGES, "What clients send."),
            "send": _operation("send", SERVER_MESSAGES, "What the server sends."),
        },
        "components": {
            "messages": {name: _message(name, model) for name, model in sorted(names.items())},
            "schemas": _components(),
        },
    }


def _description() -> str:
    codes = "\n".join(f"- {int(code)}: {words}" for code, words in _CLOSE_WORDS.items())
    return (
        "The client says hello within five seconds, then subscribes. A score is evidence, not "
        "proof; read `notice` before the number.\n\nClose codes:\n"
        f"{codes}\n\nAn `error` message with code {RESUME_GAP} says that a resume point is too "
        "old; the connection stays open and a full snapshot follows. One with a code below 1000, "
        "an HTTP status, refuses an `incident` message; the connection stays open."
    )


def _operation(action: str, messages: dict[str, type[BaseModel]], summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/scores"},
        "messages": [{"$ref": f"#/channels/scores/messages/{name}"} for name in messages],
    }


def _message(name: str, model: type[BaseModel]) -> dict[str, Any]:
    return {
        "name": name,
        "summary": (model.__doc__ or "").strip().splitlines()[0],
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }


def _components() -> dict[str, Any]:
    server = [(model, "serialization") for model in SERVER_MESSAGES.values()]
    client = [(model, "validation") for model in CLIENT_MESSAGES.values()]
    _, definitions = models_json_schema(
        [*server, *client],  # type: ignore[list-item]
        ref_template="#/components/schemas/{model}",
    )
    return {name: _named_by_a_string(schema) for name, schema in definitions["$defs"].items()}


def _named_by_a_string(schema: Any) -> Any:
    """Return a schema whose discriminators are names of properties, as AsyncAPI has them.

    OpenAPI's, which pydantic writes, are objects with a mapping from values to schemas. Nothing is
    lost: every alternative has the property as a constant.
    """
    if isinstance(schema, list):
        return [_named_by_a_string(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: _named_by_a_string(value) for key, value in schema.items()}
    match told:
        case {"oneOf": _, "discriminator": {"propertyName": str(name)}}:
            told["discriminator"] = name
    return told
