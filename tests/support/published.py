"""The published detectors, small enough for unit tests, on the real framing and cadence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from stream.clock import ManualClock
from stream.device.device import Begun, Device
from stream.engine.plan import Plan, TrackKey
from stream.perception.perception import Perception
from stream.pipeline import Pipeline, Viewer
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.detectors.caddm.live import DeployableCaddm
from styleflow.detectors.caddm.network import CaddmDims
from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.fakestormer.live import DeployableFakeStormer
from styleflow.detectors.gend.live import DeployableGend
from styleflow.detectors.gend.network import GendDims
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.protocol import Detector
from styleflow.detectors.styleflow.cnn3d import ContentDims
from styleflow.detectors.styleflow.live import DeployableStyleFlow
from styleflow.detectors.styleflow.network import StyleFlowDims
from styleflow.detectors.styleflow.psp import PspDims
from styleflow.detectors.styleflow.style_levels import StyleLevels
from styleflow.ensemble import Ensemble
from styleflow.faces.face import Image
from tests.support.models import toy_network
from tests.support.path import EAGER, CentreFinder

STYLEFLOW_DIMS = StyleFlowDims(
    psp=PspDims(size_px=32, width=2, units=(1, 1, 1, 1)),
    levels=StyleLevels("coarse"),
    hidden=16,
    gru_head=8,
    content=ContentDims(size_px=16, width=2),
    heads=2,
    head=8,
    inner=32,
)


def card(name: str, status: TrainingStatus = TrainingStatus.UNTRAINED) -> ModelCard:
    """Return a card whose digest is made of the name."""
    return ModelCard(name, "toy", TemporalMode.EXACT, status, name.encode().hex().ljust(64, "0"))


def toy_styleflow() -> DeployableStyleFlow:
    """Return a StyleFlow whose both branches matter."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DeployableStyleFlow(STYLEFLOW_DIMS, card("styleflow"))
        torch.nn.init.normal_(network.resnet.head.STA.lp.weight, std=0.2)
        for style in network.psp.encoder.styles:
            style.linear.weight.data.mul_(200)  # latents of an untrained encoder hardly move
        network.resnet.head.time_T.mlp_head[1].weight.data.mul_(4)
    return network.eval().requires_grad_(requires_grad=False)


def toy_caddm(name: str = "caddm-resnet34") -> DeployableCaddm:
    """Return a thin CADDM that averages three frames."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return DeployableCaddm(CaddmDims(backbone="resnet10-slim", window=3), card(name))


def toy_fakestormer(name: str = "fakestormer-c23") -> DeployableFakeStormer:
    """Return a small FakeSTormer."""
    dims = FakeStormerDims(image_px=32, patch_px=8, width=24, depth=2, heads=3, frames=4)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return DeployableFakeStormer(dims, card(name))


def toy_gend(name: str = "gend-clip-l14") -> DeployableGend:
    """Return a slim GenD that averages a second and a half, three frames."""
    network = DeployableGend(GendDims(encoder="clip-slim", window_s=1.5), card(name))
    seed_weights(network, 3)
    return network


TOYS: dict[str, Callable[[], Detector]] = {
    "styleflow-live": toy_network,
    "styleflow": lambda: toy_styleflow().deploy(hop=2),
    "caddm-resnet34": lambda: toy_caddm().deploy(),
    "fakestormer-c23": lambda: toy_fakestormer().deploy(),
    "gend-clip-l14": lambda: toy_gend().deploy(),
}


class RecordingDevice(Device):
    """A device that remembers every crop it was given, by face."""

    def __init__(self, detector: Detector, slots: int = 8) -> None:
        super().__init__(detector, slots)
        self.crops: dict[TrackKey, list[Image]] = {}

    def begin(self, plans: Sequence[Plan]) -> Begun:
        for plan in plans:
            for push in plan.pushes:
                self.crops.setdefault(push.key, []).append(push.image)
        return super().begin(plans)


def toy_pipeline_of(
    *names: str, ensemble: Ensemble | None = None, viewer: Viewer | None = None
) -> Pipeline:
    """Return a pipeline of toy detectors, on devices that record their crops."""
    detectors = [TOYS[name]() for name in names]
    clips = [detector.clip for detector in detectors]
    return Pipeline(
        [RecordingDevice(detector) for detector in detectors],
        lambda: Perception(CentreFinder(), clips),
        EAGER,
        ManualClock(),
        ensemble=ensemble,
        viewer=viewer,
    )
