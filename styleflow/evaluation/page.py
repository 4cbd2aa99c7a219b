"""The looks of a report: pieces of HTML, and the page around them. Nothing is worked out here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

Rows = Iterable[Sequence[str]]
"""Cells of a table, row by row."""


def whole(title: str, body: str) -> str:
    """Return a page that needs no other file, light or dark as its reader likes.

    Args:
        title: plain text.
        body: HTML.
    """
    return Template(_PAGE).substitute(title=escape(title), body=body)


def section(title: str, lead: str, *parts: str) -> str:
    """Return one part of the report: title, a sentence or two, then HTML."""
    said = f"<p>{escape(lead)}</p>" if lead else ""
    return f"<section><h2>{escape(title)}</h2>{said}{''.join(parts)}</section>"


def card(title: str, figure: Mapping[str, Any] | None, note: str, digits: int = 2) -> str:
    """Return one main figure, large, with its interval and a note."""
    value = "–" if figure is None or figure["value"] is None else f"{figure['value']:.{digits}f}"
    span = ""
    if figure is not None and figure["low"] is not None:
        span = f"{figure['low']:.{digits}f} to {figure['high']:.{digits}f}"
    return (
        f'<div class="card"><h3>{escape(title)}</h3><b>{value}</b><i>{span}</i>'
        f"<p>{escape(note)}</p></div>"
    )


def table(heads: Sequence[str], rows: Rows) -> str:
    """Return a table of plain text; cells are escaped."""
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def side_by_side(*pictures: str) -> str:
    """Return pictures next to each other, as far as the page is wide; empty ones are left out."""
    return f'<div class="plots">{"".join(f"<div>{p}</div>" for p in pictures if p)}</div>'


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


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1c2326; --dim: #5d6a70; --page: #fbfaf7; --card: #ffffff;
  --line: #dcdfdd; --warn: #fff1d6; --warn-ink: #6b4300; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9e8; --dim: #9aa6aa; --page: #14181a;
  --card: #1c2224; --line: #333c3f; --warn: #3b2d10; --warn-ink: #ffd992; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 2rem 1.2rem 4rem; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.6rem 0 .3rem; }
h3 { font-size: .95rem; margin: 1.2rem 0 .4rem; }
section > p { max-width: 46rem; color: var(--dim); margin: .2rem 0 .8rem; }
.dim { color: var(--dim); font-size: .85rem; }
.notice { background: var(--warn); color: var(--warn-ink); padding: .7rem 1rem; border-radius: 6px;
  font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem;
  margin-top: 1.2rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .7rem .9rem; }
.card h3 { margin: 0; font-size: .8rem; color: var(--dim); font-weight: 600; }
.card b { font-size: 1.7rem; display: block; font-variant-numeric: tabular-nums; }
.card i { font-style: normal; font-size: .85rem; } .card p { margin: .3rem 0 0; font-size: .78rem;
  color: var(--dim); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .28rem .9rem .28rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; min-width: 4rem; }
th { color: var(--dim); font-weight: 600; } td:first-child { min-width: 10rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1.4rem;
  margin: 1.2rem 0; align-items: start; }
svg { width: 100%; height: auto; display: block; max-width: 40rem; }
svg text { font-family: system-ui, sans-serif !important; }
.thumbnails { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.2rem, 1fr));
  gap: .9rem; }
figure { margin: 0; } figure img, .blank { width: 100%; aspect-ratio: 1; object-fit: cover;
  border-radius: 6px; background: var(--line); display: block; }
.blank { font-size: .75rem; padding: .6rem; color: var(--dim); }
figcaption { font-size: .78rem; line-height: 1.35; margin-top: .3rem; }
figcaption b { font-size: .95rem; } figcaption span { color: var(--dim); overflow-wrap: anywhere; }
</style>
</head>
<body>
$body
</body>
</html>
"""
