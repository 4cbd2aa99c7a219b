"""The package as people install it: a wheel in a virtual environment, far from the sources.

Built without a network: with this environment's setuptools, and with the libraries that are
installed here, on which the new environment looks through a path file. Whether an index can resolve
the dependencies is not tested here.
"""

from __future__ import annotations

import json
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from stream.ingest.demo_scene import Scene
from tests.support.media import encode

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("styleflow", "stream", "web", "cli")
PAGE = "web/static/dashboard/index.html"
PAGES_SOURCES = ROOT / "web" / "dashboard"
NEEDED = {
    *(f"{package}/py.typed" for package in PACKAGES),
    "styleflow/weights/styleflow-live.safetensors",
    "styleflow/weights/model-card.md",
    "styleflow/faces/face_models_check.npz",
    "styleflow/weights/dinov2_check.npz",
    "web/static/docs.html",
}
FOREIGN = (".ts", ".tsx", ".map", ".pyc", ".yaml", ".csv", ".mp4")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

THREE_LINES = """
import json, sys
import styleflow

light = [name for name in ("torch", "cv2", "openvino", "av") if name in sys.modules]
detector = styleflow.load_detector("styleflow-live")
result = styleflow.analyze("clip.mp4", detector)
print(json.dumps({
    "file": styleflow.__file__,
    "version": styleflow.__version__,
    "light": light,
    "model": result.model.name,
    "source": result.source,
    "faces": len(result.faces),
    "frames": result.frames,
    "score": result.score,
    "verdict": result.verdict,
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command; return what it printed, or fail with all that it said."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy, so that no leftover of an earlier build is packed and none is left."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "*.egg-info")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, sources / package, ignore=ignored)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, sources)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ("--no-deps", "--no-index", "--no-build-isolation")
    run(*pip, "wheel", *offline, "--wheel-dir", folder, sources, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and sees the libraries of this one; its bin folder."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    (packages,) = (folder / "lib").glob("python*/site-packages")
    libraries = site.getsitepackages()
    (packages / "libraries.pth").write_text("\n".join(libraries) + "\n")  # follows no .pth there
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return folder / "bin"


def contents(wheel: Path) -> set[str]:
    """Return the files of a wheel, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    return {name for name in names if not name.partition("/")[0].endswith(".dist-info")}


def sources() -> set[str]:
    """Return the files of the packages: modules, data, and the page where it has been built."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if not path.is_relative_to(PAGES_SOURCES)
    }


def test_the_wheel_holds_what_it_needs(wheel: Path) -> None:
    """Every module and every file of data; the weights and the marks of typed code among them."""
    assert sources() - contents(wheel) == set()
    assert contents(wheel) >= NEEDED
    assert (PAGE in contents(wheel)) == (ROOT / PAGE).is_file()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    """No tests, no TypeScript, no benchmarks, no caches, no leftovers."""
    assert contents(wheel) - sources() == set()
    for name in contents(wheel):
        path = PurePosixPath(name)
        assert path.parts[0] in PACKAGES, name
        assert path.suffix not in FOREIGN, name
        assert not {"tests", "node_modules"} & set(path.parts), name


def test_three_lines_of_the_installed_package(environment: Path, tmp_path: Path) -> None:
    """The README's three lines, on a clip of the demo's talking head, far from the sources."""
    scene = Scene((320, 240), 25.0, 0)
    encode(tmp_path / "clip.mp4", (scene.authentic(i) for i in range(50)))
    said = json.loads(run(environment / "python", "-I", "-c", THREE_LINES, cwd=tmp_path))
    assert Path(said["file"]).is_relative_to(environment.parent)
    assert said["light"] == []
    assert said["model"] == "styleflow-live"
    assert said["source"] == "clip.mp4"
    assert said["faces"] == 1
    assert said["frames"] >= 20
    assert 0 <= said["score"] <= 1
    assert said["verdict"] in ("pending", "clear", "suspect")


def test_the_installed_command_line_runs(environment: Path, wheel: Path, tmp_path: Path) -> None:
    styleflow = environment / "styleflow"
    assert "Watch live video" in run(styleflow, "--help", cwd=tmp_path)
    assert run(styleflow, "--version", cwd=tmp_path).strip() == wheel.name.split("-")[1]
    (tmp_path / "mine.yaml").write_text(run(styleflow, "config", "defaults", cwd=tmp_path))
    assert "good" in run(styleflow, "config", "check", "mine.yaml", cwd=tmp_path)
