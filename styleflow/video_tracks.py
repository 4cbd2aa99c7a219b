"""Choice of the video track to look at: files hold cover art, thumbnails and several videos."""

from __future__ import annotations

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def best_track(container: InputContainer) -> VideoStream | None:
    """Return the video that a player would show, or None when there is no more than a picture.

    Attached pictures and thumbnails are no video, wherever they stand. Of several videos one that
    can be decoded comes first, then one of more than a single frame, then the largest picture,
    then the one that the file calls its default, then the first.
    """
    videos = [video for video in container.streams.video if not video.disposition & _NO_VIDEO]
    return max(videos, key=_worth, default=None)


def _worth(video: VideoStream) -> tuple[bool, bool, int, bool, int]:
    context = video.codec_context
    decodable = context is not None
    area = context.width * context.height if decodable else 0
    default = bool(video.disposition & Disposition.default)
    return decodable, video.frames != 1, area, default, -video.index
