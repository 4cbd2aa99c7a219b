"""`styleflow checkpoints fetch`: what is asked, shown, kept and used afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import wiring
from cli.errors import Exit
from cli.main import app
from cli.progress import DownloadBoard
from cli.settings import load
from styleflow.api import load_detector
from styleflow.detectors.gend.published import PUBLISHED
from styleflow.weights.places import fetched
from tests.support.foundation import SLIM, write_authors_files
from tests.support.hub import HubServer, serving

CLIP, DINO = "gend-clip-l14", "gend-dinov3-l"
REPOS = {CLIP: "yermandy/GenD_CLIP_L_14", DINO: "yermandy/GenD_DINOv3_L"}
TOKEN = "hf_never-to-be-seen"


@pytest.fixture(autouse=True)
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with encoders of toy size, and a cache of this test's own."""
    files = {}
    for name, repo in REPOS.items():
        layout = PUBLISHED[name]
        dims = replace(layout.tensors.dimensions, encoder=SLIM[name])
        small = replace(layout, tensors=replace(layout.tensors, dimensions=dims))
        monkeypatch.setitem(PUBLISHED, name, small)
        for path in write_authors_files(name, tmp_path / name):
            files[f"{repo}/{path.name}"] = path.read_bytes()
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving(files) as made:
        monkeypatch.setenv("HF_ENDPOINT", made.endpoint)
        yield made


def ran(*arguments: str, code: int = Exit.OK, answer: str = "") -> Any:
    result = CliRunner().invoke(app, ["checkpoints", *arguments], input=answer)
    assert result.exit_code == code, result.output
    assert TOKEN not in result.output
    return result


def refused(*arguments: str, code: int = Exit.ERROR) -> str:
    """Return the one line that says why."""
    line = ran(*arguments, code=code).stderr.strip()
    assert len(line.splitlines()) == 1, line
    return line


def test_licence_and_size_are_shown_and_asked_about_before(server: HubServer) -> None:
    said = ran("fetch", CLIP, answer="y\n").stdout
    shown, _, after = said.partition("Download it under this licence?")
    assert "https://huggingface.co/yermandy/GenD_CLIP_L_14" in shown
    assert "licence  GenD MIT; encoder CLIP MIT" in shown
    size = len(server.files[f"{REPOS[CLIP]}/model.safetensors"]) / 1e6
    assert f"model.safetensors  {size:.1f} MB" in shown
    assert f"ready: {fetched(CLIP)}" in after


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_nothing_comes_without_agreement(answer: str, server: HubServer) -> None:
    said = ran("fetch", CLIP, code=Exit.USAGE, answer=answer)
    assert "agree with --yes" in said.stderr
    assert {asked.method for asked in server.asked} == {"HEAD"}
    assert fetched(CLIP) is None


def test_dinov3s_licence_is_asked_about_by_its_name_and_address() -> None:
    said = ran("fetch", DINO, answer="n\n", code=Exit.USAGE)
    shown, _, _ = said.stdout.partition("Have you read these terms, and do you agree to them?")
    assert shown != said.stdout
    assert "DINOv3 License" in shown
    assert "https://ai.meta.com/resources/models-and-libraries/dinov3-license/" in shown


@pytest.mark.parametrize("how", [("fetch", CLIP, "--yes"), ("import", CLIP, "--fetch", "-y")])
def test_what_was_fetched_is_what_a_detector_without_a_file_uses(how: tuple[str, ...]) -> None:
    settings = load(None, {})
    ran(*how)
    wanted = wiring.DetectorConfig(name=CLIP)
    checkpoint = wiring.checkpoint(wanted, settings)
    assert checkpoint.version.startswith("published-")
    assert wiring.checkpoint(wanted, settings, untrained=True).sha256 == checkpoint.sha256
    assert load_detector(CLIP).card.sha256 == checkpoint.sha256


def test_a_configuration_without_a_file_is_good_once_it_was_fetched(tmp_path: Path) -> None:
    config = tmp_path / "gend.yaml"
    config.write_text(f"detectors: [{{name: {CLIP}}}]\n")
    before = CliRunner().invoke(app, ["config", "check", str(config)])
    assert before.exit_code == Exit.USAGE
    assert f"styleflow checkpoints fetch {CLIP}" in before.stderr
    ran("fetch", CLIP, "--yes")
    after = CliRunner().invoke(app, ["config", "check", str(config)])
    assert after.exit_code == Exit.OK, after.output


