"""The tests lie as the code does: `tests/unit/ROOM/test_MODULE.py` is about `ROOM/MODULE.py`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"

ABOUT_MORE_THAN_A_MODULE = {
    "cli/test_light_imports.py": "what commands load, in fresh interpreters",
    "cli/test_default_figures.py": "committed figures against an evaluation of the shipped weights",
    "cli/test_training.py": "prepare, train and preview, one after the other",
    "cli/test_training_methods.py": "every training method through the command line",
    "stream/device/test_beside.py": "lanes, transfers and recorded calls under the device",
    "stream/device/test_published_detectors.py": "the device with each published detector",
    "stream/store/test_killed.py": "what a killed process leaves behind",
    "stream/ingest/test_hardware_decoding.py": "a GPU's decoder, and what it falls back to",
    "stream/publish/test_protocol_page.py": "docs/protocol.md against the schema",
    "stream/test_pictures_on_a_device.py": "pictures on a device from the decoder to the scores",
    "stream/test_side_by_side.py": "several detectors through perception, engine and device",
    "stream/test_too_little_time.py": "batcher and engines on a device that is too slow",
    "test_architecture.py": "imports of all packages",
    "test_deploy.py": "the files in deploy, and what the image has for them",
    "test_deploy_cluster.py": "the files in deploy that run a cluster",
    "test_documents.py": "README.md and the pages in docs",
    "test_errors.py": "every class of error, with how it is told",
    "test_layout.py": "tests of all packages",
    "test_makefile.py": "the Makefile",
    "test_words.py": "words of all packages and documents",
}
"""Tests that no single module is the subject of, and what they are about instead."""


def unit_tests() -> dict[str, Path]:
    """Return every unit test file by its name below `tests/unit`."""
    return {path.relative_to(UNIT).as_posix(): path for path in sorted(UNIT.rglob("test_*.py"))}


def subject(test: str) -> Path:
    """Return the module that a test file is about by its name."""
    path = ROOT / test
    return path.with_name(path.name.removeprefix("test_"))


def test_every_test_is_about_a_module() -> None:
    """A module's tests are found by its name; when it is renamed, they are, too."""
    astray = [
        test
        for test in unit_tests()
        if not subject(test).is_file() and test not in ABOUT_MORE_THAN_A_MODULE
    ]
    assert astray == []


def test_every_exception_is_needed() -> None:
    """The list names files that exist and that no module would explain."""
    assert set(ABOUT_MORE_THAN_A_MODULE) - unit_tests().keys() == set()
    assert [test for test in ABOUT_MORE_THAN_A_MODULE if subject(test).is_file()] == []
