"""Order of the work on an accelerator's lanes, one transfer a run, and recorded calls under it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor, nn

from stream.device.device import Device
from stream.device.download import Downloader
from stream.device.upload import Uploader
from stream.engine.plan import Plan, Push, Rate, TrackKey
from styleflow.detectors.protocol import Detector
from styleflow.faces.device_picture import DevicePicture
from styleflow.graph_pool import GraphPool
from styleflow.graphs import Captured, capture_steps, rehearsed
from styleflow.lanes import Lanes, Mark, lanes_of
from styleflow.runtime import accelerate
from styleflow.runtime_settings import RuntimeSettings
from tests.support.models import TOY, crop, toy_network
from tests.support.waits import Waits

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def plan(stream: str, number: int, faces: int, *, look: bool = True, moved: bool = False) -> Plan:
    """A plan that pushes and rates some faces of a stream; a third are looked at in any case."""
    keys = [TrackKey(stream, face) for face in range(faces)]
    pushes = []
    for face, key in enumerate(keys):
        seed = 1000 * face + number
        again = crop(seed + 7) if moved and face % 2 else None
        looks = look or (face + number) % 3 == 0
        pushes.append(Push(key, crop(seed), missing=face % 2, reanchored=again, look=looks))
    return Plan(number, stream, (), tuple(pushes), tuple(map(Rate, keys)))


def close(ours: object, theirs: object) -> None:
    assert ours == pytest.approx(theirs, abs=1e-4)


# --- one transfer a run ---------------------------------------------------------------------------


def test_numbers_arrive_in_order_whatever_the_run_before_was() -> None:
    fetch = Downloader(torch.device("cpu"))
    for sizes in ((3, 1), (2,), (5, 4, 1)):
        parts = [torch.rand(size, dtype=torch.float64) for size in sizes]
        assert fetch.begin(parts)() == torch.cat(parts).float().tolist()
    assert fetch.transfers == 3


def test_a_run_that_asks_for_nothing_transfers_nothing() -> None:
    fetch = Downloader(torch.device("cpu"))
    assert fetch.begin([])() == []
    assert fetch.transfers == 0


@pytest.mark.parametrize("moved", [False, True])
def test_many_streams_and_faces_come_back_in_one_transfer_a_run(*, moved: bool) -> None:
    """Thirty streams, three faces each: more than one batch of the network, and two rounds."""
    device = Device(toy_network(), 96)
    for number in range(3):
        plans = [plan(f"s{n}", number, 3, moved=moved) for n in range(30)]
        plans += [plan("s0", number + 100, 3)]
        answers = device.run(plans)
        assert [len(answer.logits) for answer in answers] == [3] * 31
        assert device.stats.transfers == number + 1


def test_nothing_else_in_a_run_waits_for_the_device() -> None:
    """Symptom: how many rows look was read from the device at every push."""
    device = Device(toy_network(dims=replace(TOY, look_every=2)), 96)
    for number in range(4):
        plans = [plan(f"s{n}", number, 3, look=n % 2 == 0, moved=n % 3 == 0) for n in range(9)]
        with Waits() as waits:
            device.run(plans)
        assert waits.found == ["tolist"], "of the numbers that have arrived"


# --- lanes ----------------------------------------------------------------------------------------


@dataclass
class Place:
    """A place in a lane that remembers whether it was waited for."""

    name: str
    waited: bool = False

    def wait(self) -> None:
        self.waited = True


@dataclass
class Noting:
    """A lane that notes what is done with it."""

    name: str
    notes: list[str]
    kept: list[Tensor] = field(default_factory=list)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.notes.append(f"{self.name} begins")
        yield
        self.notes.append(f"{self.name} ends")

    def mark(self) -> Mark:
        self.notes.append(f"{self.name} marked")
        return Place(self.name)

    def after(self, *marks: Mark) -> None:
        for mark in marks:
            assert isinstance(mark, Place)
            self.notes.append(f"{self.name} after {mark.name}")

    def keep(self, *tensors: Tensor) -> None:
        self.kept += tensors


class NotingLanes(Lanes):
    """Lanes of an accelerator that there is not."""

    def settle(self) -> None:
        """Nothing was begun before."""


def noting(*, beside: bool) -> tuple[NotingLanes, list[str]]:
    notes: list[str] = []
    lanes = (Noting(name, notes) for name in ("decode", "encode", "head"))
    return NotingLanes(*lanes, beside=beside), notes


def test_a_processor_has_no_lanes_and_whatever_is_asked_of_them_is_done() -> None:
    lanes = lanes_of("cpu")
    assert lanes is lanes_of(torch.device("cpu"))
    assert not lanes.beside
    lanes.settle()
    for lane in (lanes.decode, lanes.encode, lanes.head):
        with lane():
            mark = lane.mark()
        lane.after(mark)
        lane.keep(torch.ones(1))
        mark.wait()


def test_looks_come_after_the_crops_and_what_remembers_after_the_looks() -> None:
    lanes, notes = noting(beside=True)
    device = Device(toy_network(), 4, lanes=lanes)
    begun = device.begin([plan("s", 0, 2)])
    assert notes == [
        *("decode begins", "decode marked", "decode ends"),
        *("encode begins", "encode after decode", "encode marked", "encode ends"),
        *("head begins", "head after decode", "head after encode", "head ends"),
    ]
    assert begun.asked is not None, "everything is under way before anybody waits"
    device.finish(begun)
    assert len(notes) == 11, "finishing asks for nothing more"


def test_tensors_of_other_lanes_are_kept_where_they_are_read() -> None:
    """Symptom: memory of crops was given to the next upload while the encoder still read it."""
    lanes, _ = noting(beside=True)
    device = Device(toy_network(), 4, lanes=lanes)
    begun = device.begin([plan("s", 0, 2, moved=True)])
    assert isinstance(lanes.encode, Noting)
    assert isinstance(lanes.head, Noting)
    assert begun.looks is not None
    for tensor in begun.crops:
        assert any(tensor is kept for kept in lanes.encode.kept)
        assert any(tensor is kept for kept in lanes.head.kept)
    for tensor in begun.looks.finish():
        assert any(tensor.shape == kept.shape for kept in lanes.head.kept[len(begun.crops) :])


def test_without_lanes_what_remembers_is_done_at_the_end() -> None:
    lanes, notes = noting(beside=False)
    device = Device(toy_network(), 4, lanes=lanes)
    begun = device.begin([plan("s", 0, 2)])
    assert "head begins" not in notes
    assert begun.asked is None
    device.finish(begun)
    assert notes[-1] == "head ends"


def test_a_run_beside_answers_as_one_that_is_not() -> None:
    beside, plain = (
        Device(toy_network(), 12, lanes=noting(beside=True)[0]),
        Device(toy_network(), 12),
    )
    for number in range(6):
        plans = [plan(f"s{n}", number, 3, moved=n == 1) for n in range(4)]
        begun = beside.begin(plans)
        assert beside.finish(begun) == plain.run(plans)
    assert beside.stats == plain.stats


def test_a_run_beside_that_fails_lets_its_tracks_begin_anew() -> None:
    network = toy_network()
    device = Device(network, 4, lanes=noting(beside=True)[0])
    device.run([plan("s", 0, 2)])
    step = network.advance

    def broken(*_: Tensor) -> tuple[Tensor, ...]:
        raise RuntimeError("out of memory")

    network.advance = broken  # type: ignore[assignment, method-assign]
    with pytest.raises(RuntimeError, match="out of memory"):
        device.begin([plan("s", 1, 2)])
    network.advance = step  # type: ignore[method-assign]
    (answer,) = device.run([plan("s", 2, 2)])
    (fresh,) = Device(toy_network(), 4).run([plan("s", 2, 2)])
    close(answer.logits, fresh.logits)


# --- recorded calls -------------------------------------------------------------------------------


def played_back(network: Detector, pool: GraphPool) -> Detector:
    """Return a detector whose parts are played back as on an accelerator."""
    for name in getattr(network, "stateless", ()):
        setattr(network, name, Captured(getattr(network, name), rehearsed, pool=pool))
    capture_steps(network, rehearsed, pool)
    return network


def test_what_rows_remember_stays_right_under_padding() -> None:
    """Rows come and go, all or a third look: batches of 1 to 7 in buckets of 1 to 8."""
    dims, pool = replace(TOY, look_every=2), GraphPool()
    ours = Device(played_back(toy_network(dims=dims), pool), 8)
    theirs = Device(toy_network(dims=dims), 8)
    for number in range(12):
        faces = (1, 5, 7, 2, 6, 3)[number % 6]
        plans = [plan("s", number, faces, look=number % 4 == 0)]
        (mine,), (wanted,) = ours.run(plans), theirs.run(plans)
        close(mine.logits, wanted.logits)
    assert pool.counts.replayed > 12
    assert pool.counts.captured >= 6, "three sizes or more of both parts"
    assert not any(pool.counts.fallen_back.values())


def test_after_warming_up_nothing_is_recorded_while_frames_wait() -> None:
    """Symptom: the first busy second of a GPU was spent on recording."""
    pool = GraphPool()
    device = Device(played_back(toy_network(), pool), 6, lanes=noting(beside=True)[0])
    device.warm_up()
    warm = pool.counts.captured
    assert warm == 2 * 4, "1, 2, 4 and 8 of both parts"
    for faces in (1, 3, 6, 2):
        device.run([plan("s", faces, faces)])
    assert pool.counts.captured == warm


def test_the_recorded_step_of_a_copy_is_the_copys() -> None:
    """Symptom: a copy without a cue rated with the weights of the network it was made of."""
    network = toy_network()
    played_back(network, GraphPool())
    device = Device(network, 4)
    full = device.run([plan("s", 0, 2)])[0].logits
    silent = Device(network.without("whole face"), 4).run([plan("s", 0, 2)])[0].logits
    wanted = Device(toy_network().without("whole face"), 4).run([plan("s", 0, 2)])[0].logits
    close(silent, wanted)
    assert silent != pytest.approx(full, abs=1e-4)


def test_on_a_processor_no_step_is_recorded() -> None:
    network = toy_network()
    accelerate(network, RuntimeSettings())
    assert "advance" not in vars(network)


# --- with a GPU -----------------------------------------------------------------------------------


def test_pictures_that_are_on_the_device_stay_there_and_keep_their_place() -> None:
    send = Uploader(torch.device("cpu"))
    here = DevicePicture(torch.from_numpy(crop(1)))
    sent = send([crop(0), here, crop(2)])
    assert torch.equal(sent, torch.stack([torch.from_numpy(crop(n)) for n in range(3)]))
    assert torch.equal(send([here, here]), torch.stack([here.pixels(), here.pixels()]))


def test_crops_on_the_device_are_rated_like_those_that_are_brought() -> None:
    key = TrackKey("s", 0)
    logits = []
    for image in (crop(3), DevicePicture(torch.from_numpy(crop(3)))):
        (answer,) = Device(toy_network(), 2).run(
            [Plan(0, "s", (), (Push(key, image),), (Rate(key),))]
        )
        logits.append(answer.logits[key])
    assert logits[0] == logits[1]


def _on_gpu() -> Detector:
    network = toy_network(dims=replace(TOY, look_every=2)).deploy("cuda")
    accelerate(network, RuntimeSettings())
    return network


@pytest.mark.gpu
@needs_gpu
def test_lanes_and_graphs_on_a_gpu_give_the_logits_of_the_processor() -> None:
    gpu, cpu = (
        Device(_on_gpu(), 96, "cuda"),
        Device(toy_network(dims=replace(TOY, look_every=2)), 96),
    )
    gpu.warm_up()
    for number in range(8):
        plans = [plan(f"s{n}", number, 1 + n % 3, look=n % 2 == 0, moved=n == 1) for n in range(24)]
        for mine, wanted in zip(gpu.run(plans), cpu.run(plans), strict=True):
            assert mine.logits == pytest.approx(wanted.logits, abs=5e-3)
    assert gpu.stats.transfers == 8


@pytest.mark.gpu
@needs_gpu
def test_a_run_on_a_gpu_waits_for_nothing_but_its_logits() -> None:
    device = Device(_on_gpu(), 96, "cuda")
    device.warm_up()
    device.run([plan(f"s{n}", 0, 3) for n in range(9)])
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(1, 5):
            plans = [plan(f"s{n}", number, 3, look=n % 2 == 0, moved=n % 3 == 0) for n in range(9)]
            device.finish(device.begin(plans))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert device.stats.transfers == 5


@pytest.mark.gpu
@needs_gpu
def test_warming_up_records_every_size_so_that_no_run_does() -> None:
    network = _on_gpu()
    device = Device(network, 96, "cuda")
    device.warm_up()
    assert isinstance(network, nn.Module)
    encoder = network.encoder
    assert isinstance(encoder, Captured)
    before = encoder.bucketed.pool.counts
    device.run([plan(f"s{n}", 0, 3) for n in range(20)])
    after = encoder.bucketed.pool.counts
    assert after.captured == before.captured
    assert after.replayed > before.replayed
    assert not any(after.fallen_back.values())
