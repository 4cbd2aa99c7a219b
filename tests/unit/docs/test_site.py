from __future__ import annotations

from pathlib import Path

import pytest

from docs.site import foreign


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<script src="//cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<img src="http://pictures.example/a.png">',
        '<p style="background: url(https://pictures.example/a.png)">',
        "<script>gtag('js')</script>",
    ],
)
def test_what_another_host_would_be_asked_for_is_found(html: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<html><body>{html}</body></html>")
    assert len(list(foreign(tmp_path))) == 1


def test_links_for_people_are_no_loads(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<link href="assets/a.css"><img src="images/a.png"><a href="https://example.org">there</a>'
    )
    (tmp_path / "a.css").write_text("a { background: url(data:image/svg+xml,x) }")
    assert list(foreign(tmp_path)) == []


def test_styles_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text(
        '@import "https://fonts.example/a.css";\nb { background: url(//pictures.example/a.png) }'
    )
    assert len(list(foreign(tmp_path))) == 2
