"""`styleflow evaluate`: from a manifest to a folder of results."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import evaluation_runner, wiring
from cli.errors import Exit
from cli.evaluation_runner import EvaluationRunner, RunnerSettings, evaluate_all
from cli.main import app
from cli.settings import Settings
from stream.clock import ManualClock
from stream.device.device import Device
from stream.perception.perception import Perception
from stream.pipeline import Pipeline
from styleflow.data.index import read_manifest
from styleflow.detectors.styleflow_live.live import StyleFlowLiveDetector
from styleflow.evaluation import plots
from styleflow.evaluation.record import PLAIN
from tests.support.faces import finder_or_skip
from tests.support.media import encode, moving_pictures
from tests.support.models import toy_network
from tests.support.path import EAGER, CentreFinder, toy_pipeline

RUNNER = CliRunner()
HEAD = "file,split,label,kind,generator,source_repo,pair_id,group\n"
ROWS = [
    "r1.mp4,dev,real,,,there,p1,anna",
    "f1.mp4,dev,fake,lip_sync,Lips,there,p1,anna",
    "r2.mp4,dev,real,,,there,,bert",
    "f2.mp4,dev,fake,face_swap,Swap,here,,bert",
]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a manifest of four clips, and of two rows that name none."""
    folder = tmp_path_factory.mktemp("clips")
    for seed, row in enumerate(ROWS):
        encode(folder / row.partition(",")[0], moving_pictures(40, seed=seed), gop=20)
    broken = "broken.mp4,dev,real,,,there,,carl"
    (folder / "broken.mp4").write_bytes(b"no video")
    refused = ["gone.mp4,dev,fake,,,,,x", "r1.mp4,dev,perhaps,,,,,x"]
    (folder / "manifest.csv").write_text(HEAD + "\n".join([*ROWS, broken, *refused]) + "\n")
    return folder / "manifest.csv"


@pytest.fixture(autouse=True)
def _no_drawing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures of reports out: drawing them takes longer than evaluating four clips."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(plots, "draw", lambda *_, **__: "<svg></svg>")


