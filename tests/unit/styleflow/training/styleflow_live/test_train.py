"""Promises of the whole way from clips to a checkpoint, on a miniature of the real layout."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch

from styleflow.cards import TrainingStatus
from styleflow.data.index import read_manifest
from styleflow.data.partition import partition
from styleflow.detectors.caddm.live import DeployableCaddm
from styleflow.detectors.caddm.network import CaddmDims
from styleflow.detectors.layers.seeding import seed_weights
from styleflow.detectors.layers.vision_transformer import VisionTransformer
from styleflow.detectors.styleflow_live.live import StyleFlowLiveDetector
from styleflow.errors import LabelsMissing
from styleflow.training.loop import LoopSettings
from styleflow.training.styleflow_live import features, teacher, train
from styleflow.training.styleflow_live.degradations import DEGRADATIONS
from styleflow.training.styleflow_live.heads import HeadSpec
from styleflow.training.styleflow_live.looks import LookedAt
from styleflow.training.styleflow_live.recipe import FlowBatches, StyleFlowLiveRecipe
from styleflow.training.styleflow_live.teacher import LessonSettings
from styleflow.training.styleflow_live.train import FIGURES, read, run
from styleflow.weights.cache import dinov2_path, store
from styleflow.weights.checkpoint import build, load
from tests.support.autoencoder import write_autoencoder
from tests.support.clips import MiddleFinder, face_clip, write_video
from tests.support.models import TOY, crops

RECIPE = StyleFlowLiveRecipe(
    left_out=("owner/shop",),
    dimensions=replace(TOY, published=True, look_every=2),
    heads=(HeadSpec(), HeadSpec(("mouth", "eyes"), penalty=0.0)),
    flow=LoopSettings(2, 1e-3, bf16=False, log_every=1, validate_every=1),
    flow_batches=FlowBatches(clips=4, looks=3),
    prior=0.25,
)


@pytest.fixture(autouse=True)
def _foundation(tmp_path, monkeypatch):
    """A toy transformer where the published one would lie."""
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path / "cache"))
    trunk = VisionTransformer(TOY.backbone)
    seed_weights(trunk, 1)
    store(dinov2_path(), trunk.state_dict(), {})


@dataclass(frozen=True)
class _Run:
    """The miniature, and the folder of a run on it."""

    clips: Path
    work: Path
    said: list[str] = field(default_factory=list)

    def read(self) -> tuple[list[LookedAt], list[LookedAt]]:
        parts = partition(read_manifest(self.clips / "manifest.csv"))
        assert not parts.refusals
        both = []
        for entries in (parts.training, parts.validation):
            both.append(list(read(RECIPE, entries, self.work, MiddleFinder, 1, None)[0]))
        return both[0], both[1]

    def train(self) -> Path:
        return run(RECIPE, *self.read(), self.work, self.said.append)


@pytest.fixture
def prepared(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    rows = ["file,split,label,group,generator,source_repo"]
    for number in range(8):
        label = "fake" if number % 2 else "real"
        split = "val" if number >= 4 else f"train_{label}"
        write_video(folder / f"{number}.mp4", face_clip(12, number).frames)
        generator = f"gen{number}" if number % 2 else ""
        rows.append(f"{number}.mp4,{split},{label},g{number},{generator},owner/page")
    write_video(folder / "shop.mp4", face_clip(12, 20).frames)
    rows.append("shop.mp4,train_fake,fake,shop,gen,owner/shop")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return _Run(folder, tmp_path / "work")


def test_clips_become_a_checkpoint_and_an_interruption_changes_no_bit_of_it(prepared, monkeypatch):
    """Each stage that is done is found again, whatever stopped the run after it."""
    other = replace(prepared, work=prepared.work.with_name("other"))
    for module, name in ((features, "accelerated"), (train, "fit_heads"), (train, "weigh_flow")):

        def interrupted(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(module, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                other.train()
    whole, again = load(prepared.train()), load(other.train())
    assert again.calibration == whole.calibration
    for name, tensor in whole.tensors.items():
        assert torch.equal(again.tensors[name], tensor), name
    assert "2 real clips of 2 groups and 2 fakes of 2 generators" in whole.provenance
    detector = build(whole)
    assert isinstance(detector, StyleFlowLiveDetector)
    assert detector.card.status is TrainingStatus.EXPERIMENTAL
    assert detector.card.version == "local"
    assert detector.calibration.fitted
    assert torch.isfinite(detector.score_clip(crops(0, 1, 4))).all()


def test_round_trips_are_learned_from_where_there_is_an_autoencoder(prepared):
    """Without one the run goes on, and both the run and the checkpoint say so."""
    heads = (HeadSpec(round_trips=0.1), HeadSpec(("mouth", "eyes"), penalty=0.0))
    recipe, videos = replace(RECIPE, heads=heads), prepared.read()
    without = load(run(recipe, *videos, prepared.work, prepared.said.append))
    assert any("no auto-encoder" in str(line) for line in prepared.said)
    assert "Without the round trips" in without.provenance
    plain = load(prepared.train())
    assert torch.equal(plain.tensors["face.weight"], without.tensors["face.weight"])
    folder = write_autoencoder(prepared.work.with_name("weights"))
    recipe = replace(recipe, autoencoder=folder)
    taught = load(run(recipe, *videos, prepared.work, prepared.said.append))
    assert "2 round trips of real faces" in taught.provenance
    assert not torch.equal(taught.tensors["face.weight"], plain.tensors["face.weight"])
    assert torch.equal(taught.tensors["regions.weight"], plain.tensors["regions.weight"])


def test_other_heads_in_the_same_folder_are_not_those_of_the_run_before(prepared):
    """The style flow's finished state holds a whole network, heads included."""
    videos = prepared.read()
    first = load(prepared.train()).tensors["face.weight"]
    other = replace(RECIPE, heads=(HeadSpec(("mean",)),))
    again = load(run(other, *videos, prepared.work, prepared.said.append)).tensors["face.weight"]
    assert not torch.equal(again, first)
    blocks = len(RECIPE.dimensions.blocks)
    assert not again.view(blocks, 2, -1)[:, 1].any()  # spreads have no say
    assert torch.equal(load(prepared.train()).tensors["face.weight"], first)


