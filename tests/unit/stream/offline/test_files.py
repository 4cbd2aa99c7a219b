"""Files become analyses one at a time, and a caller who gives up holds nobody up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from stream.errors import SourceError
from stream.offline.analysis import DetectorUnknown
from stream.offline.files import FileAnalyzer
from stream.pipeline import Pipeline
from tests.support.media import encode, moving_pictures
from tests.support.path import EAGER, toy_pipeline
from tests.support.published import toy_pipeline_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "disc.mp4"
    return encode(path, moving_pictures(50), gop=25)


async def test_files_are_analyzed_one_by_one(clip: Path, tmp_path: Path) -> None:
    desk = FileAnalyzer(lambda name: toy_pipeline(), ("styleflow-live",), EAGER)
    first, second = await asyncio.gather(
        desk(clip, shown="one.mp4", detector=None), desk(clip, shown="two.mp4", detector=None)
    )
    assert (first.source, second.source) == ("one.mp4", "two.mp4")
    assert first.score == second.score
    with pytest.raises(DetectorUnknown):
        await desk(clip, shown="x", detector="oracle")
    with pytest.raises(SourceError):
        await desk(tmp_path / "nowhere.mp4", shown="x", detector=None)


async def test_cancelling_an_analysis_frees_the_desk(clip: Path) -> None:
    desk = FileAnalyzer(lambda name: toy_pipeline(), ("styleflow-live",), EAGER)
    running = asyncio.create_task(desk(clip, shown="x", detector=None))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await desk(clip, shown="y", detector=None)).source == "y"


async def test_a_file_is_analyzed_by_the_detector_that_was_asked_for(clip: Path) -> None:
    """Each detector's pipeline is made once, at its first call."""
    made: list[str] = []

    def pipeline(name: str) -> Pipeline:
        made.append(name)
        return toy_pipeline_of(name)

    desk = FileAnalyzer(pipeline, ("styleflow-live", "caddm-resnet34"), EAGER)
    for asked in (None, "caddm-resnet34", "caddm-resnet34", "styleflow-live"):
        analysis = await desk(clip, shown="disc.mp4", detector=asked)
        assert analysis.model.name == (asked or "styleflow-live")
    assert made == ["styleflow-live", "caddm-resnet34"]
    with pytest.raises(DetectorUnknown, match="caddm-resnet34"):
        await desk(clip, shown="disc.mp4", detector="fakestormer-c23")
