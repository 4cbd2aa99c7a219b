"""Whatever a stranger sends: broken, mutated and hostile requests, messages, offers and datagrams.

Each kind goes to one real server. The answer is one that is meant, the connection is closed, or
nothing comes; `/livez` answers as ever, nothing is traced back and memory does not grow. Every
mutation has a fixed seed, so a failure repeats.
"""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from stream.errors import SourceError
from stream.ingest.rtsp_redirects import follow
from stream.ingest.source import SourceUrl
from tests.support.mutations import MUTATIONS
from tests.support.offers import CHROMIUM
from tests.support.server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ROOM_MB = 300
SECRET = "the-camera's-password"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes calls on loopback and gives half-sent requests little time."""
    config = tmp_path_factory.mktemp("config") / "server.yaml"
    config.write_text(
        "web: {connections: {header_s: 1, body_s: 1, per_address: 200}, sockets: {hello_s: 1}}\n"
        "webrtc: {bind: [127.0.0.1], max_peers: 64, connect_s: 60, keep_s: 0}\n"
    )
    with Server(config) as running:
        yield running


@pytest.fixture(autouse=True)
def unharmed(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every kind the server is as it was."""
    if "server" not in request.fixturenames:
        yield
        return
    server: Server = request.getfixturevalue("server")
    before = peak_mb(server)
    yield
    assert httpx.get(f"{server.url}/livez", timeout=30).status_code == 200
    assert server.exit_code is None
    assert peak_mb(server) - before < ROOM_MB
    assert [line for line in server.log if "Traceback" in line] == []


def peak_mb(server: Server) -> float:
    """Return the most memory that the server ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1000


def mutated(data: bytes, kind: str, times: int = 40) -> Iterator[bytes]:
    """Yield data that was changed in one way after the other, or in several."""
    ways = list(MUTATIONS.values())
    for seed in range(times):
        rng = random.Random(f"{kind}{seed}")
        changed = data
        for _ in range(rng.randrange(1, 3)):
            if len(changed) > 32:
                changed = rng.choice(ways)(changed, rng)
        yield changed


# --- HTTP -----------------------------------------------------------------------------------------

REQUESTS = {
    "get": b"GET /api/v1/streams HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n",
    "post": b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 30\r\n\r\n{"file_path": "nothing.mp4"}  ',
    "chunks": b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: application/json\r\n\r\nffffffff\r\n{}\r\n0\r\n\r\n",
    "upgrade": b"GET /api/v1/scores HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\xfe\xff\xff",
    "headers": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
    "two lengths": b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\nab",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
}


def answered(server: Server, data: bytes) -> bytes:
    """Return how the answer to these bytes begins, if there is one before it is closed."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as peer:
        with suppress(ConnectionError):  # closed on us while we talk
            peer.sendall(data)
            while len(answer) < 12 and (more := peer.recv(4096)):
                answer += more
    return answer


@pytest.mark.parametrize("kind", REQUESTS)
def test_broken_requests_are_answered_or_closed(server: Server, kind: str) -> None:
    """All of a kind at once, since many of them are given up only after a second."""
    sent = (REQUESTS[kind], *mutated(REQUESTS[kind], kind))
    with ThreadPoolExecutor(len(sent)) as peers:
        answers = list(peers.map(partial(answered, server), sent))
    for data, answer in zip(sent, answers, strict=True):
        status = re.match(rb"HTTP/1\.1 (\d{3})", answer)
        assert bool(answer) is bool(status), (data, answer)
        assert status is None or int(status[1]) not in (500, 503), (data, answer)


# --- JSON -----------------------------------------------------------------------------------------

STREAM = {
    "id": "x",
    "source": {"url": "demo://authentic?seconds=1", "transport": "tcp", "tls_verify": True},
    "priority": "low",
    "name": "a name",
}
SPLINTERS = (
    "null",
    "[]",
    "{}",
    "-1",
    "1e999",
    "NaN",
    "9" * 400,
    '"\\ud800"',
    '"\\u0000"',
    "[" * 999,
)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/predict", {"file_path": "x", "detector": "y"}), ("/api/v1/streams", STREAM)],
)
def test_broken_bodies_are_refused_with_words(server: Server, path: str, body: object) -> None:
    whole = json.dumps(body)
    values = list(re.finditer(r'(?<=: )("[^"]*"|true)', whole))
    spliced = [
        whole[: value.start()] + splinter + whole[value.end() :]
        for value in values
        for splinter in SPLINTERS
    ]
    with httpx.Client(base_url=server.url, timeout=60) as http:
        headers = {"Content-Type": "application/json"}
        for data in (*(text.encode() for text in spliced), *mutated(whole.encode(), path)):
            answer = http.post(path, content=data, headers=headers)
            assert answer.status_code == 201 or 400 <= answer.status_code < 500, (data, answer.text)
            if answer.status_code == 201:
                http.delete(f"/api/v1/streams/{answer.json()['id']}")
            else:
                assert answer.json()["detail"], data
                assert answer.headers["content-type"].startswith("application/problem+json")


# --- WebSocket messages ---------------------------------------------------------------------------

HELLO = '{"type": "hello", "client": "fuzz"}'
SIGNS = "*?[]!-ab."


