"""Linear heads: a logistic regression in which sources count evenly and degradations nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from styleflow.data.index import FAKE, REAL, Entry
from styleflow.evaluation.metrics import auc
from styleflow.training.styleflow_live.features import ClipFeatures
from styleflow.training.styleflow_live.heads import (
    HeadSpec,
    Opinions,
    fit_direction,
    fit_heads,
    heard,
    source_weights,
)
from styleflow.training.styleflow_live.teacher import agreement

BLOCKS, WIDTH = 2, 6


def entry(label: int, number: int = 0, **said: str) -> Entry:
    """Return an entry of one label."""
    about = {"group": f"g{number}", "generator": "gen" if label else "", "source": "repo"} | said
    return Entry(Path(f"{label}-{number}.mp4"), "train", label, **about)


def clips(count: int, seed: int = 0, quality: float = 3.0) -> list[ClipFeatures]:
    """Return clips in which feature 0 tells, feature 1 is a picture's quality and tells less.

    Degradations move feature 1 alone. In these clips fakes happen to be of better quality.
    """
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        label = number % 2
        looks = rng.normal(0, 1, (3, BLOCKS, 4, WIDTH))
        looks[:, :, :, 0] += 1.0 * label
        looks[:, :, :, 1] += quality * label
        looks = looks.astype(np.float16)
        degraded = np.repeat(looks[1][None], 2, axis=0).astype(np.float64)
        degraded[0, ..., 1] -= 4.0
        degraded[1, ..., 1] += 2.0
        made.append(
            ClipFeatures(
                entry(label, number),
                np.arange(3) * 4,
                looks,
                looks[1],
                degraded.astype(np.float16)[: 0 if label else 2],
            )
        )
    return made


def test_sources_count_evenly_and_labels_half():
    entries = [entry(REAL, n, source="large") for n in range(3)]
    entries += [entry(REAL, 3, source="small")]
    entries += [entry(FAKE, 4, generator="a"), entry(FAKE, 5, generator="a")]
    entries += [entry(FAKE, 6, generator="b", source="large")]
    weights = source_weights(entries)
    np.testing.assert_allclose(weights[:3], 1 / 12)
    np.testing.assert_allclose(weights[3], 1 / 4)
    np.testing.assert_allclose(weights[4:6], 1 / 8)
    np.testing.assert_allclose(weights[6], 1 / 4)
    assert weights.sum() == pytest.approx(1)


def test_without_sources_people_count_evenly():
    entries = [entry(REAL, n, source="", group=g) for n, g in enumerate("aab")]
    weights = source_weights([*entries, entry(FAKE, 9, generator="", group="x")])
    np.testing.assert_allclose(weights, [1 / 8, 1 / 8, 1 / 4, 1 / 2])


def test_a_penalty_on_degradations_takes_the_weight_off_what_they_move():
    data = clips(60)

    def moved(penalty: float) -> float:
        head = fit_heads(data, [HeadSpec(penalty=penalty)], 50)
        reals = [clip for clip in data if len(clip.degraded)]
        clean = head.logits(np.stack([clip.clean for clip in reals]))
        degraded = head.logits(np.stack([clip.degraded[0] for clip in reals]))
        return float(np.abs(degraded - clean).mean())

    assert moved(10.0) < 0.1 * moved(0.0)


def test_pseudo_fakes_teach_the_heads_that_want_them_and_no_others():
    """They differ from their reals in feature 2, where clips of either label are alike."""
    data = clips(60, quality=0.0)
    pseudo = []
    for clip in data[::2]:
        shift = np.zeros((BLOCKS, 4, WIDTH))
        shift[..., 2] = 3.0
        pseudo.append(clip.mean + shift)
    deaf, keen = HeadSpec(penalty=0.0), HeadSpec(penalty=0.0, round_trips=0.3)
    alone = fit_heads(data, [deaf], 50).weights
    np.testing.assert_array_equal(fit_heads(data, [deaf], 50, pseudo=pseudo).weights, alone)
    np.testing.assert_array_equal(fit_heads(data, [keen], 50).weights, alone)
    taught = fit_heads(data, [keen], 50, pseudo=pseudo)
    assert taught.weights[..., 2].sum() > alone[..., 2].sum() + 0.1
    labels = [clip.entry.label for clip in data]
    assert auc(labels, taught.logits(np.stack([clip.mean for clip in data]))) > 0.8


def test_a_degradation_that_is_only_measured_leaves_the_heads_alone():
    data, specs = clips(60), [HeadSpec(penalty=10.0)]
    first = fit_heads(data, specs, 50, penalised=[0]).weights
    more = [replace(c, degraded=np.concatenate([c.degraded, -c.degraded])) for c in data]
    np.testing.assert_array_equal(fit_heads(more, specs, 50, penalised=[0]).weights, first)
    assert np.abs(fit_heads(more, specs, 50).weights - first).max() > 1e-3


def test_with_it_clips_of_swapped_quality_are_still_told_apart():
    """Outside, fakes may be worse pictures than reals, as they were not in training."""
    outside = clips(60, seed=1, quality=-3.0)
    labels = [clip.entry.label for clip in outside]
    means = np.stack([clip.mean for clip in outside])
    plain = fit_heads(clips(60), [HeadSpec(penalty=0.0)], 50).logits(means)
    careful = fit_heads(clips(60), [HeadSpec(penalty=10.0)], 50).logits(means)
    assert auc(labels, plain) < 0.4
    assert auc(labels, careful) > 0.8


def test_heads_are_averaged_at_the_spread_of_the_training_clips():
    data = clips(40)
    specs = [HeadSpec(("mean", "spread")), HeadSpec(("mouth", "eyes"), penalty=0.0)]
    both = fit_heads(data, specs, 50)
    means = np.stack([clip.mean for clip in data])
    for seen in ([0, 1], [2, 3]):
        alone = replace(both, weights=np.zeros_like(both.weights))
        alone.weights[:, seen] = both.weights[:, seen]
        assert alone.logits(means).std() == pytest.approx(0.5)
    weights = source_weights([clip.entry for clip in data])
    assert np.average(both.logits(means), weights=weights) == pytest.approx(0, abs=1e-9)


def test_a_head_sees_only_its_statistics():
    head = fit_heads(clips(40), [HeadSpec(("eyes",), penalty=0.0)], 50)
    assert not head.weights[:, :3].any()
    assert head.weights[:, 3].any()


def test_the_fit_is_where_the_loss_is_flat():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(0, 1, (30, 100)), (np.arange(30) % 2).astype(float)
    weights, shifts = np.full(30, 1 / 30), rng.normal(0, 1, (40, 100))
    spec = HeadSpec(penalty=0.5, ridge=1e-3)
    direction = fit_direction(x, labels, weights, shifts, spec, 100)
    middle, spread = x.mean(0), x.std(0) + 1e-6
    scale = spread * 10.0
    z, moved = (x - middle) / scale, shifts / scale

    def loss(v: np.ndarray) -> float:
        margins = z @ v
        biases = np.linspace(-3, 3, 601)[:, None]
        values = np.logaddexp(0, margins + biases) - labels * (margins + biases)
        stiff = 0.5 * (spec.ridge * v @ v + spec.penalty * ((moved @ v) ** 2).mean())
        return float(values.mean(1).min() + stiff)

    best = loss(direction * scale)
    for number in range(20):
        nudge = np.random.default_rng(number).normal(0, 0.05, 100)
        assert loss(direction * scale + nudge) > best - 1e-6


def test_compressed_degradations_is_exact_when_nothing_is_cut():
    """More rows than directions to keep, but no more directions than are kept."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(0, 1, (30, 50)), (np.arange(30) % 2).astype(float)
    shifts = rng.normal(0, 1, (80, 5)) @ rng.normal(0, 1, (5, 50))
    weights, spec = np.full(30, 1 / 30), HeadSpec(penalty=0.5, ridge=1e-3)
    whole = fit_direction(x, labels, weights, shifts, spec, 1000)
    cut = fit_direction(x, labels, weights, shifts, spec, 6)
    np.testing.assert_allclose(cut, whole, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"statistics": ("smell",)}, {"statistics": ()}, {"penalty": -1.0}, {"ridge": 0.0}]
)
def test_heads_that_cannot_be_fitted_are_refused(wrong):
    with pytest.raises(ValueError, match=r"statistics|penalty"):
        HeadSpec(**wrong)


