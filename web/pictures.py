"""`GET /api/v1/streams/{id}/picture.jpg`: the newest picture, with who is in it in its headers.

The boxes and scores in `Picture-Faces` are those of this very frame, so a page that draws them over
it never shows a box beside its face. Asking is what keeps pictures coming: the analyzer makes them
only while somebody looks. `If-None-Match` with the last `ETag` costs next to nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel

from stream.clock import Clock
from stream.events import AbstainReason
from stream.pictures import ShownFace, Still
from stream.publish.messages import FaceBox, Share, State, state_of
from stream.streams import StreamControl
from web.access import Guardian
from web.answers import responses
from web.auth import Scope
from web.streams import StreamId


class PictureFace(BaseModel):
    """One face in a picture; without state when this frame was not rated."""

    track: int
    box: FaceBox
    p: Share = None
    lo: Share = None
    hi: Share = None
    state: State | None = None
    reasons: tuple[AbstainReason, ...] = ()


class PictureFaces(BaseModel):
    """Who is in a picture."""

    faces: tuple[PictureFace, ...]


def routes(control: StreamControl, guardian: Guardian, clock: Clock) -> APIRouter:
    """Return the route.

    Args:
        control: has the pictures.
        guardian: decides who may look.
        clock: says how old a picture is.
    """
    router = APIRouter(prefix="/api/v1/streams", tags=["streams"])

    @router.get(
        "/{id}/picture.jpg",
        dependencies=[Depends(guardian.needs(Scope.READ))],
        response_class=Response,
        responses={
            200: {
                "content": {"image/jpeg": {}},
                "description": "The picture. `Picture-Epoch`, `Picture-Slot` and `Picture-At` say "
                "which frame it is, `Picture-Size` the source's pixels, `Picture-Captured` when "
                "it arrived, and `Picture-Faces` who is in it.",
            },
            204: {"description": "None yet; ask again soon"},
            304: {"description": "Still the one that you have"},
            **responses(401, 404),
        },
    )
    async def picture(
        id: StreamId,
        width: Annotated[int, Query(ge=16, le=4096)] = 640,
        if_none_match: Annotated[str | None, Header(max_length=256)] = None,
    ) -> Response:
        """Return the newest picture of a stream, about as wide as wanted."""
        still = await control.picture(id, width)
        if still is None:
            return Response(status_code=204)
        tag = f'"{still.tag}"'
        if if_none_match is not None and tag in if_none_match:
            return Response(status_code=304, headers={"etag": tag})
        return Response(still.jpeg, media_type="image/jpeg", headers=_headers(still, clock))

    return router


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
    box, score = face.box, face.score
    shown = FaceBox(x0=round(box.x0), y0=round(box.y0), x1=round(box.x1), y1=round(box.y1))
    if score is None:
        return PictureFace(track=face.track, box=shown)
    return PictureFace(
        track=face.track,
        box=shown,
        p=score.score,
        lo=score.low,
        hi=score.high,
        state=state_of(score),
        reasons=score.reasons,
    )
