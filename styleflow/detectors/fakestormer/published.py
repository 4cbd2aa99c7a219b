"""Published files of FakeSTormer: one network, trained on three compression levels."""

from __future__ import annotations

from styleflow.detectors.authors_files import Publication, SingleFile
from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.fakestormer.entry import NAMES
from styleflow.detectors.fakestormer.network import FakeStormer

_ENDINGS = (
    "temp_normlms_IN_model_best",
    "temp_normlms_gaussian_abl_model_best",
    "normlms_normREALtarget_model_best",
)


def _file(name: str, ending: str) -> SingleFile:
    return SingleFile(
        name=name,
        dimensions=FakeStormerDims(),
        network=FakeStormer,
        wrapper="state_dict",
        dead=("backbone.temp_token", "backbone.norm_t_cls."),
        publication=Publication(
            file=f"…{ending}.pth",
            page="https://github.com/10Ring/FakeSTormer (link in its README)",
            licence="academic and research use only (SnT academic licence, University of "
            "Luxembourg); any other use needs the authors' agreement",
            paper="Vulnerability-Aware Spatio-Temporal Learning (Nguyen et al., ICCV 2025), "
            "arXiv 2501.01184",
        ),
    )


PUBLISHED = {name: _file(name, ending) for name, ending in zip(NAMES, _ENDINGS, strict=True)}
"""The authors' file of each detector; they are alike, only their names tell them apart."""
