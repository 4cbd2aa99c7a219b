"""One word for one thing: what people read uses the words of docs/glossary.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page != GLOSSARY),
]
SCREENS = sorted((ROOT / "web" / "dashboard" / "src").glob("**/*.ts*"))

OLD = {
    r"\brungs?\b": "degradation level",
    r"\bladder\b": "degradation",
    r"\bswitchboard\b": "sessions",
    r"(?<!/)\blanes?\b": "send queue",
    r"\blook(s|ed)? anew\b": "re-detect",
    r"\bin doubt\b": "uncertain identity",
    r"\b(is|are) worth as evidence\b": "evidence weight",
    r"\brestless(ness)?\b": "temporal stability",
    r"(?<!`)\bsteadiness\b": "temporal stability",
    r"\bknocks?\b": "serves",
    r"\bworn (alike|by|in)\b": "degraded",
}
"""Words in a sense that the glossary gave up, and what it says instead."""


def uses(page: Path) -> list[str]:
    """Return the old words of a page with their lines."""
    found = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        for old, new in OLD.items():
            if re.search(old, line, re.IGNORECASE):
                found.append(f"{page.name}:{number}: say {new}: {line.strip()[:80]}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documents_use_the_words_of_the_glossary(page: Path) -> None:
    """No page uses a word in its old sense."""
    assert uses(page) == []


def test_the_page_uses_the_words_of_the_glossary() -> None:
    """Nor do the texts of the dashboard."""
    assert [use for screen in SCREENS for use in uses(screen)] == []


def test_the_glossary_defines_each_word_once() -> None:
    """No word has two rows."""
    text = GLOSSARY.read_text(encoding="utf-8").split("## Old names")[0]
    words = re.findall(r"^\| ([^|]+?) \|", text, flags=re.MULTILINE)
    defined = [word for word in words if word not in ("word", "---")]
    assert len(defined) > 50
    assert len(set(defined)) == len(defined)
    assert not re.search(r"^\| [^|]+ \|\s*\|", text, flags=re.MULTILINE), "a word without meaning"


QUESTION = re.compile(r"(What|Where|How|Who|Which)\b")


def opens_with_a_question(path: Path) -> bool:
    """Say whether a module's docstring opens with a question word."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    return QUESTION.match(ast.get_docstring(module) or "") is not None


@pytest.mark.parametrize("package", ["styleflow", "stream", "web", "cli", "benchmarks", "docs"])
def test_modules_say_what_they_are(package: str) -> None:
    """The first line of a module is a noun phrase, not a question."""
    asking = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / package).rglob("*.py"))
        if "node_modules" not in path.parts and opens_with_a_question(path)
    ]
    assert asking == []
