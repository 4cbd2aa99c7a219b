"""One step per frame equals the whole sequence, whoever else is being watched."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.device.device import Device
from stream.engine.plan import Forget, Plan, Push, Rate, TrackKey
from styleflow.detectors.layers.style_gru import CausalStyleGRU
from tests.support.models import crop, toy_network

QUICK = settings(max_examples=25, deadline=None)
NETWORK = toy_network()
gaps = st.integers(0, 5)


def _gru() -> CausalStyleGRU:
    gru = toy_network().style_gru
    gru.norm.running_mean.fill_(0.1)
    gru.norm.running_var.fill_(0.5)
    return gru


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 40), st.data())
def test_causal_steps_equal_the_whole_sequence(seed, tracks, length, data):
    """Any length, any gaps, to 1e-5."""
    gru, random = _gru(), np.random.default_rng(seed)
    deltas = torch.from_numpy(random.normal(size=(tracks, length, 4, 3)).astype(np.float32))
    missing = torch.tensor(
        [[data.draw(gaps) if random.random() < 0.2 else 0 for _ in range(length)]] * tracks
    )
    whole = gru(deltas, missing)
    hidden = gru.start(tracks)
    for t in range(length):
        hidden = gru.follow(hidden, deltas[:, t], missing[:, t])
        torch.testing.assert_close(hidden[:, -1], whole[:, t], atol=1e-5, rtol=0)


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(2, 20), st.data())
def test_the_future_never_alters_the_past(seed, length, data):
    gru, random = _gru(), np.random.default_rng(seed)
    deltas = torch.from_numpy(random.normal(size=(1, length, 4, 3)).astype(np.float32))
    cut = data.draw(st.integers(1, length - 1))
    other = deltas.clone()
    other[:, cut:] += 3.0
    torch.testing.assert_close(gru(deltas)[:, :cut], gru(other)[:, :cut], atol=1e-6, rtol=0)


@st.composite
def interleavings(draw):
    """Which tracks push in which run: (track, missing) pairs, several pushes per run allowed."""
    runs = draw(
        st.lists(
            st.lists(st.tuples(st.integers(0, 3), gaps | st.just(0)), min_size=1, max_size=5),
            min_size=1,
            max_size=8,
        )
    )
    return runs


@QUICK
@given(interleavings())
def test_any_interleaving_of_tracks_gives_each_its_own_sequence(runs):
    """Streams batched together, one pushed twice in a run, gaps: each as if it were alone."""
    device = Device(NETWORK, 4)
    fed: dict[int, list[tuple[int, int]]] = {}
    got: dict[int, list[float]] = {}
    number = 0
    for run in runs:
        plans = []
        for track, missing in run:
            key = TrackKey(f"stream-{track}", track)
            push = Push(key, crop(number), missing=missing)
            plans.append(Plan(number, key.stream, (), (push,), (Rate(key),)))
            fed.setdefault(track, []).append((number, missing))
            number += 1
        for plan, answer in zip(plans, device.run(plans), strict=True):
            (key,) = answer.logits
            assert plan.number == answer.number
            got.setdefault(key.track, []).append(answer.logits[key])
    for track, frames in fed.items():
        clip = torch.from_numpy(np.stack([crop(seed) for seed, _ in frames]))[None]
        missing = torch.tensor([gap for _, gap in frames])
        expected = NETWORK.score_clip(clip, missing)[0].tolist()
        np.testing.assert_allclose(got[track], expected, atol=1e-5)


@QUICK
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=25))
def test_capacity_holds_and_survivors_are_not_disturbed(steps):
    """Tracks come and go on two slots; track 0 holds one throughout and notices nothing."""
    device, steady = Device(NETWORK, 2), TrackKey("steady", 0)
    held: set[TrackKey] = set()
    frames = 0
    for track, leave in steps:
        key = TrackKey("other", track)
        device.run([Plan(0, "steady", (), (Push(steady, crop(frames)),))])
        frames += 1
        forgets = (Forget(key),) if leave else ()
        pushes = () if leave else (Push(key, crop(1000 + track)),)
        (answer,) = device.run([Plan(1, "other", forgets, pushes, (Rate(key),))])
        if leave:
            held.discard(key)
        elif key in held or not held:
            held.add(key)
            assert answer.refused == frozenset()
        else:
            assert answer.refused == {key}
        assert set(answer.logits) == ({key} & held)
        assert device.stats.used == 1 + len(held)
    (answer,) = device.run([Plan(2, "steady", (), (), (Rate(steady),))])
    clip = torch.from_numpy(np.stack([crop(seed) for seed in range(frames)]))[None]
    expected = NETWORK.score_clip(clip)[0, -1].item()
    np.testing.assert_allclose(answer.logits[steady], expected, atol=1e-5)
