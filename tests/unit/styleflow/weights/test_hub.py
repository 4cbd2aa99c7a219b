"""Files of the hub against a real server on this machine that goes wrong in every way it can."""

from __future__ import annotations

import errno
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
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
def pauses() -> list[float]:
    return []


@pytest.fixture
def hub(server: HubServer, pauses: list[float]) -> Iterator[Hub]:
    limits = Limits(attempts=3, piece_bytes=1000)
    with Hub(server.endpoint, TOKEN, limits, pauses.append) as made:
        yield made


def refused(hub: Hub, name: str = MODEL) -> str:
    with pytest.raises(DownloadFailed) as caught:
        hub.look_up(REPO, name)
    return str(caught.value)


def failed(hub: Hub, file: HubFile, folder: Path) -> str:
    with pytest.raises(DownloadFailed) as caught:
        hub.download(file, folder)
    return str(caught.value)


def part_of(file: HubFile, folder: Path, data: bytes) -> Path:
    path = folder / file.part
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", [MODEL, CONFIG])
def test_a_file_comes_as_the_hub_describes_it(
    name: str, hub: Hub, server: HubServer, tmp_path: Path
) -> None:
    file = hub.look_up(REPO, name)
    data = server.files[f"{REPO}/{name}"]
    assert (file.commit, file.size) == (COMMIT, len(data))
    told: list[int] = []
    path = hub.download(file, tmp_path, told.append)
    assert path.read_bytes() == data
    assert told[0] == 0
    assert told[-1] == len(data)
    assert told == sorted(told)
    assert list(tmp_path.iterdir()) == [path]
    assert f"/resolve/{COMMIT}/" in server.asked[1].path


def test_looking_up_downloads_nothing(hub: Hub, server: HubServer) -> None:
    hub.look_up(REPO, MODEL)
    assert [asked.method for asked in server.asked] == ["HEAD"]


def test_a_renamed_page_is_followed(hub: Hub, server: HubServer, tmp_path: Path) -> None:
    server.moved["someone/Old"] = REPO
    file = hub.look_up("someone/Old", MODEL)
    assert hub.download(file, tmp_path).read_bytes() == DATA


def test_the_token_stays_with_the_hub(hub: Hub, server: HubServer, tmp_path: Path) -> None:
    hub.download(hub.look_up(REPO, MODEL), tmp_path)
    sent = {(asked.server, asked.authorization) for asked in server.asked}
    assert sent == {("hub", f"Bearer {TOKEN}"), ("cdn", None)}


def test_the_token_does_not_go_unprotected_over_the_network(monkeypatch: pytest.MonkeyPatch):
    """Over plain HTTP to another machine it would be there for everybody to read."""
    seen: list[httpx.Request] = []

    def answer(self: object, request: httpx.Request) -> httpx.Response:
        seen.append(request)
        headers = {"x-linked-etag": "a" * 64, "x-linked-size": "5", "location": "/x"}
        return httpx.Response(302, headers=headers)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    for endpoint in ("http://mirror.example", "https://mirror.example"):
        with Hub(endpoint, TOKEN) as hub:
            hub.look_up(REPO, MODEL)
    assert ["authorization" in request.headers for request in seen] == [False, True]


def test_neither_token_nor_signed_address_is_ever_told(
    hub: Hub, server: HubServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = hub.look_up(REPO, MODEL)
    said: list[str] = []
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "httpx"):
        server.cuts = [10, 10, 10]
        with pytest.raises(DownloadFailed) as caught:
            hub.download(file, tmp_path, say=said.append)
        said.append(str(caught.value))
        for status in (401, 403, 404, 418):
            server.refusals = [status]
            said.append(refused(hub))
    text = "\n".join([*said, caplog.text, repr(file)])
    assert TOKEN not in text
    assert SIGNATURE not in text
    assert len(said) == 7
    assert "HTTP Request: GET" in caplog.text


@pytest.mark.parametrize("token", ["hf_one\nX-Other: two", "hf_ü", "hf one"])
def test_a_token_that_is_none_is_refused_unseen(token: str, server: HubServer) -> None:
    with pytest.raises(DownloadFailed, match="HF_TOKEN") as caught:
        Hub(server.endpoint, token)
    assert token not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["ftp://hub.example", "hub", "https://me:secret@hub.example"])
def test_an_address_that_is_none_is_refused_unseen(endpoint: str) -> None:
    with pytest.raises(DownloadFailed, match="HF_ENDPOINT") as caught:
        Hub(endpoint)
    assert "secret" not in str(caught.value)