@pytest.fixture
def drawn() -> None:
    """Let a test's reports have their pictures."""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score with a toy network and a finder that always sees a face."""

    def pipeline(settings: Any, clock: Any, observe: Any = None, **options: Any) -> Pipeline:
        return toy_pipeline(settings=EAGER)

    monkeypatch.setattr(wiring, "pipeline", pipeline)


def evaluate(place: Path | str, out: Path, *more: str) -> Any:
    quick = ["--no-offline", "--rounds", "10"]
    arguments = ["evaluate", str(place), "--out", str(out), *quick, *more]
    return RUNNER.invoke(app, arguments)


def metrics(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "metrics.json").read_text()))


@pytest.mark.usefixtures("toy", "drawn")
def test_a_manifest_becomes_a_report_figures_and_a_table(clips: Path, tmp_path: Path) -> None:
    result = evaluate(clips, tmp_path / "out")
    assert result.exit_code == Exit.OK, result.output
    found = metrics(tmp_path / "out")
    assert list(found) == ["video", "streaming", "calibration", "robustness", "provenance"]
    assert set(found["video"]["auc"]) == {"value", "low", "high"}
    about = found["provenance"]
    assert (about["detector"], about["status"], about["mode"]) == (
        "styleflow-live",
        "untrained",
        "causal",
    )
    assert about["data"] == clips.parent.name
    report = (tmp_path / "out" / "report.html").read_text()
    assert "The model is untrained" in report
    assert report.count("<svg") >= 7
    assert "untrained" in result.stdout


@pytest.mark.usefixtures("toy")
def test_what_cannot_be_used_is_counted_and_named(clips: Path, tmp_path: Path) -> None:
    result = evaluate(clips, tmp_path / "out")
    found = metrics(tmp_path / "out")
    (unscored,) = found["video"]["clips"]["unscored"]
    assert unscored["clip"] == "broken.mp4"
    assert unscored["why"].startswith("corrupt: ")
    reasons = [refusal["reason"] for refusal in found["provenance"]["refused"]]
    assert reasons == ["the file is missing", "label 'perhaps' is neither real nor fake"]
    assert "broken.mp4" in result.stdout
    with (tmp_path / "out" / "clips.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 5


@pytest.mark.usefixtures("toy")
def test_an_interrupted_run_goes_on_where_it_stopped(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    look = EvaluationRunner.evaluate

    def interrupted(self: EvaluationRunner, task: evaluation_runner.Task) -> Any:
        if len(looked) == 2:
            raise KeyboardInterrupt
        looked.append(task[0].path.name)
        return look(self, task)

    monkeypatch.setattr(EvaluationRunner, "evaluate", interrupted)
    assert evaluate(clips, tmp_path / "out").exit_code == 130
    assert not (tmp_path / "out" / "metrics.json").exists()

    again: list[str] = []

    def counted(self: EvaluationRunner, task: evaluation_runner.Task) -> Any:
        again.append(task[0].path.name)
        return look(self, task)

    monkeypatch.setattr(EvaluationRunner, "evaluate", counted)
    assert evaluate(clips, tmp_path / "out").exit_code == Exit.OK
    assert looked + again == ["r1.mp4", "f1.mp4", "r2.mp4", "f2.mp4", "broken.mp4"]
    whole = metrics(tmp_path / "out")
    assert evaluate(clips, tmp_path / "fresh").exit_code == Exit.OK
    fresh = metrics(tmp_path / "fresh")
    assert {**whole, "provenance": None} == {**fresh, "provenance": None}


@pytest.mark.usefixtures("toy")
def test_ratings_in_other_numbers_are_never_mixed_with_those_that_are_there(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder moved to a processor that multiplies eight bits was gone on with in eight bits."""
    out = tmp_path / "out"
    assert evaluate(clips, out, "--limit", "2").exit_code == Exit.OK
    assert metrics(out)["provenance"]["precision"] == "float32"
    monkeypatch.setattr(EvaluationRunner, "precision", property(lambda _: "int8"))
    again = evaluate(clips, out)
    assert again.exit_code == Exit.ERROR, again.output
    assert "precision" in " ".join(again.output.split())


@pytest.mark.usefixtures("toy")
def test_a_limit_takes_both_labels_and_says_that_it_is_a_trial(clips: Path, tmp_path: Path) -> None:
    assert evaluate(clips, tmp_path / "out", "--limit", "2").exit_code == Exit.OK
    found = metrics(tmp_path / "out")
    assert (found["video"]["clips"]["real"], found["video"]["clips"]["fake"]) == (1, 1)
    assert "a trial, no result" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.timeout(600)  # 24 small encodings: two seconds, or a minute where all cores are taken
@pytest.mark.usefixtures("toy")
def test_the_grid_tries_every_condition(clips: Path, tmp_path: Path) -> None:
    result = evaluate(clips, tmp_path / "out", "--limit", "2", "--seconds", "1", "--grid")
    assert result.exit_code == Exit.OK, result.output
    grid = metrics(tmp_path / "out")["robustness"]
    assert len(grid) == 12
    slow = grid["8 frames a second"]
    assert slow["auc"]["value"] is None, "the engine must not judge at 8 frames a second"
    assert "low_fps" in slow["clips"]["unscored"][0]["why"]
    assert slow["auc_forced"]["value"] is not None
    assert "Degraded video" in (tmp_path / "out" / "report.html").read_text()


class TwoCues(StyleFlowLiveDetector):
    """A toy that can leave out a cue, and then judges by other weights."""

    cues = ("style flow", "content")

    def without(self, cue: str) -> StyleFlowLiveDetector:
        return toy_network(1 + self.cues.index(cue))


def test_single_conditions_of_the_grid_are_tried_by_name(clips: Path, tmp_path: Path) -> None:
    few = "--limit", "2", "--seconds", "1"
    asked = "--condition", "half size", "--condition", "H.264 crf 35"

    result = evaluate(clips, tmp_path / "out", *few, *asked)

    assert result.exit_code == 0, result.output
    assert list(metrics(tmp_path / "out")["robustness"]) == ["H.264 crf 35", "half size"]


