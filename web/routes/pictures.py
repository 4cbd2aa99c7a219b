"""`/api/v1/streams/{id}/picture.jpg`: the newest picture, with who is in it in its headers.

The boxes and scores in `Picture-Faces` are those of this very frame, so a page that draws them over
it never shows a box beside its face. Asking is what keeps pictures coming: the analyzer makes them
only while somebody looks. `If-None-Match` with the last `ETag` costs next to nothing.

With `overlay=DETECTOR` the picture is a frame that this detector has just rated and explained, and
`Picture-Overlay` holds the explanation: regions of the crop that it saw, and where that crop lies.
`/overlays` says which detectors can explain.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, Field

from stream.analyzer.streams import StreamControl
from stream.clock import Clock
from stream.events import AbstainReason
from stream.explain.stills import ExplainedFace, Overlay, ShownFace, Still
from stream.problems import POINTS_AT_WORDS
from stream.publish.encode import state_of
from stream.publish.schema import Share, State
from styleflow.overlay import PointsAt
from web.problem_responses import documented_problems
from web.routes.streams import StreamId
from web.security.auth import Scope
from web.security.scopes import ScopeCheck


class PictureScore(BaseModel):
    """Score of one face by one detector, up to this very frame."""

    detector: str
    p: Share
    lo: Share
    hi: Share
    state: State
    reasons: tuple[AbstainReason, ...]


class PictureBox(BaseModel):
    """Box of a face, in pixels of `Picture-Size`."""

    x0: float
    y0: float
    x1: float
    y1: float


class PictureFace(BaseModel):
    """One face in a picture; without scores when this frame was not rated."""

    track: int
    box: PictureBox
    scores: tuple[PictureScore, ...]


class PictureFaces(BaseModel):
    """Faces in a picture."""

    faces: tuple[PictureFace, ...]


PER_MILLE = 1000

Corner = tuple[float, float]


class FaceExplanation(BaseModel):
    """Explanation of one face: the regions that stand out to a detector."""

    track: int
    crop: tuple[Corner, Corner, Corner, Corner] = Field(
        description="corners of the crop that the detector saw, clockwise from the crop's top "
        "left, in pixels of `Picture-Size`"
    )
    patches: tuple[tuple[int, int, int, int, int], ...] = Field(
        description="left, top, right, bottom and strength of each region of the crop that stands "
        "out, in thousandths of the crop's side; strengths compare within one detector and kind"
    )
    kinds: tuple[str, ...] = Field(
        description="which map each region is part of: `spatial` (this frame), `temporal` (what "
        "changes from frame to frame), or empty where the detector has one kind only"
    )


class PictureOverlay(BaseModel):
    """Explanation of a picture by one detector."""

    detector: str
    points_at: PointsAt | None
    explained: bool = Field(
        description="false when the detector has not rated this frame: its explanation is not known"
    )
    left_out: int = Field(description="weaker regions beyond the most that are sent")
    faces: tuple[FaceExplanation, ...]


class OverlayView(BaseModel):
    """Whether one detector can explain its scores, and by what."""

    detector: str
    points_at: PointsAt | None
    summary: str = Field(description="what its regions mean, or why there are none, for people")


class OverlayList(BaseModel):
    """Every detector of a stream, the first one first."""

    overlays: tuple[OverlayView, ...]


def routes(control: StreamControl, scopes: ScopeCheck, clock: Clock) -> APIRouter:
    """Return the route.

    Args:
        control: has the pictures.
        scopes: checks that the caller may read.
        clock: says how old a picture is.
    """
    router = APIRouter(prefix="/api/v1/streams", tags=["streams"])

    @router.get(
        "/{id}/picture.jpg",
        dependencies=[Depends(scopes.require(Scope.READ))],
        response_class=Response,
        responses={
            200: {
                "content": {"image/jpeg": {}},
                "description": "The picture. `Picture-Epoch`, `Picture-Slot` and `Picture-At` say "
                "which frame it is, `Picture-Size` the source's pixels, `Picture-Captured` when "
                "it arrived, and `Picture-Faces` who is in it. With `overlay`, `Picture-Overlay` "
                "holds that detector's explanation of it (a JSON object).",
            },
            204: {"description": "None yet; ask again soon"},
            304: {"description": "Still the one that you have"},
            **documented_problems(401, 404, 422, 429),
        },
    )
    async def get_picture(
        id: StreamId,
        width: Annotated[int, Query(ge=16, le=4096)] = 640,
        overlay: Annotated[
            str | None,
            Query(
                min_length=1,
                max_length=64,
                description="a detector, to see its explanation; explaining costs it up to "
                "another rating, so it is rationed",
            ),
        ] = None,
        drawn: Annotated[bool, Query(description="paint the overlay into the picture")] = False,  # noqa: FBT002 - a query
        if_none_match: Annotated[str | None, Header(max_length=256)] = None,
    ) -> Response:
        """Return the newest picture of a stream, about as wide as wanted."""
        still = await control.picture(id, width, overlay, drawn=drawn and overlay is not None)
        if still is None:
            return Response(status_code=204)
        tag = f'"{still.tag}"'
        if if_none_match is not None and tag in if_none_match:
            return Response(status_code=304, headers={"etag": tag})
        headers = _headers(still, clock)
        if still.overlay is not None:
            points_at = (await control.pointers(id))[still.overlay.detector]
            headers["picture-overlay"] = overlay_view(still.overlay, points_at).model_dump_json()
        return Response(still.jpeg, media_type="image/jpeg", headers=headers)

    @router.get(
        "/{id}/overlays",
        dependencies=[Depends(scopes.require(Scope.READ))],
        responses=documented_problems(401, 404),
    )
    async def list_overlays(id: StreamId) -> OverlayList:
        """Say which detectors of a stream can explain their scores."""
        return OverlayList(
            overlays=tuple(
                OverlayView(
                    detector=detector, points_at=points_at, summary=POINTS_AT_WORDS[points_at]
                )
                for detector, points_at in (await control.pointers(id)).items()
            )
        )

    return router


def overlay_view(overlay: Overlay, points_at: PointsAt | None) -> PictureOverlay:
    """Return an explanation as it is told."""
    return PictureOverlay(
        detector=overlay.detector,
        points_at=points_at,
        explained=overlay.explained,
        left_out=overlay.left_out,
        faces=tuple(_explanation(face) for face in overlay.faces),
    )


def _explanation(face: ExplainedFace) -> FaceExplanation:
    corners = [(round(float(x), 1), round(float(y), 1)) for x, y in face.corners]
    top_left, top_right, bottom_right, bottom_left = corners
    return FaceExplanation(
        track=face.track,
        crop=(top_left, top_right, bottom_right, bottom_left),
        patches=tuple(
            (
                round(patch.x0 * PER_MILLE),
                round(patch.y0 * PER_MILLE),
                round(patch.x1 * PER_MILLE),
                round(patch.y1 * PER_MILLE),
                round(patch.strength * PER_MILLE),
            )
            for patch in face.regions
        ),
        kinds=tuple(patch.kind for patch in face.regions),
    )


def _headers(still: Still, clock: Clock) -> dict[str, str]:
    age = max(clock.monotonic() - still.arrived, 0.0)
    captured = clock.utc() - timedelta(seconds=age)
    faces = PictureFaces(faces=tuple(_face(face) for face in still.faces))
    return {
        "etag": f'"{still.tag}"',
        "picture-epoch": str(still.epoch),
        "picture-slot": str(still.slot),
        "picture-at": f"{still.at:.3f}",
        "picture-size": f"{still.width}x{still.height}",
        "picture-captured": captured.isoformat(timespec="milliseconds"),
        "picture-faces": faces.model_dump_json(),
    }


def _face(face: ShownFace) -> PictureFace:
    box = face.box
    return PictureFace(
        track=face.track,
        box=PictureBox(x0=round(box.x0), y0=round(box.y0), x1=round(box.x1), y1=round(box.y1)),
        scores=tuple(
            PictureScore(
                detector=score.detector,
                p=score.score,
                lo=score.low,
                hi=score.high,
                state=state_of(score),
                reasons=score.reasons,
            )
            for score in face.scores
        ),
    )
