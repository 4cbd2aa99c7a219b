"""Models and maths that turn frames of one face into evidence that it is synthesised.

    import styleflow

    detector = styleflow.load_detector("styleflow-live")
    result = styleflow.analyze("clip.mp4", detector)

What `__all__` lists is public; everything else may change with any release. Importing the package
loads neither torch nor cv2: each public name is resolved when it is first read (PEP 562).

No threads or clocks live here; only `client` opens sockets, and only `weights`, `data` and
`training` touch the disk.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from styleflow.analysis import Analysis, FaceTimeline, Moment
    from styleflow.api import analyze, load_detector
    from styleflow.cards import ModelCard
    from styleflow.detectors.protocol import Detector
    from styleflow.errors import StyleFlowError

    __version__: str

__all__ = [
    "Analysis",
    "Detector",
    "FaceTimeline",
    "ModelCard",
    "Moment",
    "StyleFlowError",
    "__version__",
    "analyze",
    "load_detector",
]

_HOMES = {
    "Analysis": "styleflow.analysis",
    "FaceTimeline": "styleflow.analysis",
    "Moment": "styleflow.analysis",
    "analyze": "styleflow.api",
    "load_detector": "styleflow.api",
    "ModelCard": "styleflow.cards",
    "Detector": "styleflow.detectors.protocol",
    "StyleFlowError": "styleflow.errors",
}


def __getattr__(name: str) -> Any:
    """Return a public name, from the module that it lives in."""
    if name == "__version__":
        from importlib.metadata import version

        return version("styleflow-live")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return what is public."""
    return list(__all__)
