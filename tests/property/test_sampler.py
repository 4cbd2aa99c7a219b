"""The sampler's laws: nothing duplicated, nothing invented, nearest wins, nothing else matters."""

from hypothesis import given
from hypothesis import strategies as st

from styleflow.sampling import GridSampler, Sampled

TICK = 1 / 90_000


@st.composite
def epochs(draw: st.DrawFn) -> list[float]:
    """Draw media times of one epoch: uneven, with gaps, starting at zero."""
    steps = draw(st.lists(st.integers(1, 12_000), min_size=0, max_size=120))
    at, times = 0, [0.0]
    for step in steps:
        at += step
        times.append(at * TICK)
    return times


def sample(times: list[float], cadence_hz: float) -> list[Sampled[int]]:
    sampler: GridSampler[int] = GridSampler(cadence_hz)
    chosen = [s for n, at in enumerate(times) for s in sampler.push(at, n)]
    return chosen + sampler.finish()


@given(epochs(), st.sampled_from([5.0, 12.5, 25.0, 30.0]))
def test_each_slot_gets_at_most_one_frame_and_each_frame_one_slot(
    times: list[float], cadence_hz: float
) -> None:
    chosen = sample(times, cadence_hz)
    slots = [s.slot for s in chosen]
    items = [s.item for s in chosen]
    assert slots == sorted(set(slots))
    assert items == sorted(set(items))
    assert (slots[0], items[0]) == (0, 0)


@given(epochs(), st.sampled_from([5.0, 12.5, 25.0, 30.0]))
def test_a_chosen_frame_is_within_half_a_step_and_no_skipped_one_is_much_nearer(
    times: list[float], cadence_hz: float
) -> None:
    """Nearer than a tenth of a step before the grid point is near enough not to wait."""
    chosen = {s.slot: s for s in sample(times, cadence_hz)}
    for sampled in chosen.values():
        assert times[sampled.item] == sampled.at
        assert abs(sampled.at * cadence_hz - sampled.slot) <= 0.5
    for at in times:
        slot = int(at * cadence_hz + 0.5)
        assert slot in chosen
        distance = abs(chosen[slot].at * cadence_hz - slot)
        assert distance <= max(abs(at * cadence_hz - slot), GridSampler.EARLY) + 1e-9


@given(epochs(), st.sampled_from([12.5, 25.0]), st.data())
def test_what_comes_later_never_alters_what_was_chosen(
    times: list[float], cadence_hz: float, data: st.DataObject
) -> None:
    """Cut anywhere: the frames so far decide alike, but for the one that still waits."""
    cut = data.draw(st.integers(1, len(times)))
    whole = sample(times, cadence_hz)
    sampler: GridSampler[int] = GridSampler(cadence_hz)
    so_far = [s for n, at in enumerate(times[:cut]) for s in sampler.push(at, n)]
    assert whole[: len(so_far)] == so_far
    rest = [s for n, at in enumerate(times[cut:], cut) for s in sampler.push(at, n)]
    assert so_far + rest + sampler.finish() == whole


@given(st.integers(1, 400), st.sampled_from([12.5, 25.0, 30.0]))
def test_a_source_at_the_cadence_loses_nothing_and_waits_for_nothing(
    frames: int, cadence_hz: float
) -> None:
    sampler: GridSampler[int] = GridSampler(cadence_hz)
    for n in range(frames):
        assert [s.slot for s in sampler.push(n / cadence_hz, n)] == [n]


@given(st.integers(20, 400))
def test_thirty_frames_a_second_fill_every_slot_of_a_25_hz_grid(frames: int) -> None:
    slots = [s.slot for s in sample([n / 30 for n in range(frames)], 25.0)]
    assert slots == list(range(slots[-1] + 1))


@given(st.integers(20, 400))
def test_a_slower_source_leaves_slots_empty_rather_than_filled_twice(frames: int) -> None:
    chosen = sample([n / 15 for n in range(frames)], 25.0)
    assert len(chosen) == frames
    assert chosen[-1].slot == int((frames - 1) / 15 * 25 + 0.5)


@given(epochs())
def test_at_most_one_frame_ever_waits(times: list[float]) -> None:
    sampler: GridSampler[int] = GridSampler(25.0)
    passed = sum(len(sampler.push(at, n)) for n, at in enumerate(times))
    assert len(sampler.finish()) <= 1
    assert passed <= len(times)
    assert sampler.finish() == []
