"""Requests for faces in a picture, and who fulfils them: what perception needs of a face finder."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Protocol, cast, runtime_checkable

from styleflow.faces.device_picture import Pixels
from styleflow.faces.face import Face, FaceRequest


class Finder(Protocol):
    """A face finder. It holds nothing of anyone's, so streams may share it."""

    def find(self, image: Pixels, tiles: int = 0, known: Sequence[Face] = ()) -> tuple[Face, ...]:
        """Return the faces in a picture, most confident first."""
        ...

    def follow(self, image: Pixels, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Return where the faces of the previous frame are now."""
        ...


@runtime_checkable
class BatchFinder(Finder, Protocol):
    """A finder for which many requests at once are cheaper; `FaceFinder` is one."""

    def find_all(self, requests: Sequence[FaceRequest]) -> list[tuple[Face, ...]]:
        """Return the faces that each request asks for, as `find` or `follow` would."""
        ...


Searching = Generator[FaceRequest, tuple[Face, ...], tuple[Face, ...]]
"""A search on its way: yields requests, is sent the faces of each, returns what was found."""


def find_all(finder: Finder, requests: Sequence[FaceRequest]) -> list[tuple[Face, ...]]:
    """Return the faces that each request asks for; none depends on its neighbours."""
    if _takes_batches(type(finder)):
        return cast(BatchFinder, finder).find_all(requests)
    return [
        finder.find(request.image, request.tiles, request.known)
        if request.detect
        else finder.follow(request.image, request.known)
        for request in requests
    ]


@lru_cache(maxsize=64)
def _takes_batches(kind: type[Finder]) -> bool:
    """Return whether finders of a class are batch finders; Python takes long to tell."""
    return issubclass(kind, BatchFinder)
