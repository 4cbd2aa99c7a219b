"""From the authors' files to scores: import, look, analyze, /predict; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from cli import wiring
from cli.errors import Exit
from cli.main import app
from cli.settings import load
from stream.clock import ManualClock
from styleflow.clips import Framing
from styleflow.detectors.caddm.network import CaddmDims
from styleflow.detectors.fakestormer.backbone import FakeStormerDims
from styleflow.detectors.registry import PUBLISHED
from styleflow.detectors.styleflow.live import StyleFlowDetector
from styleflow.weights.importing import publications
from tests.support.authors import authors_files, shrink
from tests.support.media import encode, moving_pictures
from tests.support.path import CentreFinder
from tests.support.web import WebRig
from web.settings import WebSettings

RUNNER = CliRunner()
TOYS: dict[str, Any] = {
    "caddm-resnet34": CaddmDims(backbone="resnet10-slim", window=3),
    "fakestormer-c23": FakeStormerDims(
        image_px=32, patch_px=8, width=24, depth=2, heads=3, frames=4
    ),
}
EVERY_DETECTOR = pytest.mark.parametrize("name", ["styleflow", *TOYS])
EAGER = "engine: {warmup_s: 0, min_face_px: 10, min_sharpness: 0, min_brightness: 0, hop_s: 0.4}\n"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published layouts of toy size, and a finder that always sees a face."""
    shrink(monkeypatch, TOYS)
    monkeypatch.setattr(wiring, "load_finder", lambda device, runtime: CentreFinder())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "disc.mp4"
    return encode(path, moving_pictures(60), gop=30)


def ran(*arguments: object, code: int = Exit.OK) -> Any:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def refused(*arguments: object, code: int = Exit.ERROR) -> str:
    """Return the one line that a command says when it cannot."""
    text = str(ran(*arguments, code=code).stderr).strip()
    assert "Traceback" not in text
    assert len(text.splitlines()) == 1, text
    return text


def imported(name: str, folder: Path) -> Path:
    out = folder / f"{name}.safetensors"
    ran("checkpoints", "import", name, *authors_files(name, folder), "--out", out)
    return out


@pytest.mark.parametrize("hop_s", [0.04, 0.32, 1.28, 2.0])
def test_styleflow_is_laid_out_for_the_engines_hop(hop_s: float, tmp_path: Path) -> None:
    """What the configuration calls a hop, the detector prepares for; longer ones share nothing."""
    config = tmp_path / "styleflow.yaml"
    config.write_text(
        f"engine: {{hop_s: {hop_s}}}\n"
        f"detectors: [{{name: styleflow, checkpoint: {imported('styleflow', tmp_path)}}}]\n"
    )
    settings = load(config, {})
    made = wiring.detector(settings.detectors[0], settings)
    assert isinstance(made, StyleFlowDetector)
    assert made.hop == min(round(hop_s * 25), 32)


def test_what_psp_is_fed_is_a_choice(clip: Path, tmp_path: Path) -> None:
    """The checkpoint says it and the configuration may say otherwise; scores differ."""
    files = authors_files("styleflow", tmp_path)
    found = []
    for said, configured in (("clip", ""), ("ffhq", ""), ("clip", ", psp_input: ffhq")):
        out = tmp_path / "styleflow.safetensors"
        ran("checkpoints", "import", "styleflow", *files, "--out", out, "--psp-input", said)
        config = tmp_path / "styleflow.yaml"
        config.write_text(
            EAGER + f"detectors: [{{name: styleflow, checkpoint: {out}{configured}}}]\n"
        )
        settings = load(config, {})
        made = wiring.detector(settings.detectors[0], settings)
        wide = "ffhq" in said + configured
        assert made.clip.framing is (Framing.STYLEFLOW_WIDE if wide else Framing.STYLEFLOW)
        answer = json.loads(ran("analyze", clip, "--config", config, "--json").stdout)
        found.append(answer["tracks"][0]["scores"][-1]["p"])
    assert found[1] == found[2] != found[0]


def test_only_styleflow_has_a_style_encoder_to_feed(tmp_path: Path) -> None:
    config = tmp_path / "caddm.yaml"
    config.write_text("detectors: [{name: caddm-resnet34, psp_input: ffhq}]\n")
    said = refused("config", "check", config, code=Exit.USAGE)
    assert "detectors[0].psp_input" in said
    assert "only styleflow" in said


