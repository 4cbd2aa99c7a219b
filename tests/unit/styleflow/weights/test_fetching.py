"""Published detectors fetched from a hub on this machine, and what cannot be."""

from __future__ import annotations

import errno
import shutil
import threading
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file, save

from styleflow.detectors.gend.published import PUBLISHED
from styleflow.detectors.registry import PUBLISHED as NAMES
from styleflow.errors import CheckpointInvalid, DownloadFailed, DownloadUnknown
from styleflow.weights import fetching
from styleflow.weights.checkpoint import load
from styleflow.weights.fetching import Offer, fetch, look_up
from styleflow.weights.hub import Hub, Limits
from styleflow.weights.importing import import_files
from styleflow.weights.places import fetched, fetched_path
from tests.support.foundation import SLIM, write_authors_files
from tests.support.hub import COMMIT, HubServer, serving

CLIP = "gend-clip-l14"
REPOS = {
    "gend-clip-l14": "yermandy/GenD_CLIP_L_14",
    "gend-pe-l": "yermandy/GenD_PE_L",
    "gend-dinov3-l": "yermandy/GenD_DINOv3_L",
}
MODEL = f"{REPOS[CLIP]}/model.safetensors"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Encoders of toy size, and a cache of this test's own."""
    for name, files in list(PUBLISHED.items()):
        dims = replace(files.tensors.dimensions, encoder=SLIM[name])
        small = replace(files, tensors=replace(files.tensors, dimensions=dims))
        monkeypatch.setitem(PUBLISHED, name, small)
    monkeypatch.setenv("STYLEFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    files = {}
    for name, repo in REPOS.items():
        for path in write_authors_files(name, tmp_path / name):
            files[f"{repo}/{path.name}"] = path.read_bytes()
    with serving(files) as made:
        yield made


@pytest.fixture
def hub(server: HubServer) -> Iterator[Hub]:
    with Hub(server.endpoint, None, Limits(attempts=2, piece_bytes=1000), lambda _: None) as made:
        yield made


def left(cache: Path) -> list[str]:
    """Return what lies in the folder of downloads, locks aside."""
    return [p.name for p in (cache / "downloads").rglob("*") if p.is_file() and p.suffix != ".lock"]


@pytest.mark.parametrize("name", REPOS)
def test_a_page_of_the_hub_becomes_a_checkpoint(
    name: str, hub: Hub, cache: Path, tmp_path: Path
) -> None:
    offer = look_up(name, hub)
    assert [file.repo for file in offer.files] == [REPOS[name]] * 2
    told: dict[str, int] = {}
    path = fetch(offer, hub, lambda file, have, total: told.update({file: have}))
    assert path == fetched(name) == cache / "detectors" / f"{name}.safetensors"
    by_hand, _ = import_files(sorted((tmp_path / name).iterdir()), name)
    checkpoint = load(path)
    assert checkpoint.sha256 == by_hand.sha256
    assert checkpoint.dimensions == by_hand.dimensions
    assert f"at revision {COMMIT}" in checkpoint.provenance
    assert told == {file.name: file.size for file in offer.files}
    assert left(cache) == []


def test_looking_up_says_size_and_licence_and_downloads_nothing(
    hub: Hub, server: HubServer
) -> None:
    offer = look_up(CLIP, hub)
    assert offer.size == len(server.files[MODEL]) + len(server.files[f"{REPOS[CLIP]}/config.json"])
    assert offer.licence == "GenD MIT; encoder CLIP MIT"
    assert not offer.terms
    assert {asked.method for asked in server.asked} == {"HEAD"}


def test_dinov3s_own_licence_is_named_with_its_address(hub: Hub) -> None:
    offer = look_up("gend-dinov3-l", hub)
    assert "DINOv3 License" in offer.licence
    assert offer.terms.startswith("https://ai.meta.com/")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REPOS])
def test_other_detectors_say_by_name_what_to_bring(name: str, hub: Hub, server: HubServer) -> None:
    with pytest.raises(DownloadUnknown) as caught:
        look_up(name, hub)
    assert f"no stable address is known for {name}" in str(caught.value)
    assert f"styleflow checkpoints import {name}" in caught.value.hint
    assert server.asked == []


def test_without_a_network_it_says_which_file_to_bring_from_where() -> None:
    with Hub("http://127.0.0.1:1") as away, pytest.raises(DownloadFailed) as caught:
        look_up(CLIP, away)
    assert "127.0.0.1 cannot be reached" in str(caught.value)
    page = f"https://huggingface.co/{REPOS[CLIP]}"
    assert f"bring model.safetensors and config.json from {page}" in caught.value.hint
    assert f"import {CLIP} model.safetensors config.json" in caught.value.hint