def test_the_environment_names_hub_and_token(server: HubServer) -> None:
    with Hub.of({"HF_ENDPOINT": server.endpoint + "/", "HF_TOKEN": TOKEN}) as hub:
        hub.look_up(REPO, MODEL)
    assert server.asked[0].authorization == f"Bearer {TOKEN}"
    assert server.asked[0].path.startswith(f"/{REPO}/")
    with Hub.of({}) as hub:
        assert hub.host == "huggingface.co"


def test_what_an_earlier_run_left_is_continued_at_its_byte(
    hub: Hub, server: HubServer, tmp_path: Path
) -> None:
    file = hub.look_up(REPO, MODEL)
    part_of(file, tmp_path, DATA[:40_000])
    told: list[int] = []
    assert hub.download(file, tmp_path, told.append).read_bytes() == DATA
    assert [asked.range for asked in server.bytes_asked()] == ["bytes=40000-"]
    assert told[0] == 40_000


def test_a_server_that_stops_half_way_is_asked_for_the_rest(
    hub: Hub, server: HubServer, tmp_path: Path, pauses: list[float]
) -> None:
    server.cuts = [50_000, 20_000]
    said: list[str] = []
    file = hub.look_up(REPO, MODEL)
    assert hub.download(file, tmp_path, say=said.append).read_bytes() == DATA
    ranges = [asked.range for asked in server.bytes_asked()]
    assert ranges == [None, "bytes=50000-", "bytes=70000-"]
    assert pauses == [1.0, 2.0]
    assert [line.rpartition("; ")[2] for line in said] == ["attempt 2 of 3", "attempt 3 of 3"]


def test_a_server_that_falls_silent_is_asked_for_the_rest(
    server: HubServer, tmp_path: Path, pauses: list[float]
) -> None:
    server.cuts, server.stalls = [50_000], True
    with Hub(server.endpoint, None, Limits(read_s=0.3, piece_bytes=1000), pauses.append) as hub:
        file = hub.look_up(REPO, MODEL)
        said: list[str] = []
        assert hub.download(file, tmp_path, say=said.append).read_bytes() == DATA
    assert [asked.range for asked in server.bytes_asked()] == [None, "bytes=50000-"]
    assert "broke off (ReadTimeout)" in said[0]


def test_a_truncated_body_without_a_length_is_noticed(
    hub: Hub, server: HubServer, tmp_path: Path
) -> None:
    """Without Content-Length the end of a connection looks like the end of the file."""
    server.endless, server.cuts = 2, [30_000, 20_000, 10_000]
    file = hub.look_up(REPO, MODEL)
    assert "ended after 60000 of 100000 bytes, 3 times" in failed(hub, file, tmp_path)
    assert (tmp_path / file.part).read_bytes() == DATA[:60_000]


def test_attempts_end_and_leave_their_bytes(hub: Hub, server: HubServer, tmp_path: Path) -> None:
    server.cuts = [10_000] * 9
    file = hub.look_up(REPO, MODEL)
    assert "3 times" in failed(hub, file, tmp_path)
    assert (tmp_path / file.part).read_bytes() == DATA[:30_000]
    assert len(server.bytes_asked()) == 3


def test_a_server_without_ranges_begins_anew(hub: Hub, server: HubServer, tmp_path: Path) -> None:
    server.no_ranges = True
    file = hub.look_up(REPO, MODEL)
    part_of(file, tmp_path, DATA[:40_000])
    assert hub.download(file, tmp_path).read_bytes() == DATA


def test_other_bytes_than_asked_for_are_not_appended(
    hub: Hub, server: HubServer, tmp_path: Path
) -> None:
    server.strange_range = True
    file = hub.look_up(REPO, MODEL)
    part_of(file, tmp_path, DATA[:40_000])
    assert hub.download(file, tmp_path).read_bytes() == DATA
    assert [asked.range for asked in server.bytes_asked()] == ["bytes=40000-", None]


def test_a_part_that_is_whole_is_only_verified(hub: Hub, server: HubServer, tmp_path: Path) -> None:
    file = hub.look_up(REPO, MODEL)
    part_of(file, tmp_path, DATA)
    assert hub.download(file, tmp_path).read_bytes() == DATA
    assert server.bytes_asked() == []


def test_a_part_that_is_too_long_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    file = hub.look_up(REPO, MODEL)
    part_of(file, tmp_path, DATA + b"more")
    assert hub.download(file, tmp_path).read_bytes() == DATA


def test_parts_of_two_versions_have_names_of_their_own(hub: Hub, server: HubServer) -> None:
    old = hub.look_up(REPO, MODEL)
    server.files[f"{REPO}/{MODEL}"] = DATA[::-1]
    assert hub.look_up(REPO, MODEL).part != old.part