def test_validation_tells_how_far_real_sources_lie_apart_beside_its_auc(prepared):
    """A detector that ranks well and follows a clip's source is seen while it is trained."""
    prepared.train()
    figures = json.loads((prepared.work / FIGURES).read_text())
    (line,) = (str(said) for said in prepared.said if str(said).startswith("validation: AUC"))
    assert f"AUC {figures['auc'][0]:.3f} (" in line
    assert f"spread by {figures['spread_of_real_sources']:.2f} of the distance" in line


def test_a_recipe_names_degradations_that_there_are():
    with pytest.raises(ValueError, match="penalised names one or more of half size"):
        replace(RECIPE, penalised=("rain",))


def test_a_teacher_has_its_say_in_the_heads_and_the_checkpoint_says_so(prepared, monkeypatch):
    """One line in the recipe; the encoder stays as it is, and validation says how they rank."""
    toy = DeployableCaddm(CaddmDims(backbone="resnet10-slim", window=3))
    file = prepared.work.with_name("caddm.safetensors")
    file.write_bytes(b"a stand-in for its digest")
    monkeypatch.setattr(teacher, "called", lambda name, file: toy.deploy())
    monkeypatch.setattr(teacher, "load_finder", MiddleFinder)
    recipe = replace(
        RECIPE,
        teacher="caddm-resnet34",
        teacher_weights=file,
        lessons=LessonSettings(clips=3, pictures=1),
        distil=50.0,
    )
    taught = load(run(recipe, *prepared.read(), prepared.work, prepared.said.append))
    assert "Taught as well by caddm-resnet34 on 3 clips" in taught.provenance
    assert any("ranks clips as caddm-resnet34 does" in line for line in prepared.said)
    plain = load(replace(prepared, work=prepared.work.with_name("plain")).train())
    assert "Taught" not in plain.provenance
    assert not torch.equal(taught.tensors["face.weight"], plain.tensors["face.weight"])
    assert isinstance(build(taught), StyleFlowLiveDetector)


def test_of_sources_without_labels_only_the_teacher_speaks(prepared, monkeypatch):
    """Whatever their manifest says: the checkpoint is the same when it says the opposite."""
    monkeypatch.setattr(teacher, "called", lambda name, file: None)
    monkeypatch.setattr(teacher, "load_finder", MiddleFinder)
    monkeypatch.setattr(teacher, "opinion", lambda *_: 0.8)
    file = prepared.work.with_name("caddm.safetensors")
    file.write_bytes(b"a stand-in for its digest")
    recipe = replace(
        RECIPE, teacher="caddm-resnet34", teacher_weights=file, unlabelled=("owner/videos",)
    )
    training, validation = prepared.read()
    made = []
    for label in (0, 1):
        entry = replace(training[0].entry, source="owner/videos", label=label)
        parts = ([*training, LookedAt(entry, training[0].path)], validation)
        work = prepared.work.with_name(f"label-{label}")
        made.append(load(run(recipe, *parts, work, prepared.said.append)))
    assert "2 real clips of 2 groups and 2 fakes" in made[0].provenance
    assert "on 5 clips" in made[0].provenance
    assert made[0].calibration == made[1].calibration
    for name, tensor in made[0].tensors.items():
        assert torch.equal(made[1].tensors[name], tensor), name


def test_the_published_weights_are_in_no_checkpoint(prepared):
    assert not [name for name in load(prepared.train()).tensors if name.startswith("encoder")]


