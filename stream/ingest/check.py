"""Check of a source before anybody opens it; without av or cv2."""

from __future__ import annotations

from stream.errors import SourceUrlInvalid
from stream.ingest.demo_settings import DemoSettings
from stream.ingest.source import SourceSettings


def check(settings: SourceSettings, *, served: bool = True) -> None:
    """Find what is wrong with a source before anybody opens it.

    Args:
        settings: the source.
        served: peers can come to it; without a server nobody does.

    Raises:
        SourceUrlInvalid: the URL asks for something that its kind of source does not have.
    """
    if settings.url.is_call and not served:
        raise SourceUrlInvalid(settings.url.redacted, "is waited for by a server: styleflow serve")
    if settings.url.is_demo:
        DemoSettings.parse(settings.url)
