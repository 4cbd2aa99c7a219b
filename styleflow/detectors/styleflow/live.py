"""The published StyleFlow detector on live tracks: the paper's windows, as cheaply as is exact.

A row's window is the last 32 sampled frames of its track. Everything that a frame costs on its own
is paid once, when the frame is pushed: its latent, its style delta, layer 0's input products and
one step of every open window. What depends on the window's end is paid when it is rated. Results
equal `StyleFlow.forward` on the same crops up to the order of floating-point sums.

What a slot holds at published dimensions, float32: the newest latent (37 kB), 32 crops (4.8 MB),
the input products of 31 deltas (3 MB), and either 31 outputs of each open window (0.5 MB each, 31
windows at hop 1) or the 31 deltas (1.1 MB); where overlapping clips share content features, those
too (242 MB, 302 MB at odd hops).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from styleflow.calibration import Calibration
from styleflow.cards import ModelCard, TemporalMode, TrainingStatus
from styleflow.clips import ClipSpec, Framing, PspInput
from styleflow.detectors.styleflow.cnn3d_stream import ContentState, ContentStream
from styleflow.detectors.styleflow.network import StyleFlow, StyleFlowDims
from styleflow.detectors.styleflow.style_gru_stream import StyleGruState, StyleGruStream

CADENCE_HZ = 25.0  # of the videos that the authors cut their clips from; nothing resamples them
HOP = 8  # frames from one rating to the next where nobody says, 0.32 s
WORTH_KEEPING = 4  # up to this hop, shared content features save a third of the content branch


FRAMINGS = {PspInput.CLIP: Framing.STYLEFLOW, PspInput.FFHQ: Framing.STYLEFLOW_WIDE}

UNSAVED = ModelCard("styleflow", "unsaved", TemporalMode.EXACT, TrainingStatus.UNTRAINED, "")


@dataclass(slots=True, eq=False)
class StyleFlowState:
    """State of N tracks, a slot each.

    Attributes:
        frames: frames since the row's window last began anew, `(N,)` int64.
        newest: latent of the newest frame, `(N, levels, D)`, before the average is added.
        crops: the last T crops as the content branch sees them, by frame number modulo T,
            `(N, T, 3, S', S')` uint8.
        gru: what StyleGRU keeps.
        content: what the content branch keeps, or None.
    """

    frames: Tensor
    newest: Tensor
    crops: Tensor
    gru: StyleGruState
    content: ContentState | None


class StyleFlowDetector:
    """A `Detector` that reproduces the published StyleFlow on every window.

    Args:
        network: the detector's weights; switched to evaluation.
        card: what messages say about it; its mode is `EXACT`.
        calibration: from logit to probability.
        hop: frames from one rating to the next. Ratings off this grid are exact too, only slower.
        bridge: longest gap, in missing frames, whose two sides count as neighbours, as they would
            in a file from which an encoder had dropped those frames. A longer gap begins a new
            window.
        keep_content: whether overlapping clips share content features; by default where that
            saves at least a third of the content branch.
        at_once: faces that a network sees together; bounds its activations (180 MB a picture in
            pSp, 0.5 GB a clip in the content branch, at published dimensions).
    """

    steps: ClassVar[tuple[str, ...]] = ("encode", "see")
    stepping: ClassVar[tuple[str, ...]] = ("gru",)

    def __init__(
        self,
        network: StyleFlow,
        card: ModelCard,
        calibration: Calibration,
        *,
        hop: int = HOP,
        bridge: int = 2,
        keep_content: bool | None = None,
        at_once: int = 8,
    ) -> None:
        dims = network.dims
        self.card = card
        self.calibration = calibration
        framing = FRAMINGS[dims.psp_input]
        self.clip = ClipSpec(dims.content.frames, CADENCE_HZ, dims.crop_px, framing)
        self.hop = hop
        self.network = network.eval()
        self._statistics = network.statistics()
        self.gru = StyleGruStream(network.style_gru, hop)
        keep = hop <= WORTH_KEEPING if keep_content is None else keep_content
        self._content = ContentStream(network.resnet, hop) if keep else None
        self._bridge = bridge
        self.at_once = at_once

    def every(self, hop: int) -> StyleFlowDetector:
        """Return the same detector, sharing its weights, for ratings every `hop` sampled frames.

        Windows further apart than their length share nothing; they are laid out as side by side.
        """
        return StyleFlowDetector(
            self.network,
            self.card,
            self.calibration,
            hop=min(hop, self.clip.frames),
            bridge=self._bridge,
            at_once=self.at_once,
        )

    def init_state(self, slots: int) -> StyleFlowState:
        """Return the state of `slots` tracks that have seen nothing, on the weights' device."""
        dims = self.network.dims
        weight = self.network.style_gru.hidden_state
        size = dims.content.size_px
        return StyleFlowState(
            frames=torch.zeros(slots, dtype=torch.int64, device=weight.device),
            newest=weight.new_zeros(slots, len(dims.levels.styles), dims.psp.latent),
            crops=torch.zeros(
                (slots, self.clip.frames, 3, size, size), dtype=torch.uint8, device=weight.device
            ),
            gru=self.gru.init_state(slots),
            content=None if self._content is None else self._content.init_state(slots),
        )

    def clear(self, state: StyleFlowState, rows: Tensor) -> None:
        """Make rows forget everything; nothing derived from a face stays on the device."""
        rows = rows.to(state.frames.device)
        for tensor in (state.frames, state.newest, state.crops):
            tensor[rows] = 0
        self.gru.clear(state.gru, rows)
        if self._content is not None and state.content is not None:
            self._content.clear(state.content, rows)

    @torch.no_grad()
    def push(self, state: StyleFlowState, rows: Tensor, images: Tensor, missing: Tensor) -> None:
        """Feed one sampled frame to each row; see `Detector.push`."""
        device = state.frames.device
        rows, images, missing = rows.to(device), images.to(device), missing.to(device)
        before = torch.where(missing > self._bridge, 0, state.frames[rows])
        latents = self._latents(images)
        deltas = (latents - state.newest[rows]).flatten(1)
        self.gru.push(state.gru, rows, deltas, before - 1)
        state.crops[rows, before.remainder(self.clip.frames)] = self.network.content_crops(images)
        state.newest[rows] = latents
        state.frames[rows] = before + 1
        if self._content is not None and state.content is not None:
            self._content.begin(state.content, rows, before == 0)

    @torch.no_grad()
    def reanchor(self, state: StyleFlowState, rows: Tensor, images: Tensor) -> None:
        """Take the next style delta against the newest frame as its new anchor shows it.

        The content branch keeps the crop it has seen: there the jump between two anchors lies
        between two frames either way.
        """
        device = state.frames.device
        rows = rows.to(device)
        state.newest[rows] = self._latents(images.to(device))

    def encode(self, images: Tensor) -> Tensor:
        """Return latents, `(B, levels, D)`, of at most `at_once` crops, `(B, S, S, 3)` uint8."""
        return self.network.latents(images, at_once=len(images))

    def see(self, crops: Tensor) -> Tensor:
        """Return content tokens, `(B, T / 2, D)`, of at most `at_once` clips of crops.

        Args:
            crops: as the content branch sees them, `(B, T, 3, S', S')` uint8.
        """
        return self.network.resnet.features(self.network.normalised(crops, self._statistics))

    def _latents(self, images: Tensor) -> Tensor:
        return torch.cat([self.encode(part) for part in torch.split(images, self.at_once)])

    @torch.no_grad()
    def rate(self, state: StyleFlowState, rows: Tensor) -> Tensor:
        """Return the logits of rows, `(B,)`; NaN for a row whose window is not full yet."""
        rows = rows.to(state.frames.device)
        logits = state.newest.new_full((len(rows),), torch.nan)
        ready = (state.frames[rows] >= self.clip.frames).nonzero().squeeze(1)
        for part in torch.split(ready, self.at_once):
            if len(part):
                logits[part] = self._logits(state, rows[part])
        return logits

    def _logits(self, state: StyleFlowState, rows: Tensor) -> Tensor:
        """Return the logits of rows whose windows are full."""
        frames = state.frames[rows]
        start = frames - self.clip.frames
        code = self.gru.code(state.gru, rows, frames - 1)
        order = start[:, None] + torch.arange(self.clip.frames, device=rows.device)
        crops = state.crops[rows[:, None], order.remainder(self.clip.frames)]  # (B, T, 3, S', S')
        if self._content is None or state.content is None:
            tokens = self.see(crops)
        else:
            clips = self.network.normalised(crops, self._statistics)
            tokens = self._content.tokens(state.content, rows, start, clips)
        logits: Tensor = self.network.resnet.head(tokens.float(), code)
        return logits


class DeployableStyleFlow(StyleFlow):
    """A StyleFlow network as a checkpoint builds it: it knows its card and how to go live."""

    def __init__(
        self,
        dims: StyleFlowDims,
        card: ModelCard = UNSAVED,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(dims)
        self.card = card
        self.calibration = calibration or Calibration()

    def deploy(
        self,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        *,
        hop: int = HOP,
    ) -> StyleFlowDetector:
        """Make this network ready for inference, for good, and return its detector.

        Args:
            device: where weights and state live.
            dtype: what pSp and the content branch compute in; StyleGRU and the head stay float32.
            hop: frames from one rating to the next.
        """
        self.eval().requires_grad_(requires_grad=False).to(device)
        trunk = self.resnet
        for part in (self.psp.encoder, trunk.s1, trunk.s2, trunk.s3, trunk.s4):
            part.to(dtype)
        return StyleFlowDetector(self, self.card, self.calibration, hop=hop)
