"""The whole detector at its real dimensions: one clip, offline and streamed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.detectors.layers.style_gru import style_flow
from styleflow.detectors.styleflow.live import StyleFlowDetector
from styleflow.detectors.styleflow.network import StyleFlow, StyleFlowDims
from styleflow.detectors.styleflow.style_levels import StyleLevels
from tests.parity.fill import built, uniform_input

CARD = ModelCard("styleflow", "test", TemporalMode.EXACT, TrainingStatus.UNTRAINED, "0" * 64)
PUBLISHED = StyleFlowDims()
# The same networks with a StyleGRU of 1024 units that looks at the coarse styles: half the work,
# and 1.2 GB of weights instead of 4.2.
COARSE = replace(PUBLISHED, levels=StyleLevels("coarse"), hidden=1024, gru_head=1024)


def clip(frames: int) -> Tensor:
    """Return aligned crops, `(T, 256, 256, 3)` uint8, that change from frame to frame."""
    noise = uniform_input(frames, 8, 8, 3).repeat_interleave(32, 1).repeat_interleave(32, 2)
    return (noise * 255).to(torch.uint8)


def check(dims: StyleFlowDims, hop: int, windows: int) -> None:
    """Stream a clip and compare every rating with the parts run on whole windows."""
    network = built(lambda: StyleFlow(dims))
    live = StyleFlowDetector(network, CARD, Calibration(), hop=hop, keep_content=True)
    state = live.init_state(1)
    track = clip(32 + hop * (windows - 1))
    row, none = torch.tensor([0]), torch.tensor([0])
    latents = []
    rated = []
    for frame, image in enumerate(track):
        live.push(state, row, image[None], none)
        latents.append(state.newest[0].clone())
        if frame >= 31 and (frame - 31) % hop == 0:
            rated.append(live.rate(state, row)[0])
    for number, logit in enumerate(rated):
        span = slice(hop * number, hop * number + 32)
        code = network.style_gru.code(style_flow(torch.stack(latents[span])[None]))
        tokens = network.resnet.features(network.content_input(track[None, span]))
        expected = network.resnet.head(tokens, code)[0]
        torch.testing.assert_close(logit, expected, atol=1e-4, rtol=0)
    assert len(rated) == windows
    # Encoded one by one or together, a picture has the same latent.
    together = network.latents(track[:2], at_once=2)
    torch.testing.assert_close(torch.stack(latents[:2]), together, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_clip_at_real_dimensions() -> None:
    check(COARSE, hop=32, windows=1)


@pytest.mark.huge
@pytest.mark.timeout(3600)  # half an hour where six others use the two cores too
@pytest.mark.parametrize("hop", [8, 1])
def test_the_published_detector_streams_exactly(hop: int) -> None:
    """4.2 GB of weights, the released StyleGRU of 4096 units, all 18 styles, three windows."""
    check(PUBLISHED, hop, windows=3)