@EVERY_DETECTOR
async def test_from_the_authors_files_to_a_score(name: str, clip: Path, tmp_path: Path) -> None:
    """Imported, analyzed and predicted: one set of weights, one score, said to be uncalibrated."""
    checkpoint = imported(name, tmp_path)
    config = tmp_path / "styleflow.yaml"
    config.write_text(EAGER + f"detectors: [{{name: {name}, checkpoint: {checkpoint}}}]\n")
    result = RUNNER.invoke(
        app,
        f"analyze {clip} --json --config {config} --detector {name} --weights {checkpoint}".split(),
    )
    analysis = json.loads(result.stdout)
    assert (
        result.exit_code
        == {
            "clear": Exit.OK,
            "suspect": Exit.SUSPECT,
            "pending": Exit.NO_VERDICT,
        }[analysis["verdict"]]
    )
    assert analysis["score"] is not None
    assert analysis["model"]["name"] == name
    assert analysis["model"]["status"] == "uncalibrated"
    assert "uncalibrated" in analysis["notice"]
    predictor = wiring.predictor(load(config, {}), ManualClock())
    rig = WebRig(WebSettings(predict_roots=(clip.parent,)), predictor=predictor)
    async with rig.client() as http:
        answer = await http.post(f"/predict?detector={name}", json={"file_path": clip.name})
        unknown = await http.post("/predict?detector=xception", json={"file_path": clip.name})
        both = await http.post(
            f"/predict?detector={name}", json={"file_path": clip.name, "detector": "xception"}
        )
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["model"] == analysis["model"]
    assert body["score"] == pytest.approx(analysis["score"], abs=1e-6)
    assert body["tracks"][0]["scores"]
    assert (unknown.status_code, unknown.json()["code"]) == (422, "detector_unknown")
    assert (both.status_code, both.json()["code"]) == (422, "detector_twice")


@EVERY_DETECTOR
def test_authors_files_are_imported_on_the_fly(name: str, clip: Path, tmp_path: Path) -> None:
    files = authors_files(name, tmp_path)
    config = tmp_path / "styleflow.yaml"
    config.write_text(EAGER)
    weights = [part for file in files for part in ("--weights", str(file))]
    arguments = ["analyze", str(clip), "--json", "--config", str(config), "--detector", name]
    result = RUNNER.invoke(app, [*arguments, *weights])
    assert json.loads(result.stdout)["model"]["version"].startswith("published-")


@EVERY_DETECTOR
def test_a_detector_without_weights_refuses_to_score(name: str, clip: Path) -> None:
    """It says which file it wants, where that is published, and how to bring it in."""
    said = refused("analyze", clip, "--detector", name)
    assert "no weights" in said
    assert "https://github.com/" in said
    assert f"styleflow checkpoints import {name}" in said


def test_only_on_request_are_weights_random(clip: Path, tmp_path: Path) -> None:
    config = tmp_path / "styleflow.yaml"
    config.write_text(EAGER)
    arguments = ("analyze", clip, "--config", config, "--detector", "caddm-resnet34")
    result = ran(*arguments, "--untrained", "--json", code=Exit.NO_VERDICT)
    assert json.loads(result.stdout)["model"]["status"] == "untrained"


def test_a_configured_file_that_is_not_there_is_named(clip: Path, tmp_path: Path) -> None:
    config = tmp_path / "styleflow.yaml"
    config.write_text("detectors: [{name: caddm-resnet34, checkpoint: weights/none.safetensors}]\n")
    assert "none.safetensors is not there" in refused("analyze", clip, "--config", config)
    assert "is not here" in refused("config", "check", config, code=Exit.USAGE)


def test_another_detectors_weights_are_refused(clip: Path, tmp_path: Path) -> None:
    weights = imported("caddm-resnet34", tmp_path)
    said = refused("analyze", clip, "--detector", "fakestormer-c23", "--weights", weights)
    assert "holds 'caddm-resnet34', not 'fakestormer-c23'" in said


def test_an_import_says_what_is_missing_and_left_over(tmp_path: Path) -> None:
    (file,) = authors_files("caddm-resnet34", tmp_path)
    content = torch.load(file)
    state = content["network"]
    del state["module.fc.bias"]
    state["module.fc.prior"] = torch.zeros(2)
    torch.save(content, file)
    said = refused("checkpoints", "import", "caddm-resnet34", file, "--out", tmp_path / "out")
    assert "1 missing: fc.bias" in said
    assert "1 not known to the network: fc.prior" in said
    assert not (tmp_path / "out").exists()


def test_an_import_overwrites_no_authors_file(tmp_path: Path) -> None:
    (file,) = authors_files("caddm-resnet34", tmp_path)
    before = file.read_bytes()
    said = refused("checkpoints", "import", "caddm-resnet34", file, "--out", file)
    assert "would be overwritten" in said
    assert file.read_bytes() == before
    said = refused("checkpoints", "import", "caddm-resnet34", file, "--out", tmp_path)
    assert "is a folder" in said


def test_styleflow_needs_all_its_parts(tmp_path: Path) -> None:
    psp, gru, _ = authors_files("styleflow", tmp_path)
    said = refused("checkpoints", "import", "styleflow", psp, gru)
    assert "also needs the file of its stage 2" in said
    assert "second pSp encoder" in refused("checkpoints", "import", "styleflow", psp, psp)