def test_a_fetch_that_broke_off_goes_on_at_its_byte(
    hub: Hub, server: HubServer, cache: Path
) -> None:
    offer = look_up(CLIP, hub)
    server.cuts = [5000, 5000]
    with pytest.raises(DownloadFailed, match="2 times"):
        fetch(offer, hub)
    assert fetched(CLIP) is None
    assert left(cache) == [offer.files[0].part]
    fetch(offer, hub)
    assert server.bytes_asked()[-1].range == "bytes=10000-"
    assert fetched(CLIP) is not None


@pytest.mark.parametrize("content", [b"\x80\x04K*.", b"<!doctype html>", b""])
def test_what_is_no_safetensors_is_refused(
    content: bytes, hub: Hub, server: HubServer, cache: Path
) -> None:
    """A pickle, were it as harmless as this one, is not even read."""
    server.files[MODEL] = content
    with pytest.raises(CheckpointInvalid, match="not the safetensors file"):
        fetch(look_up(CLIP, hub), hub)
    assert fetched(CLIP) is None
    assert left(cache) == []


def test_another_detectors_file_is_refused_and_removed(
    hub: Hub, server: HubServer, cache: Path, tmp_path: Path
) -> None:
    tensors = load_file(tmp_path / CLIP / "model.safetensors")
    tensors.pop("model.linear.weight")
    server.files[MODEL] = save(tensors | {"other": torch.zeros(1)})
    with pytest.raises(CheckpointInvalid, match=r"head\.weight"):
        fetch(look_up(CLIP, hub), hub)
    assert fetched(CLIP) is None
    assert left(cache) == []


def test_what_is_left_of_an_earlier_version_goes_with_the_fetch(
    hub: Hub, server: HubServer, cache: Path
) -> None:
    """Half of a file that its authors have replaced would lie there for ever."""
    whole = server.files[MODEL]
    server.files[MODEL], server.cuts = b"x" * 20_000, [5000, 5000]
    with pytest.raises(DownloadFailed):
        fetch(look_up(CLIP, hub), hub)
    assert len(left(cache)) == 1
    server.files[MODEL] = whole
    fetch(look_up(CLIP, hub), hub)
    assert left(cache) == []


def test_a_failed_fetch_leaves_the_earlier_checkpoint(hub: Hub, server: HubServer) -> None:
    path = fetch(look_up(CLIP, hub), hub)
    before = path.read_bytes()
    server.files[MODEL] = b"x" * 1000
    with pytest.raises(CheckpointInvalid):
        fetch(look_up(CLIP, hub), hub)
    assert path.read_bytes() == before


def test_two_fetches_do_not_collide(hub: Hub, cache: Path) -> None:
    offer = look_up(CLIP, hub)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with FileLock(cache / "downloads" / f"{CLIP}.lock"):
            held.set()
            done.wait(30)

    (cache / "downloads").mkdir(parents=True)
    other = threading.Thread(target=hold)
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(DownloadFailed, match="is being fetched already"):
            fetch(offer, hub)
        assert left(cache) == []
    finally:
        done.set()
        other.join()
    assert fetch(offer, hub).is_file()


Usage = namedtuple("Usage", "total used free")


def test_a_disk_without_room_is_said_before_the_download(
    hub: Hub, server: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = look_up(CLIP, hub)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 10, 2 * offer.size - 1))
    with pytest.raises(DownloadFailed) as caught:
        fetch(offer, hub)
    assert str(cache / "downloads") in str(caught.value)
    assert fetching.megabytes(2 * offer.size) in str(caught.value)
    assert server.bytes_asked() == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 10, 2 * offer.size))
    assert fetch(offer, hub).is_file()


@pytest.mark.parametrize("during", ["download", "import"])
def test_a_disk_that_fills_up_names_folder_and_need(
    during: str, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = look_up(CLIP, hub)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if during == "import":
            patch.setattr(fetching, "save", full)
        with pytest.raises(DownloadFailed) as caught:
            fetch(offer, hub, full if during == "download" else None)
    assert str(cache / "downloads") in str(caught.value)
    assert fetching.megabytes(2 * offer.size) in str(caught.value)
    assert "STYLEFLOW_CACHE" in caught.value.hint
    assert fetch(offer, hub).is_file()


def test_ctrl_c_during_the_import_keeps_the_download(
    hub: Hub, server: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = look_up(CLIP, hub)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(offer, hub)
    assert sorted(left(cache)) == sorted(file.part for file in offer.files)
    before = len(server.bytes_asked())
    assert fetch(offer, hub) == fetched_path(CLIP)
    assert len(server.bytes_asked()) == before


def test_files_of_a_page_come_from_one_revision(hub: Hub, server: HubServer) -> None:
    offer: Offer = look_up(CLIP, hub)
    server.asked.clear()
    fetch(offer, hub)
    hub_paths = [asked.path for asked in server.asked if asked.server == "hub"]
    assert len(hub_paths) == 2
    assert all(f"/resolve/{COMMIT}/" in path for path in hub_paths)
