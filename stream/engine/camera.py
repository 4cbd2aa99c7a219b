"""Cameras as an engine knows them: conditions of ratings go in, a null of its own may come out.

An engine has no baseline of its own; whoever keeps one watches through this protocol.
"""

from __future__ import annotations

from typing import Protocol

from stream.baseline_mark import BaselineMark
from stream.events import CaptureConditions
from styleflow.decisions import DecisionTable
from styleflow.faces.face import FaceQuality


class Camera(Protocol):
    """What is known of one stream's own known-real video. Belongs to the engine's thread."""

    def observe(self, capture: CaptureConditions, quality: FaceQuality) -> None:
        """Take note of the conditions behind one rating."""
        ...

    def table(self, general: DecisionTable) -> DecisionTable:
        """Return what the next trial is compared with: this camera's null, or the general one."""
        ...

    @property
    def mark(self) -> BaselineMark | None:
        """What is told of the baseline; None when there is none."""
        ...


class UnknownCamera:
    """A camera of which no known-real video is kept."""

    mark: BaselineMark | None = None

    def observe(self, capture: CaptureConditions, quality: FaceQuality) -> None:
        """Take note of nothing."""

    def table(self, general: DecisionTable) -> DecisionTable:
        """Return the general null."""
        return general
