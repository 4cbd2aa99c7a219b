"""Hooks of MkDocs: pages made of the code, and links that lead out of `docs`.

The pages are written to be read in the repository, where they link to sources beside them. On the
site, README.md is the first page, pictures from elsewhere in the repository are taken along, and a
link to a source becomes the path that it names: the site belongs to no host of sources.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
PICTURES = (".png", ".svg", ".jpg")
LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>\.\./[^)\s]+)\)")
FROM_README = re.compile(r"\]\((?P<target>(?!https?:|#)[^)\s]+)\)")

API = {
    "reference/styleflow.md": (
        "styleflow",
        ("styleflow.api", "styleflow.analysis", "styleflow.cards"),
    ),
    "reference/client.md": (
        "styleflow.client",
        (
            "styleflow.client.sync_client",
            "styleflow.client.async_client",
            "styleflow.client.reconnect",
            "styleflow.client.errors",
        ),
    ),
    "reference/wire.md": (
        "Messages and values",
        (
            "styleflow.client.messages",
            "styleflow.client.values",
            "styleflow.client.responses",
            "styleflow.client.requests",
        ),
    ),
}
"""Pages of the Python reference: title and modules."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and pictures that lie outside `docs`."""
    for path, text in made().items():
        files.append(File.generated(config, path, content=text))
    for picture in outside_pictures():
        source = (ROOT / picture).read_bytes()
        files.append(File.generated(config, f"images/{picture.name}", content=source))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Turn links that lead out of `docs` into what they name."""
    return LINK.sub(_inside, markdown)


def made() -> dict[str, str]:
    """Return the pages that are made of the code and of README.md."""
    pages = {"index.md": first_page((ROOT / "README.md").read_text(encoding="utf-8"))}
    for path, (title, modules) in API.items():
        blocks = "\n".join(f"::: {module}\n" for module in modules)
        pages[path] = f"# {title}\n\n{blocks}"
    command = [sys.executable, "-m", "typer", "cli.main", "utils", "docs", "--name", "styleflow"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    pages["reference/commands.md"] = f"# Commands\n\n{done.stdout.replace('# `styleflow`', '', 1)}"
    from cli.config import annotated_defaults

    intro = "Every key with its unit, effect and default, as `styleflow config defaults` prints it."
    pages["reference/configuration.md"] = (
        f"# Configuration\n\n{intro}\n\n```yaml\n{annotated_defaults()}```\n"
    )
    return pages


def first_page(readme: str) -> str:
    """Return README.md as a page of `docs`."""

    def seen_from_docs(link: re.Match[str]) -> str:
        target = link["target"]
        inside = target.removeprefix("docs/")
        return f"]({inside if inside != target else f'../{target}'})"

    return FROM_README.sub(seen_from_docs, readme)


def outside_pictures() -> list[Path]:
    """Return the pictures outside `docs` that pages show, by their path in the repository."""
    found = {
        Path(link["target"].removeprefix("../"))
        for page in sorted((ROOT / "docs").glob("*.md"))
        for link in LINK.finditer(page.read_text(encoding="utf-8"))
        if link["picture"]
    }
    return sorted(found)


def _inside(link: re.Match[str]) -> str:
    """Return what a link out of `docs` becomes on the site."""
    target = link["target"].removeprefix("../")
    if link["picture"]:
        return f"![{link['text']}](images/{Path(target).name})"
    text = link["text"]
    path = target.split("#")[0].rstrip("/")
    return text if path.endswith(text.strip("`")) else f"{text} (`{path}`)"
