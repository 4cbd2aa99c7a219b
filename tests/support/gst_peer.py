"""A WebRTC peer by somebody else: GStreamer's webrtcbin, which calls by WHIP.

Run with the Python that Debian's `python3-gi` belongs to. Takes the address to call and options as
JSON, and prints one JSON object a line: its version, what it offered, what was answered, every
state of its connection, and what comes on its data channel. The line `delete` on its standard input
ends the call as one should; the end of its standard input ends the process.

Its certificate is GStreamer's own, which is RSA.
"""

from __future__ import annotations

import json
import sys
import threading
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urljoin

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtp", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstRtp, GstSdp, GstWebRTC  # noqa: E402 - gi asks for versions first

EXTENSIONS = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
)
PICTURES = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1"
VPX = "deadline=1 cpu-used=8 keyframe-max-dist=50"
ENCODERS = {
    "H264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=50"
    " ! video/x-h264,profile=constrained-baseline ! rtph264pay name=video",
    "VP8": f"vp8enc {VPX} ! rtpvp8pay name=video picture-id-mode=2",
    "VP9": f"vp9enc {VPX} ! rtpvp9pay name=video picture-id-mode=2",
}
SOUND = "audiotestsrc is-live=true ! audioconvert ! audioresample ! opusenc ! rtpopuspay name=audio"
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


def say(kind: str, **what: Any) -> None:
    """Print one line."""
    sys.stdout.write(json.dumps({"kind": kind, **what}) + "\n")
    sys.stdout.flush()


class Peer:
    """One call.

    Args:
        url: of the endpoint.
        options: `codec`; whether to `trickle`, to send `audio` and to write header `extensions`;
            what to replace in its `offer` and in the `answer`, as pairs.
    """

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.url = url
        self.options = options
        self.location = ""
        self.etag = ""
        self._late: list[tuple[int, str]] = []
        self._lock = threading.Lock()
        self.pipeline = Gst.parse_launch(" ".join(self._parts()))
        self.peer = self.pipeline.get_by_name("peer")
        self.agent = self.peer.get_property(
            "ice-agent"
        )  # kept: its only reference is a floating one
        self.agent.emit("add-local-ip-address", "127.0.0.1")
        if options.get("extensions"):
            self._write_extensions()
        self.peer.connect("notify::connection-state", self._on_state)
        self.peer.connect("notify::ice-gathering-state", self._on_gathering)
        self.peer.connect("on-negotiation-needed", self._on_negotiation)
        self.peer.connect("on-ice-candidate", self._on_candidate)

    def start(self) -> None:
        """Begin to call."""
        self.pipeline.set_state(Gst.State.READY)
        self.channel = self.peer.emit("create-data-channel", "scores", None)
        self.channel.connect("on-message-string", lambda _, text: say("heard", **json.loads(text)))
        self.pipeline.set_state(Gst.State.PLAYING)

    def delete(self) -> None:
        """End the call as one should."""
        say("deleted", status=self._send("DELETE", self.location)[0])

    def _parts(self) -> list[str]:
        codec = self.options["codec"]
        video = f"application/x-rtp,media=video,encoding-name={codec},payload=96"
        parts = ["webrtcbin name=peer bundle-policy=max-bundle"]
        parts.append(f"{PICTURES} ! videoconvert ! {ENCODERS[codec]} ! {video} ! peer.")
        if self.options.get("audio"):
            audio = "application/x-rtp,media=audio,encoding-name=OPUS,payload=97"
            parts.append(f"{SOUND} ! {audio} ! peer.")
        return parts

    def _write_extensions(self) -> None:
        for name in ("video", "audio"):
            payloader = self.pipeline.get_by_name(name)
            for number, uri in enumerate(EXTENSIONS if payloader is not None else (), 1):
                extension = GstRtp.RTPHeaderExtension.create_from_uri(uri)
                extension.set_id(number)
                payloader.emit("add-extension", extension)

    # --- what webrtcbin tells ----------------------------------------------------------------

    def _on_state(self, peer: Any, _: Any) -> None:
        say("state", state=peer.get_property("connection-state").value_nick)

    def _on_negotiation(self, peer: Any) -> None:
        sends = GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
        for number in range(2 if self.options.get("audio") else 1):
            peer.emit("get-transceiver", number).set_property("direction", sends)
        peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self._on_offer))

    def _on_offer(self, promise: Any) -> None:
        reply = promise.get_reply()  # kept: the offer lies in it
        offer = reply.get_value("offer")
        self.peer.emit("set-local-description", offer, Gst.Promise.new())
        if self.options.get("trickle"):
            self._begin(self._call, offer.sdp.as_text())

    def _on_gathering(self, peer: Any, _: Any) -> None:
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if self.options.get("trickle") or peer.get_property("ice-gathering-state") != complete:
            return
        self._begin(self._call, peer.get_property("local-description").sdp.as_text())

    def _on_candidate(self, _: Any, section: int, candidate: str) -> None:
        with self._lock:
            self._late.append((section, candidate))
        if self.options.get("trickle") and self.location:
            self._begin(self._trickle)

    def _begin(self, work: Any, *given: Any) -> None:
        """Do something beside GStreamer's own threads."""
        threading.Thread(target=work, args=given, daemon=True).start()

    # --- WHIP --------------------------------------------------------------------------------

    def _call(self, text: str) -> None:
        for old, new in self.options.get("offer", ()):
            text = text.replace(old, new)
        say("offered", sdp=text)
        status, headers, body = self._send("POST", self.url, text, {"Content-Type": SDP})
        say("answered", status=status, body=body)
        if status != 201:
            return
        for old, new in self.options.get("answer", ()):
            body = body.replace(old, new)
        self.etag = headers["ETag"]
        self.location = urljoin(self.url, headers["Location"])
        _, sdp = GstSdp.SDPMessage.new_from_text(body)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self.peer.emit("set-remote-description", answer, Gst.Promise.new())
        if self.options.get("trickle"):
            self._trickle()

    def _trickle(self) -> None:
        with self._lock:
            late, self._late = self._late, []
        if not late:
            return
        text = self.peer.get_property("local-description").sdp.as_text()
        mids = [line for line in text.splitlines() if line.startswith("a=mid:")]
        lines = []
        for section, candidate in late:
            lines += ["m=video 9 UDP/TLS/RTP/SAVPF 0", mids[section], f"a={candidate}"]
        headers = {"Content-Type": FRAGMENT, "If-Match": self.etag}
        status, _, body = self._send("PATCH", self.location, "\r\n".join(lines) + "\r\n", headers)
        say("trickled", status=status, candidates=len(late), body=body)

    def _send(
        self, method: str, url: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[int, Any, str]:
        request = urllib.request.Request(url, body.encode() or None, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()


def main(url: str, options: str) -> None:
    """Call, and obey standard input until it ends."""
    Gst.init(None)
    loop = GLib.MainLoop()
    peer = Peer(url, json.loads(options))

    def obey() -> None:
        for line in sys.stdin:
            if line.strip() == "delete":
                peer.delete()
        loop.quit()

    threading.Thread(target=obey, daemon=True).start()
    say("version", version=Gst.version_string())
    peer.start()
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
