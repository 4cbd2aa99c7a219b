"""Files on the Hugging Face hub: looked up by their page's name, downloaded with resume.

The hub answers two calls about a file. A HEAD of its address says the file's size, its digest and
the commit it belongs to; a GET leads, mostly by a redirect to another host, to the bytes, from any
byte on. Addresses of that other host are signed, and the token is a secret: errors name neither.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import httpx

from styleflow.digest import file_digest
from styleflow.errors import DownloadFailed
from styleflow.weights import hub_library
from styleflow.weights.places import ENDPOINT

MAX_PLAIN_BYTES = 10 << 20
"""The hub keeps larger files apart from git and tells their sha256; smaller ones have git's own."""

_TOKEN = re.compile(r"[\x21-\x7e]+")
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which asking again is worth while."""

_TELLING = ("httpx", "httpcore.http11")
"""Loggers that tell whole addresses, signatures included."""

Progress = Callable[[int], None]
"""Told how many bytes of a file are here, those of earlier runs included."""

Say = Callable[[str], None]
"""Told in a few words what is being done."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of everything that is asked of the hub.

    Attributes:
        attempts: how often a request is made before giving up; what has come is kept between.
        pause_s: before the second attempt, twice as long before each further one.
        longest_pause_s: and never longer, whatever the server asks for.
        connect_s: to reach a host.
        read_s: between two pieces of an answer.
        redirects: from one address to the next.
        max_bytes: of one file.
        piece_bytes: read and written at once.
    """

    attempts: int = 5
    pause_s: float = 1.0
    longest_pause_s: float = 30.0
    connect_s: float = 10.0
    read_s: float = 30.0
    redirects: int = 5
    max_bytes: int = 4 << 30
    piece_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file on the hub, as it says it is.

    Attributes:
        repo: page it belongs to, `owner/name`.
        name: its name there.
        commit: revision that was looked at, so that all files of a page come from the same.
        size: bytes.
        digest: hexadecimal; sha256, or git's own of a small file.
    """

    repo: str
    name: str
    commit: str
    size: int
    digest: str

    @property
    def part(self) -> str:
        """Name of the file while it is incomplete; another version has another."""
        return f"{self.repo.replace('/', '--')}--{self.name}.{self.digest[:16]}.part"

    def is_intact(self, path: Path) -> bool:
        """Say whether a file is this one, by size and digest."""
        if path.stat().st_size != self.size:
            return False
        if len(self.digest) == 64:
            return file_digest(path) == self.digest
        return git_digest(path.read_bytes()) == self.digest


