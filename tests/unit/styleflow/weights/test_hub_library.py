"""Downloads through huggingface_hub: the same file, the same bounds, nothing left behind."""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from styleflow.errors import DownloadFailed
from styleflow.weights.hub import Hub, HubFile, Limits
from tests.support.hub import COMMIT, SIGNATURE, HubServer, serving

REPO = "someone/GenD"
MODEL, CONFIG = "model.safetensors", "config.json"
DATA = random.Random(0).randbytes(100_000)
TOKEN = "hf_never-to-be-seen"


@pytest.fixture
def server() -> Iterator[HubServer]:
    with serving({f"{REPO}/{MODEL}": DATA, f"{REPO}/{CONFIG}": b'{"head": "linear"}'}) as made:
        yield made


@pytest.fixture
def hub(server: HubServer) -> Iterator[Hub]:
    with Hub(server.endpoint, TOKEN, Limits(), library=True) as made:
        yield made


def failed(hub: Hub, file: HubFile, folder: Path) -> str:
    with pytest.raises(DownloadFailed) as caught:
        hub.download(file, folder)
    assert list(folder.iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize("name", [MODEL, CONFIG])
def test_a_file_comes_verified_and_alone(
    name: str, hub: Hub, server: HubServer, tmp_path: Path
) -> None:
    file = hub.look_up(REPO, name)
    told: list[int] = []
    path = hub.download(file, tmp_path, told.append)
    assert path.read_bytes() == server.files[f"{REPO}/{name}"]
    assert told[-1] == file.size
    assert list(tmp_path.iterdir()) == [path]
    assert any(f"/resolve/{COMMIT}/" in asked.path for asked in server.asked)


def test_the_token_stays_with_the_hub(hub: Hub, server: HubServer, tmp_path: Path) -> None:
    hub.download(hub.look_up(REPO, MODEL), tmp_path)
    assert server.bytes_asked()
    sent = {(asked.server, asked.authorization) for asked in server.asked}
    assert sent == {("hub", f"Bearer {TOKEN}"), ("cdn", None)}


def test_no_token_of_the_packages_own_is_sent(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with Hub(server.endpoint, library=True) as hub:
        hub.download(hub.look_up(REPO, MODEL), tmp_path)
    assert {asked.authorization for asked in server.asked} == {None}


def test_neither_token_nor_signed_address_is_ever_told(
    hub: Hub, server: HubServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = hub.look_up(REPO, MODEL)
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "httpx2"):
        hub.download(file, tmp_path).unlink()
        server.refusals = [404] * 9
        said = failed(hub, file, tmp_path)
    assert "huggingface_hub gave up" in said
    assert TOKEN not in caplog.text + said
    assert SIGNATURE not in caplog.text + said


def test_a_wrong_digest_removes_what_came(hub: Hub, server: HubServer, tmp_path: Path) -> None:
    server.digest = "a" * 64
    assert "differs from the hub's digest" in failed(hub, hub.look_up(REPO, MODEL), tmp_path)


def test_more_than_announced_is_stopped(hub: Hub, server: HubServer, tmp_path: Path) -> None:
    file = hub.look_up(REPO, MODEL)
    server.endless = 300  # thirty megabytes: several pieces
    assert "more came than the 100000 bytes" in failed(hub, file, tmp_path)


def test_without_the_package_it_says_so(
    hub: Hub, server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = hub.look_up(REPO, MODEL)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "huggingface_hub is not installed" in failed(hub, file, tmp_path)
    assert server.bytes_asked() == []
