"""Conditions under which a clip reaches the analyzer, one degradation at a time.

After DeeperForensics-1.0 (Jiang et al., CVPR 2020), which grades compression, resolution, noise
and blur; loss and low frame rates are added because live video has them. Each condition writes a
new video file, and the engine reads that as it reads any other, so what is measured is the whole
path. Pictures flow through one at a time, whatever the length of the clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor
from pathlib import Path

import av
import numpy as np

from styleflow.data.degradations.video import MACROBLOCK_PX, Degradation
from styleflow.data.video import stream_pictures
from styleflow.evaluation.record import PLAIN
from styleflow.faces.face import Image

GOOD_CRF = 18
"""Quality at which a degraded clip is written when compression is not what is tried."""

_TIME_BASE = Fraction(1, 90_000)
_GOP = 50  # pictures from one keyframe to the next, as in the clips of this project
_CHUNK = 16  # pictures that are degraded together; each chunk has noise of its own


@dataclass(frozen=True, slots=True)
class Condition:
    """One way in which a clip arrives.

    Attributes:
        name: what reports call it.
        degradation: of the pictures, and how hard they are compressed.
        fps: pictures a second that are kept; None keeps all.
        frame_loss: share of pictures that are never encoded, as by a busy sender.
        packet_loss: share of encoded pictures that never arrive; what refers to them is damaged.
    """

    name: str
    degradation: Degradation = field(default_factory=lambda: Degradation(crf=GOOD_CRF))
    fps: float | None = None
    frame_loss: float = 0.0
    packet_loss: float = 0.0

    def write(self, video: Path, target: Path, seed: int) -> None:
        """Write a degraded copy of a video.

        Args:
            video: the clip as it is.
            target: the MP4 file to write.
            seed: of noise and losses.

        Raises:
            VideoUnusable: the video cannot be read.
        """
        rng = np.random.default_rng(seed)
        kept = (
            (at, picture)
            for at, picture in _at_rate(read_pictures(video), self.fps)
            if at == 0.0 or rng.random() >= self.frame_loss
        )
        self._encode(target, self._degraded(kept, seed), np.random.default_rng([seed, 1]))

    def _degraded(
        self, pictures: Iterable[tuple[float, Image]], seed: int
    ) -> Iterator[tuple[float, Image]]:
        degradation = replace(self.degradation, crf=None)
        chunk: list[tuple[float, Image]] = []

        def done() -> Iterator[tuple[float, Image]]:
            nonlocal seed
            if chunk:
                seed += 1
                degraded = replace(degradation, seed=seed).apply(np.stack([p for _, p in chunk]))
                yield from zip((at for at, _ in chunk), degraded, strict=True)
                chunk.clear()

        for each in pictures:
            chunk.append(each)
            if len(chunk) == _CHUNK:
                yield from done()
        yield from done()

    def _encode(
        self, target: Path, pictures: Iterable[tuple[float, Image]], rng: np.random.Generator
    ) -> None:
        with av.open(str(target), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = _TIME_BASE
            stream.thread_count = 1
            crf = GOOD_CRF if self.degradation.crf is None else self.degradation.crf
            # Without macroblock tree, whose bytes differ from run to run: see `through_h264`. No
            # picture refers to a later one, as in a call, so that each loss is one picture's.
            stream.options = {
                "crf": str(crf),
                "preset": self.degradation.preset,
                "g": str(_GOP),
                "bf": "0",
                "x264-params": "mbtree=0",
            }
            for at, picture in pictures:
                if not stream.codec_context.is_open:
                    stream.height, stream.width = picture.shape[:2]
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = round(at / _TIME_BASE), _TIME_BASE
                for packet in stream.encode(frame):
                    _deliver(container, packet, self.packet_loss, rng)
            for packet in stream.encode(None):
                _deliver(container, packet, self.packet_loss, rng)


GRID: tuple[Condition, ...] = (
    *(Condition(f"H.264 crf {crf}", Degradation(crf=crf)) for crf in (23, 28, 35, 40)),
    Condition("half size", Degradation(scale=0.5, crf=GOOD_CRF)),
    Condition("quarter size", Degradation(scale=0.25, crf=GOOD_CRF)),
    Condition("noise", Degradation(noise=8.0, crf=GOOD_CRF)),
    Condition("blur", Degradation(blur=2.0, crf=GOOD_CRF)),
    Condition("10 % of frames lost", frame_loss=0.1),
    Condition("1 % of packets lost", Degradation(crf=23), packet_loss=0.01),
    Condition("12 frames a second", fps=12.0),
    Condition("8 frames a second", fps=8.0),
)
"""The robustness grid."""

NAMES = (PLAIN, *(condition.name for condition in GRID))


def read_pictures(video: Path) -> Iterator[tuple[float, Image]]:
    """Yield the pictures of a video and their media seconds, the first at 0.

    Pictures are cut to whole macroblocks at the right and lower edge: what a codec would pad is
    not always the same twice.

    Raises:
        VideoUnusable: it cannot be opened or decoded, or holds no picture.
    """
    for at, picture in stream_pictures(video):
        height, width = (side // MACROBLOCK_PX * MACROBLOCK_PX for side in picture.shape[:2])
        yield at, picture[:height, :width]


def _at_rate(
    pictures: Iterable[tuple[float, Image]], fps: float | None
) -> Iterator[tuple[float, Image]]:
    """Keep the first picture of each interval of `1 / fps` seconds."""
    newest = -1
    for at, picture in pictures:
        if fps is None:
            yield at, picture
            continue
        slot = floor(at * fps + 1e-6)
        if slot > newest:
            newest = slot
            yield at, picture


def _deliver(
    container: av.container.OutputContainer,
    packet: av.Packet[av.VideoStream],
    loss: float,
    rng: np.random.Generator,
) -> None:
    """Write a packet, or lose it; the first one is always written, or there would be no file."""
    lost = rng.random() < loss
    if packet.pts == 0 or not lost:
        container.mux(packet)
