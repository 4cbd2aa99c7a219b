"""One detector's view of a stream: its frames on its own cadence, its tracks, its crops."""

from __future__ import annotations

from collections.abc import Sequence

from stream.events import EndedTrack, Frame, Perceived
from styleflow.clips import ClipSpec
from styleflow.faces.align import Anchoring
from styleflow.faces.crops.framing import framer
from styleflow.faces.face import AlignedFace, TrackedFace
from styleflow.faces.settings import AnchorSettings


class DetectorView:
    """The frames, tracks and crops of a stream that one detector's clip calls for.

    Args:
        clip: how its crops are cut out.
        stride: slots of the stream's grid from one of its frames to the next.
        anchor: when a track's crop is framed anew.
    """

    def __init__(self, clip: ClipSpec, stride: int, anchor: AnchorSettings) -> None:
        self._framer = framer(clip, anchor)
        self._stride = stride
        self._anchorings: dict[int, Anchoring] = {}
        self._place: tuple[int, int] | None = None  # epoch and slot of its newest frame
        self._started: tuple[int, ...] = ()
        self._ended: tuple[EndedTrack, ...] = ()
        self._overrun = 0

    def wants(self, frame: Frame) -> bool:
        """Say whether the clip's next frame is due, and this is it."""
        return (frame.epoch, frame.slot // self._stride) != self._place

    def note(self, started: Sequence[int], ended: Sequence[EndedTrack], overrun: int) -> None:
        """Keep what happened until the next frame of this clip is due."""
        self.forget(ended)
        gone = {each.track for each in ended}
        # A track that came and went between two frames of this clip was never there for it.
        unseen = gone.intersection((*self._started, *started))
        self._started = tuple(t for t in (*self._started, *started) if t not in unseen)
        self._ended += tuple(each for each in ended if each.track not in unseen)
        self._overrun += overrun

    def see(
        self, frame: Frame, tracked: Sequence[TrackedFace], waiting: int = 0
    ) -> Perceived | None:
        """Return what the clip sees of a frame; None when its next frame is not due yet.

        Args:
            frame: the newest frame.
            tracked: the faces in it that are followed.
            waiting: how many others are in it.
        """
        if not self.wants(frame):
            return None
        place = self._place = (frame.epoch, frame.slot // self._stride)
        overrun, self._overrun = divmod(self._overrun, self._stride)
        seen = Perceived(
            stream=frame.stream,
            epoch=frame.epoch,
            slot=place[1],
            at=frame.at,
            arrived=frame.arrived,
            capture=frame.capture,
            faces=self._align(frame, tracked),
            started=self._started,
            ended=self._ended,
            overrun=overrun,
            waiting=waiting,
        )
        self._started, self._ended = (), ()
        return seen

    def rescale(self, x: float, y: float) -> None:
        """Map what is remembered onto pictures `x` times as wide and `y` times as high."""
        self._anchorings = {n: a.rescaled(x, y) for n, a in self._anchorings.items()}

    def forget(self, ended: Sequence[EndedTrack]) -> None:
        """Drop what is remembered of tracks that have ended."""
        for each in ended:
            self._anchorings.pop(each.track, None)

    @property
    def remembered(self) -> int:
        """Tracks whose crop is anchored where an earlier frame put it."""
        return len(self._anchorings)

    def _align(self, frame: Frame, tracked: Sequence[TrackedFace]) -> tuple[AlignedFace, ...]:
        aligned = []
        for face in tracked:
            before = self._anchorings.get(face.track)
            done = self._framer.align(frame.image, face, frame.at, before)
            if done is not None:
                crop, after = done
                if after is not None:
                    self._anchorings[face.track] = after
                aligned.append(crop)
        return tuple(aligned)