def test_a_condition_that_the_grid_lacks_is_one_line_with_those_that_there_are(
    clips: Path, tmp_path: Path
) -> None:
    result = evaluate(clips, tmp_path / "out", "--condition", "half-size")

    assert result.exit_code == Exit.ERROR
    assert "no condition is named 'half-size'; there are" in result.stderr
    assert "half size" in result.stderr


def test_a_detector_that_offers_it_is_judged_without_each_cue(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pipeline_of(network: StyleFlowLiveDetector) -> Pipeline:
        return Pipeline(
            [Device(network, 8)],
            lambda: Perception(CentreFinder(), [network.clip]),
            EAGER,
            ManualClock(),
        )

    whole = toy_network()
    whole.__class__ = TwoCues
    monkeypatch.setattr(wiring, "pipeline", lambda *a, **k: pipeline_of(whole))
    monkeypatch.setattr(wiring, "around", lambda settings, clock, made: pipeline_of(made))
    result = evaluate(clips, tmp_path / "out", "--limit", "2", "--ablate")
    assert result.exit_code == Exit.OK, result.output
    by_cue = metrics(tmp_path / "out")["video"]["by_cue"]
    assert list(by_cue) == ["without style flow", "without content"]
    assert "Which cue carries what" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--split", "train"], "its splits: dev"),
        (["--ablate"], "run without --ablate"),
    ],
)
@pytest.mark.usefixtures("toy")
def test_a_fault_is_one_line_that_says_what_to_change(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], said: str
) -> None:
    monkeypatch.setattr(StyleFlowLiveDetector, "cues", ("style flow",))
    result = evaluate(clips, tmp_path / "out", *more)
    assert result.exit_code == Exit.ERROR
    assert len(result.stderr.strip().splitlines()) == 1
    assert said in result.stderr


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere.csv", "write NAME=FOLDER"),
        ("celeb-df-v2=nowhere", "is no folder"),
        ("celebs=.", "there is no data set 'celebs'"),
    ],
)
def test_clips_that_are_not_there_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = evaluate(place, tmp_path / "out")
    assert result.exit_code == Exit.ERROR
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("toy")
def test_the_folder_of_a_manifest_is_the_manifest(clips: Path, tmp_path: Path) -> None:
    """A run that was begun with one goes on with the other: nothing is looked at twice."""
    assert evaluate(clips.parent, tmp_path).exit_code == Exit.OK
    found = metrics(tmp_path)["provenance"]
    (tmp_path / "metrics.json").unlink()
    records = (tmp_path / "records.jsonl").read_bytes()
    assert evaluate(clips, tmp_path).exit_code == Exit.OK
    again = metrics(tmp_path)["provenance"]
    keys = ("data", "manifest", "manifest_sha256")
    assert [again[key] for key in keys] == [found[key] for key in keys]
    assert found["manifest"] == "manifest.csv"
    assert (tmp_path / "records.jsonl").read_bytes() == records


@pytest.mark.usefixtures("toy")
def test_a_published_data_set_is_evaluated_by_its_name(clips: Path, tmp_path: Path) -> None:
    """Its folder needs no manifest, and what is noted of it is the same wherever it lies."""
    folders = [tmp_path / name for name in ("here", "there")]
    names = ("Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")
    for folder in folders:
        for name, clip in zip(names, ("r1.mp4", "f1.mp4"), strict=True):
            (folder / name).parent.mkdir(parents=True)
            (folder / name).symlink_to(clips.parent / clip)
        (folder / "YouTube-real").mkdir()
        listed = "1 Celeb-real/id0_0000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n"
        (folder / "List_of_testing_videos.txt").write_text(listed)
    made = []
    for folder in folders:
        out = tmp_path / f"out-{folder.name}"
        result = evaluate(f"celeb-df-v2={folder}", out, "--split", "test")
        assert result.exit_code == Exit.OK, result.output
        made.append(metrics(out)["provenance"])
        records = (out / "records.jsonl").read_text()
        assert all(name in records for name in names)
    assert made[0]["data"] == made[0]["manifest"] == "celeb-df-v2"
    assert made[0]["manifest_sha256"] == made[1]["manifest_sha256"]
    assert len(made[0]["manifest_sha256"]) == 64
    wrong = evaluate(f"celeb-df-v2={folders[0]}", tmp_path / "other")
    assert "its splits: test" in " ".join(wrong.stderr.split())


