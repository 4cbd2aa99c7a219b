"""The null that an engine compares with, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

from stream.baseline.book import BaselineBook, Kept
from stream.baseline_mark import BaselineState
from tests.support.baselines import DAYLIGHT, H264, VP8, baseline, table
from tests.support.wire import CARD


def book(kept: Kept | None = None, *, decides: bool = True) -> BaselineBook:
    made = BaselineBook(decides=decides)
    made.put("lobby", kept or Kept(baseline()))
    return made


def test_a_stream_without_a_baseline_is_compared_with_all_known_video() -> None:
    camera = book().camera("yard", CARD)
    assert camera.mark is None
    general = table()
    assert camera.table(general) is general


def test_a_baseline_is_compared_with_and_named() -> None:
    camera = book().camera("lobby", CARD)
    camera.observe(H264, DAYLIGHT)
    mark = camera.mark
    assert mark is not None
    assert (mark.name, mark.state, mark.reason) == ("Lobby", BaselineState.ACTIVE, "")
    assert mark.minutes == 4.0
    general = table()
    assert sum(camera.table(general).reals) < sum(general.reals)
    assert camera.table(general) is camera.table(general)


def test_a_changed_picture_falls_back_with_a_reason_and_comes_back() -> None:
    camera = book().camera("lobby", CARD)
    general = table()
    camera.observe(VP8, DAYLIGHT)
    assert camera.table(general) is general
    assert camera.mark is not None
    assert camera.mark.state is BaselineState.CHANGED
    assert "vp8" in camera.mark.reason
    camera.observe(H264, DAYLIGHT)
    assert camera.mark.state is BaselineState.ACTIVE
    assert camera.table(general) is not general


def test_an_expired_one_is_told_and_not_compared_with() -> None:
    camera = book(Kept(baseline(), expired=True)).camera("lobby", CARD)
    assert camera.mark is not None
    assert (camera.mark.state, camera.mark.reason) == (
        BaselineState.EXPIRED,
        "it held until 2026-12-30",
    )
    general = table()
    assert camera.table(general) is general


def test_one_of_other_weights_or_beside_thresholds_is_told_and_not_used() -> None:
    other = book().camera("lobby", replace(CARD, sha256="00" * 32))
    assert other.mark is not None
    assert other.mark.state is BaselineState.UNUSED
    idle = book(decides=False).camera("lobby", CARD)
    assert idle.mark is not None
    assert (idle.mark.state, "thresholds" in idle.mark.reason) == (BaselineState.UNUSED, True)
    assert book().camera("lobby", replace(CARD, name="other")).mark is None


def test_one_that_is_replaced_or_removed_holds_no_longer() -> None:
    kept = book()
    camera = kept.camera("lobby", CARD)
    assert camera.mark is not None
    kept.put("lobby", Kept(baseline(name="Hall")))
    assert camera.mark.name == "Hall"
    kept.put("lobby", None)
    assert camera.mark is None
    general = table()
    assert camera.table(general) is general


def test_a_table_of_other_times_is_left_alone() -> None:
    camera = book().camera("lobby", CARD)
    short = replace(table(), horizon=replace(table().horizon, trial_s=2.0))
    assert camera.table(short) is short
