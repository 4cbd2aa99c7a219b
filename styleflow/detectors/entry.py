"""Entry of one detector in the registry: its name, and import strings of its heavy parts.

Nothing here loads torch; `dimensions`, `network` and `published` import their module when called.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from styleflow.cards import TemporalMode

if TYPE_CHECKING:
    from styleflow.detectors.authors_files import PublishedFiles


@dataclass(frozen=True, slots=True)
class DetectorEntry:
    """One detector.

    Attributes:
        name: unique; configuration, messages and checkpoints use it.
        mode: how it looks at time.
        dimensions_at: `module:name` of a frozen dataclass of all that is needed to build the
            network.
        network_at: `module:name` of a class that is built from dimensions, card and calibration. It
            must be an `nn.Module` whose state is persistent, which creates its tensors on torch's
            default device, and whose `deploy` returns the `Detector` for live tracks.
        published_at: `module:name` of a mapping from detector names to the authors' files
            (`PublishedFiles`); None when there are none.
        method: training method of its recipes, a key of `styleflow.training.methods.METHODS`; None
            where it is not trained here.
        built_in: its weights travel inside the package.
        retired: names of dimensions that only checkpoints of an earlier network of this name have.
    """

    name: str
    mode: TemporalMode
    dimensions_at: str
    network_at: str
    published_at: str | None
    method: str | None
    built_in: bool = False
    retired: frozenset[str] = frozenset()

    def dimensions(self) -> type:
        """Return the type of its dimensions."""
        found = _resolve(self.dimensions_at)
        assert isinstance(found, type)
        return found

    def network(self) -> Callable[..., Any]:
        """Return what builds its network from dimensions, card and calibration."""
        found: Callable[..., Any] = _resolve(self.network_at)
        return found

    def published(self) -> PublishedFiles | None:
        """Return how its authors' files are laid out; None when there are none."""
        if self.published_at is None:
            return None
        files: PublishedFiles = _resolve(self.published_at)[self.name]
        return files


def _resolve(at: str) -> Any:
    module, _, name = at.partition(":")
    return getattr(importlib.import_module(module), name)
