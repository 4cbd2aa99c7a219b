"""The pages in `docs` as a site: built without a warning, and asking no other host for anything.

python -m docs.site [--out DIR]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "site"

LOADS = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "object": ("data",),
    "embed": ("src",),
    "form": ("action",),
}
"""Attributes that a browser follows by itself; links in a text wait for a person."""

FOREIGN = re.compile(r"^<\w+ (?:style=.*url\(['\"]?|\w+=)(?:https?:)?//")
"""A load of another host, as `Loads` writes it."""

TRACKERS = ("google-analytics", "googletagmanager", "gtag(", "plausible", "matomo")


class Loads(HTMLParser):
    """Addresses that a page loads, with the tag that does."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag loads."""
        self.found += [
            f"<{tag} {key}={value}>" for key, value in attrs if key in LOADS.get(tag, ()) and value
        ]
        self.found += [f"<{tag} style={value}>" for key, value in attrs if key == "style" and value]


def foreign(site: Path) -> Iterator[str]:
    """Yield what the pages and styles of a site would ask other hosts for."""
    for page in sorted(site.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        loads = Loads()
        loads.feed(text)
        name = page.relative_to(site)
        yield from (f"{name}: {load}" for load in loads.found if FOREIGN.search(load))
        yield from (f"{name}: {word}" for word in TRACKERS if word in text)
    for style in sorted(site.rglob("*.css")):
        text = style.read_text(encoding="utf-8")
        for address in re.findall(r"(?:url\(|@import\s*)[\"']?((?:https?:)?//[^\"')]+)", text):
            yield f"{style.relative_to(site)}: {address}"


def build(out: Path) -> int:
    """Build the site; a warning is an error. Returns the exit code of MkDocs."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--site-dir", str(out)], cwd=ROOT, env=environment, check=False
    )
    return done.returncode


def main() -> None:
    """Build the site and check it."""
    parser = argparse.ArgumentParser(description="Build the pages in docs as a site.")
    parser.add_argument("--out", type=Path, default=OUT)
    out: Path = parser.parse_args().out.resolve()
    if code := build(out):
        sys.exit(code)
    if asked := list(foreign(out)):
        sys.exit("the site asks other hosts:\n" + "\n".join(asked))
    pages = len(list(out.rglob("*.html")))
    print(f"{pages} pages in {out}")


if __name__ == "__main__":
    main()
