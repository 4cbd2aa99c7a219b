"""Patterns of stream ids: compiled once, then matched in one pass over the id.

A pattern is what a shell calls a glob: `*` is any text, `?` any character, `[a-c]` one of these,
`[!a-c]` any other. The matcher keeps the set of places in the pattern at which a match may have
arrived as the bits of a number, so an id of n characters costs n steps whatever the pattern is.
"""

from __future__ import annotations

from collections.abc import Iterable

WILDCARDS = "*?["
MAX_WILDCARDS = 4
"""Most `*`, `?` and `[` in one pattern."""


def is_pattern(stream: str) -> bool:
    """Return whether a name in `subscribe.streams` is a glob rather than one stream's id."""
    return any(sign in stream for sign in WILDCARDS)


def wildcards(stream: str) -> int:
    """Return how many wildcards a name has; a `[` that nothing closes counts as well."""
    return sum(stream.count(sign) for sign in WILDCARDS)


class Pattern:
    """One compiled pattern.

    Args:
        text: the pattern.
    """

    __slots__ = ("_accepts", "_accepts_rest", "_end", "_repeats")

    def __init__(self, text: str) -> None:
        self._accepts_rest = 0
        self._repeats = 0
        tokens = _tokens(text)
        named = {sign for token in tokens if token is not None for sign in token[0]}
        self._accepts = dict.fromkeys(named, 0)
        place = 1
        for token in tokens:
            if token is None:
                self._repeats |= place
                continue
            signs, inverted = token
            if inverted:
                self._accepts_rest |= place
            for sign in named if inverted else signs:
                if (sign in signs) is not inverted:
                    self._accepts[sign] |= place
            place <<= 1
        self._end = place

    def matches(self, stream: str) -> bool:
        """Return whether the whole of an id matches."""
        places = 1
        for sign in stream:
            accepted = places & self._accepts.get(sign, self._accepts_rest)
            places = (accepted << 1) | (places & self._repeats)
            if not places:
                return False
        return bool(places & self._end)


class PatternSet:
    """Names and patterns, of which one must match.

    Args:
        streams: ids and globs.
    """

    __slots__ = ("_ids", "_patterns")

    def __init__(self, streams: Iterable[str]) -> None:
        distinct = dict.fromkeys(streams)
        self._ids = frozenset(s for s in distinct if not is_pattern(s))
        self._patterns = tuple(Pattern(s) for s in distinct if is_pattern(s))

    def matches(self, stream: str) -> bool:
        """Return whether an id is one of the names or matches one of the patterns."""
        return stream in self._ids or any(p.matches(stream) for p in self._patterns)


def _tokens(text: str) -> list[tuple[frozenset[str], bool] | None]:
    """Return the parts of a pattern: None for `*`, else characters, and whether they are excluded.

    As in a shell, a `[` that is not closed stands for itself, and a `]` that comes first in a set
    belongs to it.
    """
    tokens: list[tuple[frozenset[str], bool] | None] = []
    at = 0
    while at < len(text):
        sign = text[at]
        at += 1
        if sign == "*":
            tokens.append(None)
        elif sign == "?":
            tokens.append((frozenset(), True))
        elif sign == "[" and (close := _close(text, at)) >= 0:
            inside = text[at:close]
            inverted = inside.startswith("!")
            tokens.append((_members(inside[inverted:]), inverted))
            at = close + 1
        else:
            tokens.append((frozenset(sign), False))
    return tokens


def _close(text: str, begin: int) -> int:
    """Return where the set ends whose first character is at `begin`, or -1."""
    if text.startswith("!", begin):
        begin += 1
    return text.find("]", begin + 1)


def _members(inside: str) -> frozenset[str]:
    """Return the characters of a set; ranges reach over ASCII, of which ids are made."""
    members: set[str] = set()
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            first, last = ord(inside[at]), min(ord(inside[at + 2]), 127)
            members.update(chr(code) for code in range(first, last + 1))
            at += 3
        else:
            members.add(inside[at])
            at += 1
    return frozenset(members)