def test_info_knows_our_files_and_theirs(tmp_path: Path) -> None:
    ours = ran("checkpoints", "info", imported("fakestormer-c23", tmp_path)).stdout
    assert "academic and research use only" in ours
    assert "uncalibrated" in ours
    theirs = ran("checkpoints", "info", *authors_files("caddm-resnet34", tmp_path)).stdout
    assert "caddm-resnet34" in theirs
    for part, file in zip(
        ("pSp encoder", "StyleGRU", "stage 2"), authors_files("styleflow", tmp_path), strict=True
    ):
        assert f"StyleFlow's {part}" in ran("checkpoints", "info", file).stdout
    torch.save({"weight": torch.zeros(1)}, tmp_path / "odd.pt")
    assert "no detector" in refused("checkpoints", "info", tmp_path / "odd.pt")
    assert "no such file" in refused("checkpoints", "info", tmp_path / "nowhere")


def test_the_list_names_every_published_file_and_its_licence() -> None:
    """Addresses stay in one piece on a terminal of any width."""
    lines = ran("checkpoints", "list").stdout.splitlines()
    assert all(name in lines for name in PUBLISHED)
    for name in PUBLISHED:
        for publication in publications(name):
            assert f"  {publication.file}" in lines
            assert f"    where    {publication.page}" in lines
            assert f"    licence  {publication.licence}" in lines
    assert any("academic" in line for line in lines)


def test_an_ensemble_is_fitted_configured_and_heard(clip: Path, tmp_path: Path) -> None:
    """From a CSV of validation scores to a score named ensemble, tied to the members' weights."""
    names = list(TOYS)
    checkpoints = {name: imported(name, tmp_path) for name in names}
    config = tmp_path / "styleflow.yaml"
    detectors = [{"name": name, "checkpoint": str(path)} for name, path in checkpoints.items()]
    config.write_text(EAGER + f"detectors: {json.dumps(detectors)}\n")
    scores = tmp_path / "scores.csv"
    rows = [f"{i // 4},{i % 2},{i % 2 * 2 - 1 + i % 3},{(i * 7 % 5) - 2}" for i in range(80)]
    scores.write_text("\n".join([f"group,label,{','.join(names)}", *rows]))
    out = tmp_path / "ensemble.json"
    said = ran("ensemble", "fit", scores, "--out", out, "--config", config).stdout
    assert "80 samples" in said
    assert "held-out" in said
    config.write_text(config.read_text() + f"ensemble: {out}\n")
    result = RUNNER.invoke(
        app, f"analyze {clip} --json --config {config} --detector ensemble".split()
    )
    body = json.loads(result.stdout)
    assert body["model"]["name"] == "ensemble"
    assert body["score"] is not None
    assert body["model"]["status"] == "uncalibrated"


def test_there_is_no_ensemble_that_was_not_fitted(clip: Path, tmp_path: Path) -> None:
    """Neither asked for by name nor configured does it fall back to an average."""
    config = tmp_path / "styleflow.yaml"
    both = ", ".join(f"{{name: {name}}}" for name in TOYS)
    config.write_text(EAGER + f"detectors: [{both}]\n")
    asked = ("analyze", clip, "--config", config, "--untrained")
    assert "styleflow ensemble fit" in refused(*asked, "--detector", "ensemble")
    config.write_text(config.read_text() + f"ensemble: {tmp_path / 'none.json'}\n")
    for more in ((), ("--detector", "ensemble")):
        said = refused(*asked, *more)
        assert "none.json: cannot be read" in said
        assert "styleflow ensemble fit" in said
    assert "none.json is not here" in refused(
        "config", "check", "--untrained", config, code=Exit.USAGE
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label,a\n0,1", "two or more"),
        ("a,b\n1,2", "needs a column `label`"),
        ("label,a,b\n0,1,much", "line 2 holds no number"),
    ],
)
def test_scores_that_cannot_be_fitted_are_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    assert said in refused("ensemble", "fit", path, "--out", tmp_path / "out.json")


def test_analyze_draws_what_a_detector_points_at(clip: Path, tmp_path: Path) -> None:
    weights, config = imported("fakestormer-c23", tmp_path), tmp_path / "styleflow.yaml"
    config.write_text(EAGER)
    folder = tmp_path / "pictures"
    arguments = ["analyze", clip, "--config", config, "--detector", "fakestormer-c23"]
    result = RUNNER.invoke(
        app, [str(a) for a in (*arguments, "--weights", weights, "--overlay", folder)]
    )
    pictures = list(folder.iterdir())
    assert f"annotated pictures: {len(pictures)}" in result.stdout
    assert pictures
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