def test_an_opinion_counts_beside_a_label_as_another_clip_would():
    """One target per clip has the same cross-entropy as a label and an opinion, up to a number."""
    rng = np.random.default_rng(0)
    labels, weights = np.array([0.0, 1.0, 1.0]), np.array([0.5, 0.3, 0.2])
    opinions = Opinions(np.array([0.9, np.nan, 0.2]), 3.0)
    targets, counted = heard(labels, weights, opinions)
    assert counted.sum() == pytest.approx(1)

    def entropy(margin, targets, weights):
        return (weights * (np.logaddexp(0, margin) - targets * margin)).sum()

    for margin in rng.normal(0, 2, (4, 3)):
        apart = entropy(margin, labels, weights)
        apart += entropy(margin[[0, 2]], opinions.fake[[0, 2]], np.full(2, 1.5))
        assert entropy(margin, targets, counted) * 4 == pytest.approx(apart)


def test_the_student_comes_to_rank_as_the_teacher_does():
    """This teacher knows of feature 5, which labels know nothing of; held-out clips decide."""
    training, held_out = clips(200, 1), clips(100, 2)

    def says(among):
        return 1 / (1 + np.exp(-3 * np.array([clip.mean[..., 5].sum() for clip in among])))

    vectors = np.stack([clip.mean for clip in held_out])
    specs = (HeadSpec(("mean", "spread", "mouth", "eyes"), penalty=0.0),)
    alone = fit_heads(training, specs, 50)
    taught = fit_heads(training, specs, 50, Opinions(says(training), 100.0))
    before, after = (agreement(head.logits(vectors), says(held_out)) for head in (alone, taught))
    assert after > 0.9
    assert before < 0.5


