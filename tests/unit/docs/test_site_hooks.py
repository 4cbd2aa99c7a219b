from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.site_hooks import API, first_page, on_page_markdown, outside_pictures

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[hub.py](../stream/publish/hub.py)", "hub.py"),
        ("[stream/device](../stream/device)", "stream/device"),
        ("see [the key](../configs/default.yaml#web).", "see the key (`configs/default.yaml`)."),
        ("![p95](../benchmarks/results/a.png)", "![p95](images/a.png)"),
        ("[errors](errors.md)", "[errors](errors.md)"),
        ("[there](https://example.org)", "[there](https://example.org)"),
    ],
)
def test_links_out_of_the_pages_become_what_they_name(written: str, read: str) -> None:
    assert on_page_markdown(written) == read


def test_the_first_page_is_the_readme_seen_from_docs() -> None:
    readme = "[a](docs/a.md) ![b](docs/images/b.png) [c](configs/c.yaml) [d](https://example.org)"
    assert first_page(readme) == (
        "[a](a.md) ![b](images/b.png) [c](../configs/c.yaml) [d](https://example.org)"
    )


def test_pictures_outside_are_there_and_their_names_are_their_own() -> None:
    pictures = outside_pictures()
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)
    names = [picture.name for picture in pictures]
    assert len(set(names)) == len(names)
    assert not set(names) & {path.name for path in (ROOT / "docs" / "images").iterdir()}


def test_every_page_is_in_the_navigation_once() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = re.findall(r": (\S+\.md)$", text.partition("\nnav:")[2], re.MULTILINE)
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    made = {"index.md", "reference/commands.md", "reference/configuration.md", *API}
    assert sorted(nav) == sorted(pages | made)


def test_the_versions_that_build_the_site_are_pinned() -> None:
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if line
    )
    assert pinned["mkdocs-material"] == "9.8.2"
    assert {"mkdocs", "mkdocstrings", "mkdocstrings-python"} <= pinned.keys()
