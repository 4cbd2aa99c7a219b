"""The documents name files that exist: README.md and docs/*.md against the tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TOPS = ("styleflow", "stream", "web", "cli", "tests", "benchmarks", "configs", "docs", "deploy")
SOURCES = (".py", ".ts", ".tsx", ".css", ".md", ".yaml", ".svg")
ELSEWHERE = {
    "configs/train/RECIPE.yaml": "any recipe",
    "web/static/dashboard": "built by `make dashboard`",
}
"""Names in the documents that are not files of this repository, and whose they are."""

TO_COME = {
    "entry.py",
    "registry.py",
    "styleflow/api.py",
    "styleflow/analysis.py",
    "stream/offline/library.py",
    "tests/unit/cli/test_light_imports.py",
    "styleflow/sampling.py",
    "styleflow/detectors/registry.py",
    "stream/event_log.py",
    "stream/analyzer/device_worker.py",
    "stream/analyzer/ingest_worker.py",
    "stream/analyzer/stream_state.py",
}
"""Modules that are being made while the pages already name them."""

OLD_NAMES = "## Old names"
"""Heading of the glossary's last part, which is about names that are gone."""


def tree() -> set[str]:
    """Return every file and folder of the repository that a document may name."""
    found = {path.name for path in ROOT.iterdir() if path.is_file()}
    for top in TOPS:
        for path in (ROOT / top).rglob("*"):
            if not {"node_modules", "__pycache__"} & set(path.parts):
                found.add(path.relative_to(ROOT).as_posix())
    return found | set(TOPS)


TREE = tree()
ENDINGS = {"/".join(parts[n:]) for path in TREE for parts in [path.split("/")] for n in range(9)}


def alternatives(word: str) -> list[str]:
    """Return what `a/{b,c}.py` stands for."""
    if (braces := re.search(r"\{([^{}]*)\}", word)) is None:
        return [word]
    start, end = word[: braces.start()], word[braces.end() :]
    return [full for part in braces[1].split(",") for full in alternatives(start + part + end)]


def paths(text: str) -> Iterator[str]:
    """Yield the files and folders of ours that code in a page names."""
    text = text.split(OLD_NAMES)[0]
    for code in re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL):
        for word in re.split(r"[\s`\"'()\[\]|=]+", code):
            for path in alternatives(word.strip(",:;.").split("::")[0].split("#")[0]):
                named = path.endswith(SOURCES) and re.fullmatch(r"[a-zA-Z0-9_./-]+", path)
                folder = re.fullmatch(rf"({'|'.join(TOPS)})/[a-z0-9_./-]*", path)
                if (named or folder) and not path.startswith(("/", "..", "-")):
                    yield path.rstrip("/")


def links(text: str) -> Iterator[str]:
    """Yield the targets of a page's links and pictures that are files."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            yield target.split("#")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links and pictures of a page exist."""
    text = page.read_text(encoding="utf-8")
    missing = [target for target in links(text) if not (page.parent / target).exists()]
    assert [target for target in missing if target.removeprefix("../") not in TO_COME] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_code_exist(page: Path) -> None:
    """A page names a file by its path, or by the end of it."""
    missing = {
        path
        for path in paths(page.read_text(encoding="utf-8"))
        if path not in ENDINGS and path not in ELSEWHERE and path not in TO_COME
    }
    assert missing == set()


def test_paths_are_found_in_text() -> None:
    """Folders, files with braces, and files named by their last parts; not other people's."""
    text = "`stream/publish/{hub,encode}.py`, `sam.py::step`, `stream/device/` ```\ncat a.mp4\n```"
    assert list(paths(text)) == [
        "stream/publish/hub.py",
        "stream/publish/encode.py",
        "sam.py",
        "stream/device",
    ]
