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
NEEDED = {
    *(f"{package}/py.typed" for package in PACKAGES),
    "styleflow/weights/styleflow-live.safetensors",
    "styleflow/faces/face_models_check.npz",
    "web/static/docs.html",
    "web/static/docs.js",
    "web/static/icon.svg",
    "web/static/style.css",
}

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
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_the_wheel_holds_what_it_needs(wheel: Path) -> None:
    """Every module, the weights, the page where it has been built, and the marks of typed code."""
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if not path.is_relative_to(ROOT / "web" / "dashboard")  # makes the page; not installed
    }
    wanted = NEEDED | modules
    if (ROOT / PAGE).is_file():
        wanted |= {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / PAGE).parent.rglob("*")
            if path.is_file()
        }
    assert wanted - contents(wheel) == set()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    """No tests, no TypeScript, no benchmarks, no caches."""
    for name in contents(wheel):
        path = PurePosixPath(name)
        top = path.parts[0]
        assert top in PACKAGES or top.endswith(".dist-info"), name
        if top.endswith(".dist-info") or name in NEEDED:
            continue
        assert path.suffix == ".py" or name.startswith("web/static/dashboard/"), name
        assert not {"tests", "node_modules", "__pycache__"} & set(path.parts), name
        assert not name.startswith("web/dashboard/"), name


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
