"""Promises of the contact sheet of CADDM's samples."""

import cv2
import numpy as np

from styleflow.training.caddm.contact_sheet import contact_sheet, write_sheet
from styleflow.training.caddm.scenes import gather
from tests.support.caddm_videos import fake_video, real_video

ORIGINS = gather([real_video(1), fake_video(1)], 2)


def test_fakes_have_boxes_and_reals_have_none():
    sheet = contact_sheet(ORIGINS, np.random.default_rng(0))
    edge = sheet[0:448:112, 0:896:112].astype(int)  # the corner of every place
    red = (edge[..., 0] > 200) & (edge[..., 1:] < 90).all(axis=2)
    assert red[:2].mean() > 0.8  # a black place is a swap without a trace
    assert not red[2:].any()


def test_a_sheet_is_a_picture_that_the_seed_decides(tmp_path):
    for name in ("one", "same"):
        write_sheet(ORIGINS, 4, tmp_path / name / "samples.png")
    one, same = ((tmp_path / name / "samples.png").read_bytes() for name in ("one", "same"))
    assert one == same
    assert cv2.imread(str(tmp_path / "one" / "samples.png")).shape == (448, 896, 3)
    assert not list(tmp_path.rglob("*.part"))
