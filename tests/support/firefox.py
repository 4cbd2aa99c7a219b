"""Headless Firefox with a fake camera, where there is one, driven over WebDriver BiDi.

Firefox speaks BiDi itself, over a WebSocket; no driver stands between. Only what the tests need.
Source: https://w3c.github.io/webdriver-bidi/.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.systemAddon.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}
"""A fake camera whose owner always says yes, loopback for calls, and no calls home."""

LISTENING = "WebDriver BiDi listening on "
START_S = 60.0
ANSWER_S = 60.0


class Firefox:
    """One tab of a running Firefox.

    Attributes:
        version: as it names itself.
        said: errors and warnings of its pages, with their level.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.version = ""
        self.said: list[tuple[str, str]] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tab = ""
        self._reading = asyncio.create_task(self._read())

    async def begin(self) -> None:
        """Begin a session with one tab, and listen to what its pages say."""
        session = await self.send("session.new", capabilities={})
        self.version = session["capabilities"]["browserVersion"]
        await self.send("session.subscribe", events=["log.entryAdded"])
        self._tab = (await self.send("browsingContext.create", type="tab"))["context"]

    async def goto(self, url: str) -> None:
        """Load a page, with everything in it."""
        await self.send("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """Return what a script comes to, once it does; it has to be JSON."""
        answer = await self.send(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then((it) => JSON.stringify(it) ?? 'null')",
            target={"context": self._tab},
            awaitPromise=True,
        )
        if answer["type"] != "success":
            raise AssertionError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    async def call(self, function: str, *given: object) -> Any:
        """Return what a function comes to with these arguments."""
        return await self.evaluate(f"({function})({', '.join(map(json.dumps, given))})")

    async def close_tab(self) -> None:
        """Close the tab, as a person does."""
        await self.send("browsingContext.close", context=self._tab)

    async def send(self, method: str, **params: object) -> dict[str, Any]:
        """Return the result of a command."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(ANSWER_S):
            message = await self._waiting[number]
        if message["type"] != "success":
            raise AssertionError(f"{method}: {message['error']}: {message['message']}")
        result: dict[str, Any] = message["result"]
        return result

    async def close(self) -> None:
        """Listen no more."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
            elif message["method"] == "log.entryAdded":
                entry = message["params"]
                if entry["level"] in ("warn", "error"):
                    self.said.append((entry["level"], entry["text"] or ""))


@asynccontextmanager
async def firefox() -> AsyncIterator[Firefox]:
    """Run Firefox with a profile of its own."""
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        pytest.skip("there is no Firefox here (apt install firefox-esr)")
    with _profile() as profile:
        process = await asyncio.create_subprocess_exec(
            path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            address = await _address(process)
            draining = asyncio.create_task(_drain(process))
            async with connect(f"{address}/session", max_size=1 << 24) as socket:
                browser = Firefox(socket)
                try:
                    await browser.begin()
                    yield browser
                finally:
                    await browser.close()
            draining.cancel()
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@contextlib.contextmanager
def _profile() -> Iterator[str]:
    """Make a profile that knows the preferences."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
        Path(folder, "user.js").write_text("\n".join(lines), encoding="utf-8")
        yield folder


async def _address(process: asyncio.subprocess.Process) -> str:
    """Return where Firefox listens, once it says so."""
    assert process.stderr is not None
    async with asyncio.timeout(START_S):
        while line := (await process.stderr.readline()).decode(errors="replace"):
            if line.startswith(LISTENING):
                return line.removeprefix(LISTENING).strip()
    raise AssertionError("Firefox ended before it listened")


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Let Firefox say more than a pipe holds."""
    assert process.stderr is not None
    while await process.stderr.readline():
        pass
