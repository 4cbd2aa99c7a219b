"""An incident's signed bundle and its report, and the key that signs: `stream.evidence`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stream.clock import Clock
from stream.evidence import bundle, contents, report
from stream.evidence.signing import SigningKey
from stream.publish.client_messages import IncidentId
from web.problem_responses import documented_problems
from web.security.auth import Scope
from web.security.scopes import ScopeCheck
from web.store_reads import StoreReads

_CHUNK = 1 << 16
_PRIVATE = {"Cache-Control": "private, no-store"}
_PAGE = _PRIVATE | {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
}


@dataclass(frozen=True, slots=True)
class BundleSource:
    """What bundles and reports need besides the store.

    Attributes:
        folder: of evidence.
        key: file of the key that signs; made at first use.
        configuration: of the analyzer, without secrets.
        versions: of the program (`styleflow-live`) and of what it runs on.
        enter: score from which a face may become suspect.
        cards: returns the whole cards of the models that are here; waits for the disk.
    """

    folder: Path
    key: Path
    configuration: Mapping[str, Any]
    versions: Mapping[str, str]
    enter: float
    cards: Callable[[], Sequence[Mapping[str, Any]]] = tuple


class KeyView(BaseModel):
    """The public key that belongs to the signatures of this analyzer's bundles."""

    public_key: str = Field(description="Ed25519, 32 bytes in hexadecimal")
    fingerprint: str = Field(description="SHA-256 of it, in hexadecimal; compare this one")


def routes(source: BundleSource, reads: StoreReads, clock: Clock, scopes: ScopeCheck) -> APIRouter:
    """Return the routes.

    Args:
        source: what bundles are made of.
        reads: the store; a bundle takes one of its places while it is made.
        clock: says when one is made.
        scopes: checks that the caller may read.
    """
    router = APIRouter(
        prefix="/api/v1", tags=["incidents"], dependencies=[Depends(scopes.require(Scope.READ))]
    )
    problems = documented_problems(401, 404, 422, 503)
    program = source.versions["styleflow-live"]

    def bundled(connection: Connection, incident: str) -> BinaryIO:
        told = contents.read(connection, incident, source.folder)
        made_of = contents.contents(told, source.configuration, source.versions, source.cards())
        with ExitStack() as undo:  # the file has no name: it is gone when nobody reads it any more
            file = undo.enter_context(tempfile.TemporaryFile())
            bundle.write(file, made_of, SigningKey.at(source.key), clock.utc(), program)
            undo.pop_all()
        return file

    def reported(connection: Connection, incident: str) -> str:
        told = contents.read(connection, incident, source.folder)
        signer = SigningKey.at(source.key).fingerprint
        return report.render(contents.facts(told, source.enter, program, signer, clock.utc()))

    @router.get(
        "/incidents/{id}/evidence.zip",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/zip": {}}}, **problems},
    )
    async def get_incident_bundle(id: IncidentId) -> StreamingResponse:
        """Return everything that is known of an incident, signed."""
        file = await reads.read(lambda connection: bundled(connection, id))
        size = file.tell()
        file.seek(0)
        headers = _PRIVATE | {
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="incident-{id}.zip"',
        }
        return StreamingResponse(_chunks(file), media_type="application/zip", headers=headers)

    @router.get(
        "/incidents/{id}/report", response_class=HTMLResponse, responses={200: {}, **problems}
    )
    async def get_incident_report(id: IncidentId) -> HTMLResponse:
        """Return one page for people: picture, timeline, facts, and limits of the model."""
        page = await reads.read(lambda connection: reported(connection, id))
        return HTMLResponse(page, headers=_PAGE)

    @router.get("/evidence/key", responses=documented_problems(401))
    def get_evidence_key() -> KeyView:
        """Return the public key that belongs to the signatures of bundles."""
        key = SigningKey.at(source.key)
        return KeyView(public_key=key.public.hex(), fingerprint=key.fingerprint)

    return router


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk
