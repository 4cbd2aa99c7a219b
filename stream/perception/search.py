"""Search for faces in one stream's pictures: when to detect, and when to follow what is known.

Detection in the whole picture is expensive, laying the mesh over a known face is cheap. So the
detector runs at every n-th frame and at once when a face is missing; in between, the faces of the
previous frame are followed. Now and then, and when a face has gone, the picture is searched in
tiles for small faces.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.perception.requests import Searching
from stream.perception.settings import PerceptionSettings
from stream.perception.turns import Turns
from styleflow.faces.device_picture import Pixels
from styleflow.faces.face import Face, FaceRequest


class FaceSearch:
    """The search of one stream, from frame to frame.

    Args:
        settings: how often and how closely to search.

    Attributes:
        known: the faces of the newest frame that are followed.
        relieved: faces of the newest search that were followed and whose turn is over.
        factor: how many times as rare detections are under overload.
        detections: detections in the whole picture so far.
    """

    def __init__(self, settings: PerceptionSettings) -> None:
        self.factor = 1
        self.detections = 0
        self._settings = settings
        seats = min(settings.max_faces, settings.tracker.max_tracks)
        self._turns = Turns(seats, settings.turn_s)
        self.forget()

    @property
    def waiting(self) -> int:
        """Faces in the newest picture that nobody looks at, because too many others are there."""
        return self._turns.waiting

    def rescale(self, x: float, y: float) -> None:
        """Search the next frame closely: pictures are `x` times as wide, `y` times as high."""
        self._turns.rescale(x, y)
        self._start_anew()

    def forget(self) -> None:
        """Know nothing of any face: the next frame is searched closely."""
        self._turns.forget()
        self._start_anew()

    def _start_anew(self) -> None:
        self.known: tuple[Face, ...] = ()
        self.relieved: tuple[Face, ...] = ()
        self._since_detection: int | None = None  # None: no picture was ever searched
        self._since_tiles = 0
        self._missed = False
        self._lost_sight = False  # a face has gone, and no close search has looked for it

    @property
    def may_redetect(self) -> bool:
        """Whether the next frame may be searched once more than is due."""
        since = self._since_detection
        return since is not None and since + 1 >= self._settings.doubt_every * self.factor

    def search(self, image: Pixels, at: float, *, damaged: bool = False) -> Searching:
        """Return the faces in the next frame's picture, followed or detected as it is due.

        Args:
            image: the picture.
            at: its media time in seconds.
            damaged: it may be broken, so nobody's turn ends with it.
        """
        self._since_tiles += 1
        self.relieved = ()
        if self._may_follow():
            # Whoever has nothing to follow need not ask.
            followed = (yield FaceRequest(image, self.known)) if self.known else ()
            if len(followed) == len(self.known):
                self._since_detection = (self._since_detection or 0) + 1
                return self._large(followed)
        return (yield from self.detect(image, at, self.known, damaged=damaged))

    def detect(
        self, image: Pixels, at: float, known: Sequence[Face], *, damaged: bool = False
    ) -> Searching:
        """Return the faces in a whole picture, searched with what is known of the previous one."""
        tiles = 0
        first = self._since_detection is None
        # If this frame was searched closely a moment ago, a re-detection must not see less.
        closely = not self._since_tiles
        if first or closely or self._since_tiles >= self._tiles_due:
            tiles = self._settings.tiles
            self._since_tiles = 0
            self._lost_sight = False
        faces = yield FaceRequest(image, tuple(known), detect=True, tiles=tiles)
        # A face that was in view and is not found is searched for again soon, and closely.
        self._missed = len(faces) < len(known)
        self._lost_sight |= self._missed and not tiles
        self._since_detection = 0
        self.detections += 1
        chosen, over = self._turns.choose(at, self._large(faces), damaged=damaged)
        self.relieved += over
        return chosen

    def _may_follow(self) -> bool:
        """Say whether the next frame can do without a detection in the whole picture."""
        since = self._since_detection
        if since is None:
            return False
        due = self._settings.detect_every * self.factor
        if not self.known or self._missed:
            due = min(due, self._settings.retry_every)
        return since + 1 < due

    @property
    def _tiles_due(self) -> int:
        """Frames from one close search to the next."""
        often, seldom = self._settings.detect_every * self.factor, self._settings.tiles_every
        return min(often, seldom) if self._lost_sight else seldom

    def _large(self, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Return the faces that are large enough, the largest first."""
        large = [face for face in faces if face.box.side >= self._settings.min_face_px]
        large.sort(key=lambda face: -face.box.area)
        return tuple(large)