def test_of_clips_without_labels_only_opinions_count():
    """Their labels and their degradations say nothing; where they lie does, once judged."""
    training, others = clips(40, 1), clips(40, 2)
    lies = [replace(clip, entry=entry(1 - clip.entry.label, 9)) for clip in others]
    specs = (HeadSpec(),)
    unheard = np.full(40, np.nan)
    says = np.array([clip.mean[..., 5].sum() > 0 for clip in [*training, *others]], np.float64)

    def fitted(fake, unlabelled):
        return fit_heads(training, specs, 50, Opinions(fake, 5.0, unlabelled)).weights

    assert np.array_equal(fitted(says, others), fitted(says, lies))
    of_labelled = np.concatenate([says[:40], unheard])
    assert not np.allclose(fitted(says, others), fitted(of_labelled, others))
    vectors = np.stack([clip.mean for clip in clips(40, 3)]).reshape(40, -1)
    left_out, unheard_of = fitted(says[:40], ()), fitted(of_labelled, others)
    ours, theirs = (vectors @ weights.ravel() for weights in (left_out, unheard_of))
    assert np.corrcoef(ours, theirs)[0, 1] > 1 - 1e-6


def test_clips_after_calls_take_a_share_of_their_own_clips_weight():
    """Every clip counts what it counted before, so that sources go on counting evenly."""
    data = clips(60)
    rng = np.random.default_rng(5)
    # Calls move feature 1, in which fakes happen to lead, and nothing else.
    added = [np.zeros((2, BLOCKS, 4, WIDTH)) for _ in data]
    for each in added:
        each[..., 1] = rng.normal(0, 6.0, (2, BLOCKS, 4))
    plain = fit_heads(data, [HeadSpec(("mean",), penalty=0.0, ridge=1e-3)], 50)
    spec = HeadSpec(("mean",), penalty=0.0, calls=0.5, ridge=1e-3)
    called = fit_heads(data, [spec], 50, calls=added)

    def leans(head):
        return np.abs(head.weights[:, 0, 1]).sum() / np.abs(head.weights[:, 0]).sum()

    assert leans(called) < leans(plain) / 2
    nobody = fit_heads(data, [spec], 50, calls=[None] * len(data))
    np.testing.assert_array_equal(nobody.weights, plain.weights)
    still = [np.zeros((2, BLOCKS, 4, WIDTH)) for _ in data]
    same = fit_heads(data, [spec], 50, calls=still)
    np.testing.assert_allclose(same.weights, plain.weights, rtol=1e-3, atol=1e-6)


def test_a_share_of_calls_lies_below_one():
    with pytest.raises(ValueError, match="calls lies between"):
        HeadSpec(calls=1.0)
