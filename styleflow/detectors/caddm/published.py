"""Published files of CADDM: three backbones, one file each."""

from __future__ import annotations

from styleflow.detectors.authors_files import Publication, SingleFile
from styleflow.detectors.caddm.entry import NAMES
from styleflow.detectors.caddm.network import Caddm, CaddmDims


def _file(name: str) -> SingleFile:
    backbone = name.removeprefix("caddm-")
    return SingleFile(
        name=name,
        dimensions=CaddmDims(backbone=backbone),
        network=Caddm,
        wrapper="network",
        dead=("base_model.fc.", "base_model._fc."),
        publication=Publication(
            file=f"{backbone}.pkl",
            page="https://github.com/megvii-research/CADDM (link to Google Drive in its README)",
            licence="code Apache-2.0; the weights come without a word of their own; trained on "
            "FaceForensics++, which is for research",
            paper="Implicit Identity Leakage (Dong et al., CVPR 2023), arXiv 2210.14457",
        ),
    )


PUBLISHED = {name: _file(name) for name in NAMES}
"""The authors' file of each detector."""
