"""Pieces of a report as values, and the page that a template makes of them.

Nothing is worked out here. The template escapes everything but the pictures, which are SVG that
this program has drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

_TEMPLATE = "report.html"


@dataclass(frozen=True, slots=True)
class Card:
    """One main figure, large.

    Attributes:
        title: what it is.
        value: the figure.
        interval: from where to where it may lie; empty where nobody knows.
        note: how to read it.
    """

    title: str
    value: str
    interval: str
    note: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The top of a report.

    Attributes:
        detector: whose report it is.
        lead: what was evaluated.
        notices: warnings.
        cards: the main figures.
        foot: how intervals are to be read.
    """

    detector: str
    lead: str
    notices: Sequence[str]
    cards: Sequence[Card]
    foot: str


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of plain text, row by row, and perhaps a title."""

    kind: ClassVar[str] = "table"

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as SVG text, which goes into the page as it is."""

    kind: ClassVar[str] = "picture"

    svg: str


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One frame of a clip.

    Attributes:
        jpeg: the picture in base 64; empty where the clip is not there.
        score: of the clip.
        told: what the score means.
        made: what made the clip.
        name: of the clip.
    """

    jpeg: str
    score: str
    told: str
    made: str
    name: str


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Clips under one title."""

    kind: ClassVar[str] = "thumbnails"

    title: str
    clips: Sequence[Thumbnail]


@dataclass(frozen=True, slots=True)
class Columns:
    """Parts next to each other, as far as the page is wide; empty columns are left out."""

    kind: ClassVar[str] = "columns"

    columns: Sequence[Sequence[Table | Picture]]


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report: title, a sentence or two, then tables and pictures."""

    title: str
    lead: str
    parts: Sequence[Table | Picture | Columns | Thumbnails]


def whole(title: str, summary: Summary, sections: Sequence[Section]) -> str:
    """Return a page that needs no other file, light or dark as its reader likes."""
    return _template().render(title=title, summary=summary, sections=sections)


@cache
def _template() -> Template:
    return Environment(
        loader=PackageLoader("styleflow.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    ).get_template(_TEMPLATE)


def side_by_side(*svgs: str) -> Columns:
    """Return pictures next to each other; empty ones are left out."""
    return Columns([[Picture(svg)] for svg in svgs if svg])


def card(title: str, figure: Mapping[str, Any] | None, note: str, digits: int = 2) -> Card:
    """Return one main figure with its interval and a note."""
    value = "–" if figure is None or figure["value"] is None else f"{figure['value']:.{digits}f}"
    interval = ""
    if figure is not None and figure["low"] is not None:
        interval = f"{figure['low']:.{digits}f} to {figure['high']:.{digits}f}"
    return Card(title, value, interval, note)


def figure(figure: Mapping[str, Any], digits: int = 3) -> str:
    """Return a figure with its interval, or a dash where there is none."""
    if figure["value"] is None:
        return "–"
    if figure["low"] is None:
        return f"{figure['value']:.{digits}f}"
    return (
        f"{figure['value']:.{digits}f} ({figure['low']:.{digits}f} to {figure['high']:.{digits}f})"
    )


def number(value: float | None) -> str:
    """Return a number, or a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Return a share in per cent, or a dash where there is none."""
    return "–" if value is None else f"{value:.1%}"


def seconds(times: Mapping[str, Any]) -> str:
    """Return how long something takes, and in how many clips it happens."""
    happened = f"{times['happened']} of {times['clips']} clips"
    if times["median_s"] is None:
        return f"never ({happened})"
    return f"{times['median_s']:.1f} s, nine in ten by {times['p90_s']:.1f} s ({happened})"
