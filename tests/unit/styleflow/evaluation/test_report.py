"""The report: one file, plain words, nothing hidden."""

import re
from html.parser import HTMLParser

import pytest

from styleflow.evaluation import plots
from styleflow.evaluation.figures import figures
from styleflow.evaluation.report import thumbnail, write_report
from tests.support.media import encode, moving_pictures
from tests.support.records import rating, record
from tests.unit.styleflow.evaluation.test_comparison import evaluated


@pytest.fixture(autouse=True)
def _no_drawing(request, monkeypatch):
    """Leave the pictures out where a test does not look at them: they take most of the time."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(plots, "draw", lambda *_, **__: "<svg></svg>")


@pytest.fixture
def drawn():
    """Let a test's reports have their pictures."""


@pytest.fixture
def page(tmp_path):
    """Return a function that writes a report and gives its text."""

    def written(records, **provenance):
        found = figures(records, 0.7, rounds=20)
        about = {
            "mode": "causal",
            "date": "2026-01-01",
            "command": "styleflow evaluate clips",
            "commit": "abc",
            "manifest": "manifest.csv",
            "hardware": {"cpu": "slow", "gpu": None},
            "refused": [],
            "rounds": 20,
        }
        found["provenance"] = evaluated()["provenance"] | about | provenance
        write_report(found, records, tmp_path, tmp_path / "report.html")
        return (tmp_path / "report.html").read_text()

    return written


RECORDS = [record("r1.mp4", 0, 0.2), record("f1.mp4", 1, 0.9)]


@pytest.mark.usefixtures("drawn")
def test_it_needs_no_other_file(page) -> None:
    text = page(RECORDS)
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", text)
    assert "@import" not in text
    assert "<script" not in text


@pytest.mark.usefixtures("drawn")
def test_it_is_well_formed(page) -> None:
    open_tags = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "img", "br"):
                open_tags.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Parser().feed(page(RECORDS))
    assert open_tags == []


def test_an_untrained_models_report_says_so_on_top(page) -> None:
    text = page(RECORDS, status="untrained")
    assert text.index("The model is untrained") < text.index("<h2>")
    assert "The model is untrained" not in page(RECORDS)


def test_a_trial_on_some_clips_says_so_on_top(page) -> None:
    assert "a trial, no result" in page(RECORDS, limited=True)


@pytest.mark.usefixtures("drawn")
def test_names_from_a_manifest_cannot_become_html(page) -> None:
    evil = "<script>alert(1)</script>"
    records = [*RECORDS, record("f2.mp4", 1, 0.1, generator=evil, kind=evil, source=evil)]
    text = page(records, refused=[{"row": 2, "file": evil, "reason": evil}])
    assert "<script" not in text


def test_clips_without_a_score_are_named(page) -> None:
    silent = record("f9.mp4", 1, None, ratings=[rating(1.0, 0.0, reasons=("blurred",))])
    text = page([*RECORDS, silent], refused=[{"row": 7, "file": "x.mp4", "reason": "is missing"}])
    for said in ("f9.mp4", "no evidence: warming", "row 7: x.mp4", "is missing"):
        assert said in text
    assert "Left out" not in page(RECORDS)


def test_the_worst_errors_are_shown_where_the_clips_are(page, tmp_path) -> None:
    encode(tmp_path / "r1.mp4", moving_pictures(5))
    text = page(RECORDS)
    assert text.count("data:image/jpeg;base64,") == 1
    assert text.count("the clip is not here") == 1


@pytest.mark.usefixtures("drawn")
def test_pictures_take_the_colour_of_the_page(page) -> None:
    text = page(RECORDS)
    assert text.count("<svg") >= 7
    assert "currentColor" in text
    assert "#010203" not in text
    assert "prefers-color-scheme: dark" in text


def test_a_thumbnail_is_small_and_a_broken_clip_has_none(tmp_path) -> None:
    clip = encode(tmp_path / "disc.mp4", moving_pictures(60, 320, 240))
    assert 500 < len(thumbnail(clip)) < 10_000
    assert thumbnail(tmp_path / "nowhere.mp4") == b""


def test_an_evaluation_without_one_usable_clip_still_has_a_report(page) -> None:
    assert "no evidence: warming" in page([record("r1.mp4", 0, None)])
