"""YAML text to plain values, bounded in time and memory whoever wrote it.

PyYAML's safe loader runs no code, but it expands nested aliases without end, recurses as deep as
the text does, and lets errors of Python's own constructors out. Here every fault is one
YAMLError of one line. Dates stay text: the setting that wants a date reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 256 * 1024
"""Longest text that is read; a stream takes about a hundred bytes."""

MAX_DEPTH = 32
MAX_VALUES = 20_000
"""Most values, each counted as often as aliases repeat it."""

MAX_NUMBER = 64
"""Most characters of a number; Python takes quadratic time for long ones."""

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """The safe loader, without dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != _TIMESTAMP]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: Path, limit: int = MAX_BYTES) -> str:
    """Return the text of a file.

    Raises:
        OSError: it cannot be read.
        YAMLError: it is too long, or no UTF-8.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise yaml.YAMLError(f"is longer than {limit} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise yaml.YAMLError(f"line {line}: is not UTF-8 text") from None


def parse(text: str) -> Any:
    """Return the values that a text says.

    Raises:
        YAMLError: it is not YAML, or says more than fits the limits.
    """
    if len(text) > MAX_BYTES:
        raise yaml.YAMLError(f"is longer than {MAX_BYTES} characters")
    try:
        _check_events(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _size(node, {}, set())
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise yaml.YAMLError(f"{_where(error.problem_mark)}{error.problem}") from None
    except yaml.reader.ReaderError as error:
        raise yaml.YAMLError(f"is not YAML: {' '.join(str(error).split())}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise yaml.YAMLError(f"holds a value that cannot be read: {error}") from None


def _check_events(text: str) -> None:
    """Refuse what is nested too deeply or too long; the parser does not recurse, composing does."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if number > 2 * MAX_VALUES:
            raise yaml.YAMLError(f"{_where(event.start_mark)}more than {MAX_VALUES} values")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            said = f"nested more than {MAX_DEPTH} levels deep"
            raise yaml.YAMLError(f"{_where(event.start_mark)}{said}")


def _size(node: yaml.Node, known: dict[int, int], open_: set[int]) -> int:
    """Return how many values a node stands for when every alias is written out."""
    key = id(node)
    if key in known:
        return known[key]
    if key in open_:
        raise yaml.YAMLError(f"{_where(node.start_mark)}an alias contains itself")
    open_.add(key)
    size = 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_size(item, known, open_) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        size += sum(_size(item, known, open_) for pair in node.value for item in pair)
    elif node.tag in (_INT, _FLOAT) and len(node.value) > MAX_NUMBER:
        raise yaml.YAMLError(f"{_where(node.start_mark)}a number of {len(node.value)} characters")
    if size > MAX_VALUES:
        said = f"aliases stand for more than {MAX_VALUES} values"
        raise yaml.YAMLError(f"{_where(node.start_mark)}{said}")
    open_.discard(key)
    known[key] = size
    return size


def _where(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