def test_what_the_run_computes_is_what_the_detector_says(prepared):
    """A kept look, pushed as a frame, has the logit that the heads were fitted to.

    These clips are so short that all their looks are encoded.
    """
    checkpoint = load(prepared.train())
    detector = build(checkpoint)
    assert isinstance(detector, StyleFlowLiveDetector)
    _, validation = prepared.read()
    clips = features.encode_all(validation, RECIPE.dimensions, RECIPE.runs, prepared.work)
    ratings = train.rate_clips(detector, clips)
    row = torch.tensor([0])
    for clip, looked, rating in zip(clips, validation, ratings, strict=True):
        state, looks = detector.init_state(1), looked.looks()
        assert len(clip.slots) == len(looks.slots)
        for slot, crop in zip(clip.slots, looks.crops, strict=True):
            missing = 0 if slot == 0 else RECIPE.dimensions.look_every - 1
            detector.push(state, row, torch.from_numpy(crop)[None], torch.tensor([missing]))
        assert float(detector.rate(state, row)) == pytest.approx(rating, abs=0.05)


def test_what_validates_is_rated_by_every_look_as_live_video_rates_it(prepared, monkeypatch):
    """Symptom: style flow gained 0.02 on six looks of each clip, and lost 0.06 on all of them."""
    asked = {}

    def encode_all(clips, dims, runs, *rest):
        asked[clips[0].entry.split] = runs
        return real(clips, dims, runs, *rest)

    real = features.encode_all
    monkeypatch.setattr(train, "encode_all", encode_all)
    prepared.train()
    assert asked["val"].of(25) == list(range(25))
    assert asked["train_real"] == RECIPE.runs


def test_sources_that_are_left_out_are_not_read(prepared):
    training, validation = prepared.read()
    assert len(training) == len(validation) == 4
    assert not [clip for clip in training if clip.entry.source == "owner/shop"]


def test_validation_is_written_beside_the_checkpoint(prepared):
    prepared.train()
    figures = json.loads((prepared.work / FIGURES).read_text())
    value, low, high = figures["auc"]
    assert 0 <= low <= value <= high <= 1
    assert set(figures["degradations_move_reals_by"]) == set(DEGRADATIONS)
    assert figures["style_flow"] >= 0
    assert any("style flow has a weight" in said for said in prepared.said)


def test_a_label_that_is_missing_is_said(prepared):
    training, validation = prepared.read()
    for purpose, parts in (
        ("validation", (training, [])),
        ("training", (training[:1], validation)),
    ):
        with pytest.raises(LabelsMissing, match=purpose):
            run(RECIPE, *parts, prepared.work, prepared.said.append)


def test_heads_may_learn_from_clips_after_calls(prepared):
    """The other head, which wants none, stays what it was."""
    heads = (HeadSpec(calls=0.5), HeadSpec(("mouth", "eyes"), penalty=0.0))
    recipe = replace(RECIPE, heads=heads, calls=1)
    parts = partition(read_manifest(prepared.clips / "manifest.csv"))
    videos = [
        read(recipe, entries, prepared.work, MiddleFinder, 1, None)[0]
        for entries in (parts.training, parts.validation)
    ]
    called = load(run(recipe, *videos, prepared.work, prepared.said.append)).tensors
    plain = load(prepared.train()).tensors
    assert not torch.equal(called["face.weight"], plain["face.weight"])
    assert torch.equal(called["regions.weight"], plain["regions.weight"])


@pytest.mark.parametrize(("calls", "share"), [(1, 0.0), (0, 0.5)])
def test_a_recipe_names_calls_and_who_learns_from_them_or_neither(calls, share):
    with pytest.raises(ValueError, match="or neither"):
        replace(RECIPE, heads=(HeadSpec(calls=share),), calls=calls)


def test_a_recipe_may_ask_for_style_attention_and_its_checkpoint_is_a_detector(prepared):
    recipe = replace(RECIPE, dimensions=replace(RECIPE.dimensions, attention=3))
    made = load(run(recipe, *prepared.read(), prepared.work, prepared.said.append))
    assert "style_attention.w_q.weight" in made.tensors
    assert torch.isfinite(build(made).score_clip(crops(0, 1, 4))).all()
    plain = load(prepared.train())
    assert "style_attention.w_q.weight" not in plain.tensors
    assert torch.equal(plain.tensors["face.weight"], made.tensors["face.weight"])


def test_the_flow_is_trained_on_as_many_threads_whatever_the_environment_says(
    prepared, monkeypatch
):
    """A run with OMP_NUM_THREADS=1 gave a StyleGRU that differed in its last bits."""
    seen, videos, loop = [], prepared.read(), train.train

    def watched(*asked):
        seen.append(torch.get_num_threads())
        return loop(*asked)

    monkeypatch.setattr(train, "train", watched)
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            work = prepared.work.with_name(f"work{threads}")
            run(RECIPE, *videos, work, prepared.said.append)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert seen == [2, 2]