class Hub:
    """Connection to the hub; a context manager.

    Args:
        endpoint: its address.
        token: of an account, for pages that ask who is there; sent to this address only.
        limits: bounds.
        pause: waits so many seconds.
        library: download through the package `huggingface_hub`; nothing is continued then.

    Raises:
        DownloadFailed: address or token cannot be ones.
    """

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        token: str | None = None,
        limits: Limits | None = None,
        pause: Callable[[float], object] = threading.Event().wait,
        *,
        library: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self._home = _home(endpoint)
        self._token = _checked(token)
        self._pause = pause
        self._library = library
        self._client = httpx.Client(
            follow_redirects=False,
            timeout=httpx.Timeout(self.limits.read_s, connect=self.limits.connect_s),
            headers={"accept-encoding": "identity", "user-agent": "styleflow-live"},
        )

    @classmethod
    def of(cls, environment: Mapping[str, str], *, library: bool = False) -> Hub:
        """Return the hub that `HF_ENDPOINT` and `HF_TOKEN` name."""
        endpoint = environment.get("HF_ENDPOINT") or ENDPOINT
        return cls(endpoint, environment.get("HF_TOKEN"), library=library)

    def __enter__(self) -> Hub:
        for name in _TELLING:
            logging.getLogger(name).addFilter(_unsigned)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()
        for name in _TELLING:
            logging.getLogger(name).removeFilter(_unsigned)

    @property
    def host(self) -> str:
        """Name of its host, for people."""
        return self._home.host

    def look_up(self, repo: str, name: str, say: Say | None = None) -> HubFile:
        """Return what the hub says about a file; nothing of the file is downloaded.

        Raises:
            DownloadFailed: there is no such file, the hub refuses it or cannot be reached, or it
                says neither size nor digest.
        """
        address = self._address(repo, name, "main")
        for attempt in range(self.limits.attempts):
            try:
                return self._looked_up(address, repo, name)
            except DownloadFailed as ended:
                self._wait(ended, attempt, say)
            except httpx.TransportError as error:  # no network: asking again would not help
                raise DownloadFailed(name, self._unreachable(error), passing=True) from None
        raise AssertionError("the last attempt raises")

    def download(
        self, file: HubFile, folder: Path, progress: Progress | None = None, say: Say | None = None
    ) -> Path:
        """Download a file into a folder and return its path.

        What an earlier run has left is continued at its last byte. Whatever ends this one, Ctrl-C
        included, leaves its bytes for the next.

        Args:
            file: from `look_up`.
            folder: must exist.
            progress: told how many bytes are here.
            say: told of attempts that ended early.

        Raises:
            DownloadFailed: the hub refuses it, all attempts ended early, or what came is another
                file; that is removed.
            OSError: it cannot be written.
        """
        if file.size > self.limits.max_bytes:
            raise DownloadFailed(file.name, f"{file.size} bytes; at most {self.limits.max_bytes}")
        part = folder / file.part
        tell = progress or _tell_nobody
        if self._library:
            self._by_library(file, part, tell)
        else:
            self._by_https(file, part, tell, say)
        if not file.is_intact(part):
            part.unlink()
            raise DownloadFailed(file.name, "what came differs from the hub's digest; removed it")
        return part

    def _by_library(self, file: HubFile, part: Path, tell: Progress) -> None:
        token = self._token if self._credentials(self._home) else None
        hub_library.download(
            file.repo,
            file.name,
            file.commit,
            file.size,
            part,
            tell,
            endpoint=_shown(self._home),
            token=token,
        )

    def _by_https(self, file: HubFile, part: Path, tell: Progress, say: Say | None) -> None:
        for attempt in range(self.limits.attempts):
            try:
                self._go_on(file, part, tell)
                return
            except DownloadFailed as ended:
                self._wait(ended, attempt, say)
            except httpx.TransportError as error:
                reason = self._unreachable(error)
                self._wait(DownloadFailed(file.name, reason, passing=True), attempt, say)

    def _looked_up(self, address: httpx.URL, repo: str, name: str) -> HubFile:
        for _ in range(self.limits.redirects + 1):
            response = self._client.head(address, headers=self._credentials(address))
            status, headers = response.status_code, response.headers
            if status in _REDIRECTS and "x-linked-etag" not in headers:
                target = self._target(address, response, name)
                if not _same_place(target, self._home):
                    raise DownloadFailed(name, "the hub tells no digest of it")
                address = target
                continue
            if status not in _REDIRECTS:
                self._check(response, repo, name)
            return self._described(headers, repo, name)
        raise DownloadFailed(name, f"more than {self.limits.redirects} redirects")

    def _described(self, headers: httpx.Headers, repo: str, name: str) -> HubFile:
        digest = _bare(headers.get("x-linked-etag") or headers.get("etag") or "")
        size = headers.get("x-linked-size") or headers.get("content-length") or ""
        commit = headers.get("x-repo-commit") or "main"
        if not re.fullmatch(r"[0-9a-f]{40}|main", commit):
            raise DownloadFailed(name, "the hub names a revision that is none")
        if not re.fullmatch(r"\d{1,18}", size):
            raise DownloadFailed(name, "the hub tells no size of it")
        found = HubFile(repo, name, commit, int(size), digest)
        if found.size > self.limits.max_bytes:
            raise DownloadFailed(name, f"{found.size} bytes; at most {self.limits.max_bytes}")
        whole = re.fullmatch(r"[0-9a-f]{64}", digest)
        small = re.fullmatch(r"[0-9a-f]{40}", digest) and found.size <= MAX_PLAIN_BYTES
        if not (whole or small):
            raise DownloadFailed(name, "the hub tells no digest of it")
        return found

    def _go_on(self, file: HubFile, part: Path, tell: Progress) -> None:
        """Download what is not here yet."""
        have = part.stat().st_size if part.is_file() else 0
        if have > file.size:
            part.unlink()
            have = 0
        tell(have)
        if have == file.size and have:
            return
        with self._opened(file, have) as response:
            begin = self._beginning(file, response, have, part)
            with part.open("r+b" if begin else "wb") as out:
                out.seek(begin)
                self._copy(file, response, out.write, begin, tell)

    def _copy(
        self,
        file: HubFile,
        response: httpx.Response,
        write: Callable[[bytes], object],
        have: int,
        tell: Progress,
    ) -> None:
        for piece in response.iter_raw(self.limits.piece_bytes):
            have += len(piece)
            if have > file.size:
                reason = f"more came than the {file.size} bytes that the hub announced"
                raise DownloadFailed(file.name, reason)
            write(piece)
            tell(have)
        if have < file.size:
            reason = f"the connection ended after {have} of {file.size} bytes"
            raise DownloadFailed(file.name, reason, passing=True)

    def _beginning(self, file: HubFile, response: httpx.Response, have: int, part: Path) -> int:
        """Return at which byte an answer begins. Raises DownloadFailed where it cannot be used."""
        if response.status_code == 200:
            return 0  # the server knows no ranges: all of it comes anew
        match = _RANGE.fullmatch(response.headers.get("content-range", ""))
        asked_for = match is not None and (int(match[1]), int(match[2])) == (have, file.size)
        if response.status_code == 206 and asked_for:
            return have
        part.unlink(missing_ok=True)
        reason = "the server answered with other bytes than were asked for"
        raise DownloadFailed(file.name, reason, passing=True)

    @contextmanager
    def _opened(self, file: HubFile, have: int) -> Iterator[httpx.Response]:
        """Follow redirects to the bytes; the token stays with the hub."""
        address = self._address(file.repo, file.name, file.commit)
        ranged = {"range": f"bytes={have}-"} if have else {}
        for _ in range(self.limits.redirects + 1):
            headers = {**ranged, **self._credentials(address)}
            with self._client.stream("GET", address, headers=headers) as response:
                if response.status_code in _REDIRECTS:
                    address = self._target(address, response, file.name)
                    continue
                if response.status_code != 416:
                    self._check(response, file.repo, file.name)
                yield response
                return
        raise DownloadFailed(file.name, f"more than {self.limits.redirects} redirects")

    def _target(self, address: httpx.URL, response: httpx.Response, name: str) -> httpx.URL:
        """Return where an answer leads. Raises DownloadFailed."""
        try:
            target = address.join(response.headers["location"])
        except (KeyError, httpx.InvalidURL):
            raise DownloadFailed(name, "the hub leads nowhere") from None
        if target.scheme != "https" and not (target.scheme == self._home.scheme == "http"):
            reason = f"the hub leads to an address that is not protected, at {target.host!r}"
            raise DownloadFailed(name, reason)
        return target

    def _check(self, response: httpx.Response, repo: str, name: str) -> None:
        """Say what an answer that is no file means."""
        status, page = response.status_code, f"{_shown(self._home)}/{repo}"
        if status in (200, 206):
            return
        if status in _PASSING:
            reason = f"{response.url.host} answered {status}"
            raise DownloadFailed(name, reason, passing=True, pause_s=_seconds(response))
        if status == 401:
            reason = f"{page} asks who you are, or is not there: set HF_TOKEN to a token of yours"
        elif status == 403:
            reason = f"{page} refuses it: agree to its terms there, with the account of HF_TOKEN"
        elif status in (404, 410):
            reason = f"is not at {page}"
        else:
            reason = f"{response.url.host} answered {status}"
        raise DownloadFailed(name, reason)

    def _wait(self, ended: DownloadFailed, attempt: int, say: Say | None) -> None:
        """Wait before the next attempt. Raises DownloadFailed where there is none."""
        if not ended.passing:
            raise ended
        if attempt + 1 == self.limits.attempts:
            reason = f"{ended.reason}, {self.limits.attempts} times"
            raise DownloadFailed(ended.what, reason, passing=True) from None
        if say is not None:
            say(f"{ended}; attempt {attempt + 2} of {self.limits.attempts}")
        wanted = self.limits.pause_s * 2**attempt if ended.pause_s is None else ended.pause_s
        self._pause(min(wanted, self.limits.longest_pause_s))

    def _address(self, repo: str, name: str, revision: str) -> httpx.URL:
        path = f"/{quote(repo)}/resolve/{quote(revision, safe='')}/{quote(name)}"
        return self._home.copy_with(path=self._home.path.rstrip("/") + path)

    def _credentials(self, address: httpx.URL) -> dict[str, str]:
        """Return the token's header where the address is the hub's own, and protected."""
        private = address.scheme == "https" or address.host in _LOOPBACK
        if self._token is None or not private or not _same_place(address, self._home):
            return {}
        return {"authorization": f"Bearer {self._token}"}

    def _unreachable(self, error: httpx.TransportError) -> str:
        return f"{self.host} cannot be reached or broke off ({type(error).__name__})"


