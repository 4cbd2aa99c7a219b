"""Headless Chromium with a fake camera, where there is one."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
)

CALL = """async ([stream, codec, parameter = ""]) => {
  const call = (window.call = new RTCPeerConnection());
  const camera = await navigator.mediaDevices.getUserMedia({ video: true });
  const sound = (window.sound = new AudioContext()); // our pages may not use the microphone
  const tone = sound.createOscillator();
  const ear = sound.createMediaStreamDestination();
  tone.connect(ear);
  tone.start();
  camera.addTrack(ear.stream.getAudioTracks()[0]);
  camera.getTracks().forEach((track) => call.addTrack(track, camera));
  const video = call.getTransceivers().find((t) => t.sender.track.kind === "video");
  const known = RTCRtpSender.getCapabilities("video").codecs;
  const meant = known.filter((c) => c.mimeType === "video/" + codec);
  video.setCodecPreferences(meant.filter((c) => (c.sdpFmtpLine ?? "").includes(parameter)));
  window.heard = [];
  const scores = call.createDataChannel("scores");
  window.scored = new Promise((scored) => {
    scores.onmessage = ({ data }) => {
      window.heard.push(JSON.parse(data));
      if (window.heard.at(-1).type === "score") scored(true);
    };
  });
  await call.setLocalDescription();
  const answer = await fetch("/whip/" + stream, {
    method: "POST",
    headers: { "Content-Type": "application/sdp" },
    body: call.localDescription.sdp,
  });
  if (!answer.ok) return (await answer.json()).detail;
  await call.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  return "";
}"""
"""Calls a stream with the camera, a tone and a codec (and its parameter); returns why not."""


@asynccontextmanager
async def chromium(
    camera: Path | None = None, resolve: Mapping[str, str] | None = None
) -> AsyncIterator[Browser]:
    """Run Chromium.

    Args:
        camera: an `.mjpeg` or `.y4m` file that its camera shows; its own test picture when None.
        resolve: addresses of hosts that no name server knows.
    """
    api = pytest.importorskip("playwright.async_api", reason="pip install playwright")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium here (apt install chromium)")
    flags = [*FLAGS, *([f"--use-file-for-fake-video-capture={camera}"] if camera else [])]
    if resolve:
        rules = ", ".join(f"MAP {host} {address}" for host, address in resolve.items())
        flags.append(f"--host-resolver-rules={rules}")
    async with api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            await browser.close()
