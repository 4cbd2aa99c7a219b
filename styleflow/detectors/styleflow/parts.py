"""Published files of StyleFlow: three parts, told by the names in them and joined to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from styleflow.detectors.authors_files import (
    AuthorsFile,
    Conversion,
    ImportReport,
    Likeness,
    Owners,
    Publication,
    held,
)
from styleflow.detectors.styleflow.network import StyleFlowDims
from styleflow.detectors.styleflow.published import (
    PUBLICATIONS,
    CheckpointMismatch,
    Ported,
    assemble,
    bare_state,
    port_psp,
    port_stage2,
    port_style_gru,
)
from styleflow.errors import CheckpointInvalid

STYLEFLOW_PARTS = ("pSp encoder", "StyleGRU", "stage 2")


class StyleFlowFiles:
    """The three files that make one StyleFlow; see `PublishedFiles`."""

    publications: tuple[Publication, ...] = PUBLICATIONS
    dimensions = StyleFlowDims()

    def likeness(self, content: Any) -> Likeness | None:
        """Return which part a file is and whether it is whole; None when it is none of them."""
        found = styleflow_part(content)
        if found is None:
            return None
        part, ported = found
        report = ported.report
        return Likeness(
            what=f"StyleFlow's {part}",
            report=str(report),
            fitting=len(report.fitted),
            whole=report.complete,
            extra=report.extra,
            certain=True,
            more=(f"dimensions: {ported.dims}",),
        )

    def convert(self, files: Sequence[AuthorsFile], owners: Owners) -> Conversion:
        """Join pSp's encoder, StyleGRU and stage 2 into one detector."""
        parts = _parts(files, owners)
        psp, gru, stage2 = (parts[part][1] for part in STYLEFLOW_PARTS)
        try:
            tensors, dimensions = assemble(psp, gru, stage2)
        except (CheckpointMismatch, ValueError) as error:
            raise CheckpointInvalid(parts["stage 2"][0].path, str(error)) from error
        bad = [name for name, t in tensors.items() if not bool(t.isfinite().all())]
        if bad:
            reason = f"values that are not numbers: {held(bad)}"
            raise CheckpointInvalid(files[0].path, reason)
        digests = [(file.path.name, file.sha256()) for file, _ in parts.values()]
        return Conversion(
            version=f"published-{'-'.join(digest[:8] for _, digest in digests)}",
            dimensions=dimensions,
            tensors={
                name: (t.float() if t.is_floating_point() else t).contiguous()
                for name, t in tensors.items()
            },
            provenance="Joined from "
            + ", ".join(f"{file} (sha256 {digest})" for file, digest in digests)
            + f". Licences: {'; '.join(p.licence for p in PUBLICATIONS)}.",
            report=ImportReport(fitting=len(tensors)),
        )


PUBLISHED = {"styleflow": StyleFlowFiles()}
"""The authors' files of the detector."""


def styleflow_part(content: Any) -> tuple[str, Ported] | None:
    """Return which part of StyleFlow a file is, by the names in it, and its tensors.

    Args:
        content: what the file holds.

    Returns:
        A name of `STYLEFLOW_PARTS` with what was ported, or None when it is no part of it.
    """
    if not isinstance(content, Mapping):
        return None
    names = bare_state(content).keys()
    for start, part, port in zip(
        ("encoder.", "gru.", "resnet."),
        STYLEFLOW_PARTS,
        (port_psp, port_style_gru, port_stage2),
        strict=True,
    ):
        if any(name.startswith(start) for name in names):
            return part, port(content)
    return None


def checked_part(path: Path, content: Any, part: str) -> Ported:
    """Return one part of StyleFlow from a file's content, whole and checked.

    Args:
        path: the file, for messages.
        content: what it holds.
        part: a name of `STYLEFLOW_PARTS`.

    Raises:
        CheckpointInvalid: the file is not this part, or not whole.
    """
    found = styleflow_part(content)
    if found is None or found[0] != part:
        raise CheckpointInvalid(
            path, f"is {found[0] if found else 'no part of StyleFlow'}, not {part}"
        )
    if not found[1].report.complete:
        raise CheckpointInvalid(path, f"does not fit {part}: {found[1].report}")
    return found[1]


def _parts(files: Sequence[AuthorsFile], owners: Owners) -> dict[str, tuple[AuthorsFile, Ported]]:
    """Return every part with its file. Raises CheckpointInvalid unless each is there once."""
    parts: dict[str, tuple[AuthorsFile, Ported]] = {}
    for file in files:
        content = file.read()
        found = styleflow_part(content)
        if found is None:
            known = ", ".join(STYLEFLOW_PARTS)
            others = owners(content)
            what = f"is {' or '.join(others)} and " if others else "is "
            raise CheckpointInvalid(file.path, f"{what}none of StyleFlow's parts: {known}")
        part, ported = found
        if part in parts:
            reason = f"is a second {part}; {parts[part][0].path.name} is one too"
            raise CheckpointInvalid(file.path, reason)
        if not ported.report.complete:
            raise CheckpointInvalid(file.path, f"does not fit {part}: {ported.report}")
        parts[part] = file, ported
    absent = [part for part in STYLEFLOW_PARTS if part not in parts]
    if absent:
        raise CheckpointInvalid(
            files[0].path, f"styleflow also needs the file of its {' and of its '.join(absent)}"
        )
    return parts