def git_digest(data: bytes) -> str:
    """Return git's digest of a file, hexadecimal: sha1 over a header and the content."""
    header = b"blob %d\0" % len(data)
    return hashlib.sha1(header + data, usedforsecurity=False).hexdigest()


def _home(endpoint: str) -> httpx.URL:
    """Return the hub's address without what belongs to no address. Raises DownloadFailed."""
    try:
        address = httpx.URL(endpoint)
    except (httpx.InvalidURL, TypeError):
        address = httpx.URL()
    if address.scheme not in ("https", "http") or not address.host or address.userinfo:
        raise DownloadFailed("HF_ENDPOINT", "is no address of a hub, such as " + ENDPOINT)
    return address.copy_with(query=None, fragment=None)


def _checked(token: str | None) -> str | None:
    """Return a token that can stand in a header. Raises DownloadFailed, without the token."""
    token = (token or "").strip()
    if token and not _TOKEN.fullmatch(token):
        raise DownloadFailed("HF_TOKEN", "holds characters that no token has")
    return token or None


def _same_place(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, _port(one)) == (other.scheme, other.host, _port(other))


def _port(address: httpx.URL) -> int:
    return address.port or (443 if address.scheme == "https" else 80)


def _shown(address: httpx.URL) -> str:
    return str(address).rstrip("/")


def _bare(etag: str) -> str:
    """Return the digest in an entity tag."""
    return etag.removeprefix("W/").strip('"').lower()


def _seconds(response: httpx.Response) -> float | None:
    """Return how long a server asks to wait, where it says so in seconds."""
    text = response.headers.get("retry-after", "")
    return float(text) if re.fullmatch(r"\d{1,6}", text) else None


def _unsigned(record: logging.LogRecord) -> bool:
    """Take signatures out of what is logged of a request; answers' headers are not logged."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            value.copy_with(query=None) if isinstance(value, httpx.URL) else value
            for value in record.args
        )
    return "response_headers.complete" not in record.getMessage()


def _tell_nobody(_: int) -> None:
    return None