def said(server: Server, *texts: str | bytes) -> tuple[list[str], int]:
    """Return the types of the answers, and the code with which it was closed, if it was."""
    told: list[str] = []
    code = 0
    url = f"ws://127.0.0.1:{server.port}/api/v1/scores"
    with suppress(WebSocketException, TimeoutError, OSError), connect(url, open_timeout=30) as peer:
        try:
            for text in texts:
                peer.send(text)
            told.append(json.loads(peer.recv(timeout=30))["type"])
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
    return told, code


def test_broken_messages_are_closed_with_a_code(server: Server) -> None:
    subscribe = json.dumps(
        {"type": "subscribe", "id": "v", "streams": ["*"], "max_hz": 5, "types": ["score"]}
    )
    for text in mutated(subscribe.encode(), "subscribe"):
        told, code = said(server, HELLO, text.decode("latin-1"))
        assert told in (["subscribed"], []), text
        assert told or code in (4400, 4404), (text, code)
    for text in mutated(HELLO.encode(), "hello", 15):
        _, code = said(server, text.decode("latin-1"), subscribe)
        assert code in (0, 4400), (text, code)


def test_globs_of_every_kind_are_answered(server: Server) -> None:
    """Each set is matched at once with a stream whose name was made to be hard."""
    assert server.add("a" * 64, "demo://authentic?seconds=1").status_code == 201
    for seed in range(60):
        rng = random.Random(f"glob{seed}")
        globs = ["".join(rng.choices(SIGNS, k=rng.randrange(1, 40))) for _ in range(64)]
        text = json.dumps({"type": "subscribe", "id": "v", "streams": globs})
        told, code = said(server, HELLO, text)
        assert told == ["subscribed"] or code in (4400, 4404), (globs, code)
    assert server.remove("a" * 64).status_code == 204


# --- calls ----------------------------------------------------------------------------------------

SDP = {"Content-Type": "application/sdp"}


def test_broken_offers_are_answered_or_refused(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as http:
        for number, data in enumerate(mutated(CHROMIUM.encode(), "offer")):
            answer = http.post(f"/whip/c{number}", content=data, headers=SDP)
            assert answer.status_code == 201 or 400 <= answer.status_code < 500, (data, answer.text)
            if answer.status_code == 201:
                assert http.delete(answer.headers["location"]).status_code == 200


def test_datagrams_of_every_kind_end_no_call(server: Server) -> None:
    """Nor do broken candidates: all of them come from somebody who has no key."""
    stun = b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12) + b"\x00\x24\x00\x04\x00\x00\x00\x01"
    hello = b"\x16\xfe\xff" + bytes(8) + b"\x00\x40\x01" + bytes(63)
    kinds = (stun, hello, b"\x80\x60" + bytes(60), b"\x80\xc9\x00\x07" + bytes(28), bytes(40))
    with httpx.Client(base_url=server.url, timeout=60) as http:
        answer = http.post("/whip/sprayed", content=CHROMIUM, headers=SDP)
        assert answer.status_code == 201
        ports = {
            int(port) for port in re.findall(r"a=candidate:.* 127\.0\.0\.1 (\d+) ", answer.text)
        }
        assert ports
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for kind in kinds:
                for data in (b"", kind, *mutated(kind, "datagram", 60)):
                    for port in ports:
                        peer.sendto(data, ("127.0.0.1", port))
        headers = {
            "Content-Type": "application/trickle-ice-sdpfrag",
            "If-Match": answer.headers["etag"],
        }
        fragment = (
            b"a=ice-ufrag:m/zd\r\nm=video 9 X 0\r\na=mid:0\r\n"
            b"a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"
        )
        for data in mutated(fragment, "fragment"):
            told = http.patch(answer.headers["location"], content=data, headers=headers)
            assert told.status_code == 204 or 400 <= told.status_code < 500, (data, told.text)
        assert server.metric("styleflow_call_datagrams_refused_total", stream="sprayed") > 0
        assert http.delete(answer.headers["location"]).status_code == 200


# --- redirects ------------------------------------------------------------------------------------

PLACES = ("127.0.0.1", "169.254.169.254", "[::1]", "other.invalid", "127.0.0.1:99999", "", "a@b@c")
FORMS: tuple[Callable[[str, random.Random], str], ...] = (
    lambda place, rng: f"rtsp://{place}/1",
    lambda place, rng: f"rtsps://u:p@{place}/1?x={rng.random()}",
    lambda place, rng: f"//{place}/../1",
    lambda place, rng: rng.choice(("http", "file", "rtsp:", "\0", "RTSP")) + f"://{place}/\\@x/",
    lambda place, rng: rng.randbytes(20).decode("latin-1") + place,
    lambda place, rng: f"/{'../' * rng.randrange(300)}{place}",
)


def test_redirects_lead_to_a_camera_or_nowhere_and_never_with_its_password_elsewhere() -> None:
    url = SourceUrl.parse(f"rtsp://admin:{SECRET}@127.0.0.1:8554/1")
    told: list[str] = []
    for seed in range(200):
        rng = random.Random(f"redirect{seed}")
        location = rng.choice(FORMS)(rng.choice(PLACES), rng)
        try:
            found = urlsplit(follow(url, location).reveal())
        except SourceError as error:
            told += [str(error)]
            continue
        assert found.scheme in ("rtsp", "rtsps"), location
        assert found.hostname != "169.254.169.254", location
        assert found.hostname == "127.0.0.1" or SECRET not in found.netloc, location
    assert told
    assert [text for text in told if SECRET in text] == []
