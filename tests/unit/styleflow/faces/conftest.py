"""What the tests of faces share: the real finder and a picture in the public domain."""

import numpy as np
import pytest
from skimage.data import astronaut

from styleflow.faces.face import Image
from styleflow.faces.finder import FaceFinder
from tests.support.faces import finder_or_skip


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    return finder_or_skip()


@pytest.fixture(scope="session")
def portrait() -> Image:
    """512 x 512, one face."""
    return np.asarray(astronaut(), np.uint8)
