"""Patch occlusion: on crops with a pasted patch whose place is known, it finds the patch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from styleflow.detectors.gend.live import DeployableGend, GendDetector
from styleflow.detectors.gend.network import Gend, GendDims
from styleflow.detectors.gend.occlusion import KEPT_SHARE, ORDER, PARTS, SIDE, covered, shown
from styleflow.detectors.gend.published import PUBLISHED
from tests.support.foundation import SLIM, authors_tensors

FEW = 32


def scene(seed: int, place: int | None = None) -> np.ndarray:
    """Return a soft, noisy crop; with a place, a fine checkerboard lies in that part of it."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:224, :224] / 224
    crop = np.stack(
        [
            128 + 70 * np.sin(3 * rows + a) * np.cos(3 * columns + b)
            for a, b in rng.uniform(0, 6, (3, 2))
        ],
        -1,
    )
    crop += rng.normal(0, 6, crop.shape)
    if place is not None:
        (row, column), side = divmod(place, SIDE), 224 // SIDE
        down, across = np.mgrid[:side, :side] // 4
        board = 90 * ((down + across) % 2 * 2 - 1)
        top, left = row * side, column * side
        crop[top : top + side, left : left + side] += board[..., None]
    return np.clip(crop, 0, 255).astype(np.uint8)


def scenes(first: int, count: int, *, pasted: bool) -> Tensor:
    """Return crops, the patch in one part after the other."""
    return torch.from_numpy(
        np.stack([scene(first + n, n % PARTS if pasted else None) for n in range(count)])
    )


def looking_for_patches(name: str) -> GendDetector:
    """Return a seeded encoder whose head was fitted to tell crops with a patch from those without.

    The head is the line that separates the two best, by the means and the spread of their features.
    """
    network = DeployableGend(GendDims(encoder=SLIM[name]))
    network.load_state_dict(PUBLISHED[name].tensors.renaming(authors_tensors(name)))
    detector = network.deploy()
    with torch.no_grad():
        plain, patched = (
            torch.nn.functional.normalize(network.encoder(network.network_input(crops)), dim=1)
            for crops in (scenes(0, 128, pasted=False), scenes(1000, 128, pasted=True))
        )
        centred = torch.cat([plain - plain.mean(0), patched - patched.mean(0)])
        spread = torch.cov(centred.T) + 1e-5 * torch.eye(centred.shape[1])
        line = torch.linalg.solve(spread, patched.mean(0) - plain.mean(0))
        middle = (plain.mean(0) + patched.mean(0)) / 2 @ line
        network.head.weight.copy_(torch.stack([-line / 2, line / 2]))
        network.head.bias.copy_(torch.stack([middle / 2, -middle / 2]))
    return detector


@torch.no_grad()
def rollout(network: Gend, crops: Tensor) -> Tensor:
    """Return attention rollout from the class token to each part, `(B, PARTS)`.

    Source: Quantifying Attention Flow in Transformers (Abnar & Zuidema, ACL 2020).
    """
    pictures = network.network_input(crops)
    encoder, tokens = network.encoder, network.encoder.embed(pictures)
    flow = torch.eye(tokens.shape[1]).expand(len(tokens), -1, -1)
    for block in encoder.blocks:
        looked = block.attention.shares(block.norm1(tokens), encoder.rotation(pictures)).mean(1)
        flow = (looked + torch.eye(tokens.shape[1])) / 2 @ flow
        tokens = block(tokens, encoder.rotation(pictures))
    patches = flow[:, 0, encoder.leading :]
    side = int(patches.shape[1] ** 0.5)
    grid = patches.view(-1, 1, side, side)
    return torch.nn.functional.adaptive_avg_pool2d(grid, SIDE).flatten(1)


@torch.no_grad()
def falls(detector: GendDetector, crop: Tensor) -> Tensor:
    """Return how far the logit falls for each part of one crop, `(PARTS,)`."""
    hidden = covered(crop.expand(PARTS, -1, -1, -1), torch.arange(PARTS))
    return (detector.judge(crop[None]) - detector.judge(hidden))[:, 0]


@pytest.mark.parametrize("name", ["gend-clip-l14", "gend-dinov3-l"])
def test_it_finds_a_pasted_patch_and_more_often_than_attention_rollout(name: str) -> None:
    """One part of sixteen is right; chance is 0.06."""
    detector = looking_for_patches(name)
    crops = scenes(2000, FEW, pasted=True)
    places = torch.arange(FEW) % PARTS
    found = torch.stack([falls(detector, crop).argmax() for crop in crops])
    looked = rollout(detector.model, crops).argmax(1)
    hits, rolled = ((guess == places).float().mean().item() for guess in (found, looked))
    assert hits >= 0.5
    assert hits >= rolled + 0.2


def test_a_covered_part_has_the_colour_of_what_is_around_it() -> None:
    crops = torch.full((2, 224, 224, 3), 200, dtype=torch.uint8)
    crops[:, :56, :56] = 10
    hidden = covered(crops, torch.tensor([0, 5]))
    assert torch.equal(hidden[0], torch.full_like(hidden[0], 200))
    assert hidden[1, 60, 60, 0] < 200  # a corner of what is around part 5 is dark
    assert torch.equal(hidden[1, :56], crops[1, :56])
    assert crops[0, 0, 0, 0] == 10  # the crops themselves stay


def test_only_parts_that_lower_the_score_are_shown() -> None:
    found = torch.full((PARTS,), -1.0)
    found[6], found[7], found[8], found[9] = 2.0, 1.1, 0.9, torch.nan
    first, second = shown(found)
    assert (first.x0, first.y0, first.x1, first.y1) == (0.5, 0.25, 0.75, 0.5)
    assert (first.strength, second.x0) == (1.0, 0.75)
    assert second.strength == pytest.approx(0.55)
    assert second.strength >= KEPT_SHARE


def test_a_score_that_comes_from_nowhere_shows_nothing() -> None:
    assert shown(torch.full((PARTS,), 0.05)) == ()
    assert shown(torch.full((PARTS,), torch.nan)) == ()


def test_every_part_is_covered_in_turn() -> None:
    assert sorted(ORDER) == list(range(PARTS))


def test_on_a_cpu_a_face_is_known_from_everywhere_after_sixteen_explanations() -> None:
    """One part more each time; a cleared track begins anew, and an unseen one shows nothing."""
    detector = looking_for_patches("gend-clip-l14")
    state = detector.init_state(2)
    crop, row = scenes(3000, 7, pasted=True)[6:7], torch.tensor([1])
    detector.push(state, row, crop, torch.zeros_like(row))
    asked = []
    calls: list[int] = []
    detector.judge.register_forward_hook(lambda _m, inputs, _o: calls.append(len(inputs[0])))
    for _ in range(PARTS):
        unseen, _ = detector.patches(state, torch.tensor([0, 1]))
        assert unseen == ()
        asked.append(int(state.falls[1].isfinite().sum()))
    assert asked == list(range(1, PARTS + 1))
    assert calls == [1] * PARTS  # each costs one more rating
    torch.testing.assert_close(state.falls[1], falls(detector, crop[0]), atol=1e-5, rtol=1e-5)
    detector.clear(state, row)
    assert state.falls[1].isnan().all()
