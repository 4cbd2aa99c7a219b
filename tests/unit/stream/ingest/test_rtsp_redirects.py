"""Where a camera's redirect may lead, and what it is told there."""

import pytest

from stream.errors import SourceError
from stream.ingest.rtsp_redirects import follow
from stream.ingest.source import SourceUrl

CAMERA = SourceUrl.parse("rtsp://user:s3cret@192.0.2.7/live?channel=1")


def led_to(location: str, url: SourceUrl = CAMERA) -> str:
    return follow(url, location).reveal()


def test_the_same_host_is_told_the_credentials() -> None:
    assert (
        led_to("rtsp://192.0.2.7:8554/other?x=1") == "rtsp://user:s3cret@192.0.2.7:8554/other?x=1"
    )
    assert led_to("/other") == "rtsp://user:s3cret@192.0.2.7/other"


@pytest.mark.parametrize("location", ["rtsp://192.0.2.8/live", "rtsp://evil:words@192.0.2.8/live"])
def test_another_host_is_not_told_the_password(location: str) -> None:
    assert led_to(location) == "rtsp://192.0.2.8/live"


def test_a_way_that_can_be_overheard_is_not_told_the_password() -> None:
    url = SourceUrl.parse("rtsps://user:s3cret@192.0.2.7/live")
    assert led_to("rtsp://192.0.2.7/live", url) == "rtsp://192.0.2.7/live"


@pytest.mark.parametrize(
    "location",
    [
        "http://192.0.2.8/", "file:///etc/passwd", "rtsp://", "rtsp://[::1/x",
        "rtsp://169.254.169.254/latest/meta-data", "rtsp://224.0.0.1/x", "rtsp://0.0.0.0/x",
        "rtsp://[::ffff:169.254.169.254]/x", "rtsp://192.0.2.8:99999/",
    ],
)  # fmt: skip
def test_a_redirect_to_what_is_no_camera_is_not_followed(location: str) -> None:
    with pytest.raises(SourceError, match="not followed") as refused:
        led_to(location)
    assert "s3cret" not in str(refused.value)
