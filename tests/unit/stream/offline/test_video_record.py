"""Records of a video: bounded, and made of evidence alone."""

from __future__ import annotations

from stream.events import AbstainReason, Score, TrackEnd
from stream.offline.video_record import MAX_SCORES_PER_TRACK, TrackRecord
from tests.support.wire import score


def test_long_tracks_keep_a_bounded_number_of_scores() -> None:
    track = TrackRecord(0.0, 0.0)
    for _ in range(3 * MAX_SCORES_PER_TRACK):
        track.add(score())
    assert len(track.scores) <= MAX_SCORES_PER_TRACK
    assert track.summary.weight == 3 * MAX_SCORES_PER_TRACK


def test_scores_that_abstain_do_not_count() -> None:
    track = TrackRecord(0.0, 0.0)
    track.add(score(reasons=(AbstainReason.BLURRED,), logit=5.0))
    assert track.summary.logit is None
    track.add(score(reasons=(AbstainReason.UNTRAINED,), logit=1.0))
    track.add(score(reasons=(), logit=2.0))
    track.add(score(reasons=(AbstainReason.UNDECIDED,), logit=1.5))
    assert track.summary.logit == 1.5
    assert track.counted == 3
    assert track.end_reason is not TrackEnd.LOST
    assert isinstance(track.scores[0], Score)