@pytest.mark.parametrize("name", [MODEL, CONFIG])
def test_a_wrong_digest_removes_what_came(
    name: str, hub: Hub, server: HubServer, tmp_path: Path
) -> None:
    server.digest = "a" * (64 if name == MODEL else 40)
    file = hub.look_up(REPO, name)
    assert "differs from the hub's digest" in failed(hub, file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_harmed_part_does_not_spoil_the_next_run(hub: Hub, tmp_path: Path) -> None:
    file = hub.look_up(REPO, MODEL)
    part_of(file, tmp_path, bytes(40_000))
    failed(hub, file, tmp_path)
    assert hub.download(file, tmp_path).read_bytes() == DATA


def test_more_than_announced_is_not_kept_on_disk(
    hub: Hub, server: HubServer, tmp_path: Path
) -> None:
    server.endless = 5
    file = hub.look_up(REPO, MODEL)
    assert "more came than the 100000 bytes" in failed(hub, file, tmp_path)
    assert (tmp_path / file.part).stat().st_size <= len(DATA)


def test_a_file_beyond_the_limit_is_refused_before_it_comes(
    hub: Hub, server: HubServer, tmp_path: Path
) -> None:
    server.size = (4 << 30) + 1
    assert "at most 4294967296" in refused(hub)
    large = HubFile(REPO, MODEL, COMMIT, 5 << 30, "a" * 64)
    assert "at most 4294967296" in failed(hub, large, tmp_path)
    assert server.bytes_asked() == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "set HF_TOKEN"),
        (403, "agree to its terms"),
        (404, "is not at"),
        (418, "answered 418"),
    ],
)
def test_refusals_say_what_to_do_and_are_not_repeated(
    status: int, said: str, hub: Hub, server: HubServer, pauses: list[float]
) -> None:
    server.refusals = [status]
    assert said in refused(hub)
    assert (len(server.asked), pauses) == (1, [])


def test_there_is_no_such_file(hub: Hub, server: HubServer) -> None:
    assert f"other.bin: is not at {server.endpoint}/{REPO}" in refused(hub, "other.bin")


def test_a_busy_hub_is_asked_again_but_not_for_ever(
    hub: Hub, server: HubServer, pauses: list[float], tmp_path: Path
) -> None:
    server.refusals, server.retry_after = [429, 503], 7
    file = hub.look_up(REPO, MODEL)
    assert pauses == [7.0, 7.0]
    server.refusals, server.retry_after = [500, 502], 999
    hub.download(file, tmp_path)
    assert pauses[2:] == [30.0, 30.0]
    server.refusals = [503] * 9
    assert "answered 503, 3 times" in refused(hub)


@pytest.mark.parametrize(
    ("digest", "size"), [("no-digest", None), ("", None), ("a" * 40, 20 << 20)]
)
def test_what_cannot_be_verified_is_not_downloaded(
    digest: str, size: int | None, hub: Hub, server: HubServer
) -> None:
    """Git's digest, which others can forge with effort, is taken of small files only."""
    server.digest, server.size = digest, size
    assert "no digest" in refused(hub)


def test_a_redirect_in_circles_ends(hub: Hub, server: HubServer, tmp_path: Path) -> None:
    file = hub.look_up(REPO, MODEL)
    server.target = f"/{REPO}/resolve/main/{MODEL}"
    assert "more than 5 redirects" in failed(hub, file, tmp_path)


def test_a_redirect_out_of_protection_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    headers = {"location": "http://bytes.example/x"}
    monkeypatch.setattr(
        httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(302, headers=headers)
    )
    with Hub("https://hub.example") as hub:
        said = failed(hub, HubFile(REPO, MODEL, COMMIT, 5, "a" * 64), tmp_path)
    assert "not protected, at 'bytes.example'" in said


def test_without_a_network_it_says_so_at_once(pauses: list[float]) -> None:
    with Hub("http://127.0.0.1:1", pause=pauses.append) as hub:
        assert "127.0.0.1 cannot be reached" in refused(hub)
    assert pauses == []


def test_ctrl_c_leaves_the_bytes_for_the_next_run(
    hub: Hub, server: HubServer, tmp_path: Path
) -> None:
    file = hub.look_up(REPO, MODEL)

    def interrupt(have: int) -> None:
        if have >= 30_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.download(file, tmp_path, interrupt)
    kept = (tmp_path / file.part).read_bytes()
    assert kept == DATA[: len(kept)]
    assert len(kept) >= 30_000
    assert hub.download(file, tmp_path).read_bytes() == DATA
    assert server.bytes_asked()[-1].range == f"bytes={len(kept)}-"


def test_a_full_disk_is_the_systems_own_error(hub: Hub, tmp_path: Path) -> None:
    """Who knows the folder and the need, says them; see `fetching`."""

    def full(have: int) -> None:
        if have:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        hub.download(hub.look_up(REPO, MODEL), tmp_path, full)
