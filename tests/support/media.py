"""Small test videos: a moving synthetic picture, encoded the way a camera would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from stream.clock import ManualClock
from stream.errors import SourceError
from stream.ingest.decode import Decoder
from stream.ingest.open import open_source
from stream.ingest.source import Pace, SourceSettings, SourceUrl

Picture = npt.NDArray[np.uint8]

ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp8": "libvpx"}


def moving_pictures(
    count: int, width: int = 160, height: int = 120, seed: int = 0
) -> list[Picture]:
    """Return RGB pictures in which a bright disc travels over a fixed textured background."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 160, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    background = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
    y, x = np.mgrid[:height, :width]
    pictures = []
    for i in range(count):
        centre_x = width * (0.5 + 0.35 * np.cos(i / 9))
        centre_y = height * (0.5 + 0.35 * np.sin(i / 7))
        disc = (x - centre_x) ** 2 + (y - centre_y) ** 2 < (height / 6) ** 2
        picture = background.copy()
        picture[disc] = (250, 220, 40)
        pictures.append(picture)
    return pictures


def encode(
    path: Path,
    pictures: Iterable[Picture],
    codec: str = "h264",
    fps: int = 25,
    gop: int = 25,
    *,
    b_frames: int = 0,
    pix_fmt: str = "yuv420p",
    stamps: Iterable[int] | None = None,
    time_base: Fraction | None = None,
) -> Path:
    """Write pictures to a video file, with a keyframe every `gop` pictures, and return its path.

    Args:
        path: its suffix chooses the container.
        pictures: RGB, `(H, W, 3)` uint8, all of one even size.
        codec: a key of ENCODERS.
        fps: declared frame rate, and the real one when `stamps` is None.
        gop: pictures from one keyframe to the next.
        b_frames: pictures that refer to later ones.
        pix_fmt: pixel format of the encoder.
        stamps: PTS of each picture in `time_base` units, for uneven rates and gaps.
        time_base: seconds per unit; 1/fps by default.
    """
    base = time_base or Fraction(1, fps)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(ENCODERS[codec], rate=fps, options=_options(codec, b_frames))
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = base
        stream.codec_context.gop_size = gop
        for pts, picture in zip(stamps or _counting(), pictures, strict=False):
            if not stream.codec_context.is_open:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = pts
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _options(codec: str, b_frames: int) -> dict[str, str]:
    if codec == "h264":
        tune = {} if b_frames else {"tune": "zerolatency"}
        return {"preset": "ultrafast", "bf": str(b_frames), "x264-params": "scenecut=0", **tune}
    if codec == "hevc":
        quiet = "scenecut=0:log-level=none:pools=1:frame-threads=1"
        return {"preset": "ultrafast", "x265-params": f"{quiet}:bframes={b_frames}"}
    return {}


def _counting() -> Iterator[int]:
    n = 0
    while True:
        yield n
        n += 1


REAL_CLIP = Path(__file__).resolve().parents[3] / "shared/clips/dev/real/dv_r001.mp4"


def face_pictures(count: int) -> list[Picture]:
    """Return decoded pictures of a face: a real clip's, or the demo's."""
    url = str(REAL_CLIP) if REAL_CLIP.exists() else "demo://authentic?seconds=8&size=320x240"
    source = open_source(
        SourceSettings(SourceUrl.parse(url), pace=Pace.FAST), ManualClock(), lambda s: False
    )
    pictures: list[Picture] = []
    decoder: Decoder | None = None
    try:
        for packet in source.packets():
            decoder = decoder or Decoder(packet.format)
            pictures += [picture.rgb() for picture in decoder.decode(packet)]
            if len(pictures) >= count:
                break
    except SourceError:
        assert pictures
    finally:
        source.close()
    return pictures