@pytest.mark.usefixtures("toy")
def test_results_repeat_themselves_and_fill_a_table(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(clips, out, "--data", "discs", "--trained-on", "nothing")
    file = str(out / "metrics.json")
    same = RUNNER.invoke(app, ["evaluate", "check", str(out), file])
    assert (same.exit_code, "every figure" in same.stdout) == (Exit.OK, True)
    table = RUNNER.invoke(app, ["evaluate", "compare", file, "--out", str(tmp_path / "table")])
    assert table.exit_code == Exit.OK
    assert "| discs (dev) |" in table.stdout.splitlines()[0]
    assert (tmp_path / "table" / "table.md").read_text() == table.stdout
    (cell,) = json.loads((tmp_path / "table" / "table.json").read_text())
    assert (cell["data"], cell["trained_on"]) == ("discs (dev)", "nothing")

    other = metrics(out)
    other["provenance"]["weights_sha256"] = "another"
    (tmp_path / "other.json").write_text(json.dumps(other))
    differs = RUNNER.invoke(app, ["evaluate", "check", file, str(tmp_path / "other.json")])
    assert differs.exit_code == Exit.ERROR
    assert differs.stdout.startswith("weights_sha256: ")


@pytest.mark.parametrize("command", [[], ["clips"], ["compare"], ["check"]])
def test_help_teaches(command: list[str]) -> None:
    result = RUNNER.invoke(app, ["evaluate", *command, "--help"])
    assert result.exit_code == 0
    assert len(result.stdout.split()) > 20


@pytest.mark.usefixtures("toy")
def test_one_job_looks_here_and_in_order(clips: Path) -> None:
    wanted = RunnerSettings(Settings(), clips.parent, offline=False)
    tasks = [(entry, PLAIN) for entry in read_manifest(clips).entries]
    found = evaluate_all(EvaluationRunner(wanted), wanted, tasks, jobs=1)
    assert [record.clip for record in found] == [entry.path.name for entry, _ in tasks]


@pytest.mark.slow
def test_more_jobs_find_the_same(clips: Path) -> None:
    """Processes of their own, with the real finder and the seeded untrained network."""
    finder_or_skip()
    wanted = RunnerSettings(Settings(), clips.parent, untrained=True)
    tasks = [(entry, PLAIN) for entry in read_manifest(clips).entries]
    look: Callable[[int], Any] = lambda jobs: sorted(  # noqa: E731
        evaluate_all(EvaluationRunner(wanted), wanted, tasks, jobs), key=lambda record: record.clip
    )
    assert look(1) == look(2)


@pytest.mark.usefixtures("toy")
def test_false_incidents_have_a_poisson_interval_and_a_budget_of_other_weights_says_so(
    clips: Path, tmp_path: Path
) -> None:
    assert evaluate(clips, tmp_path).exit_code == 0
    found = json.loads((tmp_path / "metrics.json").read_text())["streaming"]["false_incidents"]
    by_thresholds = found["thresholds"]
    assert by_thresholds["incidents"] == 0
    # No event in t hours: the rate is below 3.69 / t with 97.5 %.
    assert by_thresholds["per_hour"]["high"] == pytest.approx(
        3.689 / by_thresholds["hours"], rel=0.001
    )
    assert found["budget"] is None
    assert "known trials are of" in found["budget_missing"]
    report = (tmp_path / "report.html").read_text()
    assert "false incidents per hour, by thresholds" in report