def test_what_is_there_is_not_fetched_twice_unasked(server: HubServer) -> None:
    ran("fetch", CLIP, "--yes")
    server.asked.clear()
    assert "is here already" in ran("fetch", CLIP, "--yes").stdout
    assert server.asked == []
    ran("fetch", CLIP, "--yes", "--again")
    assert len(server.asked) > 2


def test_ctrl_c_says_that_the_next_call_goes_on(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(board: DownloadBoard, file: str, have: int, size: int) -> None:
        if have:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DownloadBoard, "show", interrupt)
        assert "the next call goes on" in ran("fetch", CLIP, "--yes", code=130).stdout
    assert fetched(CLIP) is None
    ran("fetch", CLIP, "--yes")
    assert len(server.bytes_asked()) == 1, "the toy came in one piece, which was kept"


@pytest.mark.parametrize("name", ["caddm-resnet34", "styleflow", "fakestormer-c23"])
def test_detectors_without_an_address_say_what_to_bring(name: str, server: HubServer) -> None:
    for how in (("fetch", name), ("import", name, "--fetch")):
        said = refused(*how)
        assert f"no stable address is known for {name}" in said
        assert f"styleflow checkpoints import {name}" in said
    assert server.asked == []


def test_unknown_detectors_are_told_from_those_without_an_address() -> None:
    assert "There is no such detector" in refused("fetch", "gend")


def test_without_a_network_one_line_says_which_file_to_bring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    said = refused("fetch", CLIP, "--yes")
    assert "cannot be reached" in said
    assert "bring model.safetensors and config.json from https://huggingface.co/yermandy" in said


@pytest.mark.parametrize(("status", "said"), [(401, "HF_TOKEN"), (403, "terms"), (404, "not at")])
def test_refusals_of_the_hub_are_one_line(status: int, said: str, server: HubServer) -> None:
    server.refusals = [status]
    assert said in refused("fetch", CLIP, "--yes")


def test_files_and_fetch_exclude_each_other(tmp_path: Path) -> None:
    assert "FILES" in ran("import", CLIP, code=Exit.USAGE).stderr
    file = str(tmp_path / CLIP / "model.safetensors")
    assert "FILES" in ran("import", CLIP, file, "--fetch", code=Exit.USAGE).stderr
    assert "FILES" in ran("import", CLIP, "--fetch", "--out", "x", code=Exit.USAGE).stderr


def own_lines() -> list[str]:
    """Return the three lines of the list about this machine: disk, GPU and CPU."""
    text = ran("list").stdout.split(f"\n{CLIP}\n")[1].split("\n\n")[0]
    return [line.strip() for line in text.splitlines()][-3:]


def test_the_list_says_what_is_here_and_what_it_costs() -> None:
    """Nothing that was not measured on this machine is given as a number."""
    disk, gpu, cpu = own_lines()
    assert disk == f"on disk    not fetched; styleflow checkpoints fetch {CLIP}"
    assert gpu == "GPU memory not measured"
    assert cpu == "CPU time   not measured"
    ran("fetch", CLIP, "--yes")
    path = fetched(CLIP)
    assert path is not None
    disk, _, cpu = own_lines()
    assert disk == f"on disk    {path.stat().st_size / 1e6:.1f} MB at {path}"
    assert cpu.endswith("not measured")
    said = ran("measure", CLIP, "--precision", "float32").stdout
    assert "for a sampled frame of a face" in said
    _, gpu, cpu = own_lines()
    assert "ms for a sampled frame of a face" in cpu
    assert "torch" in cpu
    assert "float32" in cpu
    assert gpu.endswith("not measured")


@pytest.mark.parametrize(
    ("device", "said"), [("tpu", "a device is"), ("cuda:99", "There is no such device")]
)
def test_a_device_that_is_not_here_is_refused(device: str, said: str) -> None:
    assert said in ran("measure", CLIP, "--device", device, code=Exit.USAGE).stderr
