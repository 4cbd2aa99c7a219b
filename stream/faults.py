"""Words for what is wrong with values that people write: where, what, and what is allowed.

The configuration, bodies of HTTP requests and messages over the WebSocket are refused in the same
words; each of them is a pydantic model or a dataclass.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

Loc = tuple[int | str, ...]
"""Path to a value, as pydantic gives it: keys, and numbers of list items."""


def keys_of(kind: Any) -> dict[str, Any]:
    """Return the keys that a section takes and their types; empty when it is no section."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return {}


def unknown_keys(kind: Any, value: Any, at: str = "") -> Iterator[str]:
    """Yield one sentence per key that a section does not have, with the nearest that it has.

    Args:
        kind: type of the section, or of a list of sections.
        value: what was written.
        at: where, for example `streams[0]`.
    """
    kind = _section(kind)
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from unknown_keys(get_args(kind)[0], item, f"{at}[{index}]")
        return
    known = keys_of(kind)
    if not known or not isinstance(value, Mapping):
        return
    for key, item in value.items():
        here = f"{at}.{key}" if at else str(key)
        if key in known:
            yield from unknown_keys(known[key], item, here)
        else:
            yield f"{here}: {_unknown(str(key), known)}"


def told(kind: Any, fault: Mapping[str, Any]) -> str:
    """Return what is wrong, in plain words; not where, and nothing of what was written but keys.

    Args:
        kind: type that was wanted at the beginning of the path; None when it is not known.
        fault: one of `pydantic.ValidationError.errors()`.
    """
    match fault["type"]:
        case "extra_forbidden":
            *path, key = fault["loc"]
            return _unknown(str(key), keys_of(_inner(kind, path)))
        case "missing":
            return "is missing"
        case "json_invalid":
            return f"is not JSON: {fault.get('ctx', {}).get('error', fault['msg'])}"
    return _friendly(str(fault["msg"]))


def dotted(loc: Iterable[int | str]) -> str:
    """Return a path as people write it, for example `streams[0].source.url`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _unknown(key: str, known: Iterable[str]) -> str:
    known = tuple(known)
    if near := difflib.get_close_matches(key, known, n=1):
        return f"unknown key; did you mean {near[0]!r}?"
    return f"unknown key; known: {', '.join(known)}" if known else "unknown key"


def _section(kind: Any) -> Any:
    """Return the section among the alternatives of a type, or the type itself."""
    if get_origin(kind) is Annotated:
        return _section(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        for option in map(_section, get_args(kind)):
            if keys_of(option):
                return option
    return kind


def _inner(kind: Any, path: Iterable[int | str]) -> Any:
    """Return the type at the end of a path; parts that are no keys name an alternative."""
    for part in path:
        kind = _section(kind)
        if isinstance(part, int):
            kind = next(iter(get_args(kind)), None)
        elif part in keys_of(kind):
            kind = keys_of(kind)[part]
    return _section(kind)


_MAPPINGS = ("Input should be a dictionary or an instance of", "Input should be a valid dictionary")


def _friendly(message: str) -> str:
    if message.startswith(_MAPPINGS):
        return "must be a mapping of keys and values"
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
