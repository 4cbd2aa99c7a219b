"""A GPU's decoder: what it decodes stays there, and whatever fails is the processor's to do."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import structlog
import torch
from av.codec.hwaccel import HWAccel

from stream.events import Frame
from stream.ingest.context import IngestContext
from stream.ingest.counters import Tally
from stream.ingest.decode import MAX_HARDWARE_REFUSALS, Decoder, Picture
from stream.ingest.frame_builder import FrameBuilder, KeyframeNeeded, Output
from stream.ingest.packets import PacketLogCounters
from stream.ingest.source import Packet, StreamFormat
from styleflow.faces.device_picture import DevicePicture, host
from styleflow.pictures import hardware
from styleflow.pictures.fallback import Fallback
from styleflow.pictures.hardware import Decoding, Refusal, hardware_context, why_not
from tests.support.media import encode, moving_pictures

NO_LOG = PacketLogCounters(0, 0, 0, 0)
UNKNOWN = av.error.ExternalError(0, "the decoder fell over")
DAMAGED = av.error.InvalidDataError(0, "this is no video")


class PlayedFrame:
    """A frame in memory that says that it lies on a GPU."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self._frame = frame
        self.sw_format = frame.format

    def __getattr__(self, name: str) -> Any:
        return getattr(self._frame, name)


class PlayedHardware:
    """The processor's decoder in the place of a GPU's.

    Args:
        codec: what it decodes.
        error: what it raises.
        at: from which packet on, counted from 0; never when None.
        gives_way: its pictures lie in memory, as when FFmpeg falls back by itself.
    """

    def __init__(
        self,
        codec: str,
        error: Exception | None = None,
        at: int | None = None,
        *,
        gives_way: bool = False,
    ) -> None:
        self._context = av.CodecContext.create(codec, "r")
        self._error, self._at, self._given = error, at, 0
        self._gives_way = gives_way

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._context, name, value)

    def decode(self, packet: av.Packet | None) -> list[Any]:
        number, self._given = self._given, self._given + 1
        if self._error is not None and self._at is not None and number >= self._at:
            raise self._error
        frames = self._context.decode(packet)
        return frames if self._gives_way else [PlayedFrame(frame) for frame in frames]


def played(*args: Any, **kwargs: Any) -> Decoding:
    """Return a decoding whose GPU is played, with pictures on the processor."""
    made: Callable[[str, str], Any] = lambda codec, _: PlayedHardware(codec, *args, **kwargs)  # noqa: E731
    return Decoding("cpu", hardware=True, open=made)


def packets(path: Path) -> list[Packet]:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        context = video.codec_context
        form = StreamFormat(context.name, context.width, context.height, context.extradata)
        return [
            Packet(bytes(u), u.pts, u.dts, u.time_base, u.is_keyframe, float(n), form)
            for n, u in enumerate(u for u in container.demux(video) if u.size)
        ]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> list[Packet]:
    """40 pictures, with a keyframe every 10."""
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    return packets(encode(path, moving_pictures(40), gop=10))


def decode(decoder: Decoder, units: list[Packet]) -> list[Picture]:
    return [p for unit in units for p in decoder.decode(unit)] + decoder.flush()


class Built:
    """What a frame builder makes of some packets."""

    def __init__(self, units: list[Packet], decoding: Decoding) -> None:
        self.tally = Tally()
        context = IngestContext(25.0, random.Random(0), decoding=decoding)
        builder = FrameBuilder("camera", context, self.tally)
        self.outputs: list[Output] = [o for unit in units for o in builder.take(unit)]
        self.outputs += builder.finish()
        self.counters = self.tally.counters(NO_LOG)

    @property
    def frames(self) -> list[Frame]:
        return [each for each in self.outputs if isinstance(each, Frame)]


def test_pictures_of_a_gpu_are_those_of_the_processor(video: list[Packet]) -> None:
    decoder = Decoder(video[0].format, decoding=played())
    found = decode(decoder, video)
    expected = decode(Decoder(video[0].format), video)
    assert (len(found), decoder.fallback, decoder.on_gpu) == (40, None, True)
    for one, other in zip(found, expected, strict=True):
        assert (one.pts, one.keyframe, one.size, one.count) == (
            other.pts, other.keyframe, other.size, other.count,
        )  # fmt: skip
        assert np.array_equal(host(one.on("cpu")), other.rgb())
        assert np.array_equal(one.rgb(), other.rgb())


def test_without_a_gpu_the_processor_decodes_and_says_why(video: list[Packet]) -> None:
    refusal = Refusal(Fallback.DEVICE, "no driver")
    decoder = Decoder(
        video[0].format, decoding=Decoding("cpu", hardware=True, open=lambda *_: refusal)
    )
    assert len(decode(decoder, video)) == 40
    assert decoder.fallback is refusal
    assert not decoder.on_gpu


def test_the_processor_alone_is_asked_for_nothing_else(video: list[Packet]) -> None:
    decoder = Decoder(video[0].format, decoding=Decoding("cpu"))
    assert len(decode(decoder, video)) == 40
    assert decoder.fallback is None


def test_a_stream_that_the_decoder_gives_back_goes_on(video: list[Packet]) -> None:
    decoder = Decoder(video[0].format, decoding=played(gives_way=True))
    assert len(decode(decoder, video)) == 40
    assert decoder.fallback is not None
    assert (decoder.fallback.reason, decoder.on_gpu) == (Fallback.REFUSED, False)


def test_a_decoder_that_fails_at_a_keyframe_loses_nothing(video: list[Packet]) -> None:
    decoder = Decoder(video[0].format, decoding=played(UNKNOWN, 0))
    assert len(decode(decoder, video)) == 40
    assert decoder.fallback is not None
    assert decoder.fallback.reason is Fallback.BROKEN


def test_a_decoder_that_fails_later_loses_what_comes_before_the_next_keyframe(
    video: list[Packet],
) -> None:
    decoder = Decoder(video[0].format, decoding=played(UNKNOWN, 14))
    found = decode(decoder, video)
    expected = decode(Decoder(video[0].format), video)
    kept = [number for number in range(40) if not 14 <= number < 20]
    assert [p.pts for p in found] == [expected[n].pts for n in kept]
    assert [n for n, p in zip(kept, found, strict=True) if p.damaged] == [20]
    assert decoder.refused == 6
    for number, picture in zip(kept, found, strict=True):
        assert np.array_equal(picture.rgb(), expected[number].rgb())


def test_a_damaged_packet_is_no_reason_to_leave_the_gpu(video: list[Packet]) -> None:
    decoder = Decoder(video[0].format, decoding=played())
    decoder.decode(video[0])
    broken = av.Packet(b"\xff" * 40)
    spoilt = Packet(bytes(broken), 1, 1, video[0].time_base, False, 0.0, video[0].format)
    decoder.decode(spoilt)
    assert decoder.on_gpu


def test_a_gpu_that_refuses_everything_is_left(video: list[Packet]) -> None:
    decoder = Decoder(video[0].format, decoding=played(DAMAGED, 0))
    assert len(decode(decoder, video)) == 40 - 30  # the keyframe after 26 refusals is the last
    assert decoder.fallback is not None
    assert decoder.fallback.reason is Fallback.BROKEN
    assert MAX_HARDWARE_REFUSALS == 25


def test_frames_lie_where_they_are_wanted(video: list[Packet]) -> None:
    built, plain = Built(video, played()), Built(video, Decoding())
    assert len(built.frames) == len(plain.frames) > 30
    for one, other in zip(built.frames, plain.frames, strict=True):
        assert isinstance(one.image, DevicePicture)
        assert np.array_equal(host(one.image), other.image)
        assert (one.slot, one.at, one.capture) == (other.slot, other.at, other.capture)
    assert built.counters.on_gpu == 40
    assert built.counters.fallbacks == {}
    assert plain.counters.on_gpu == 0


def test_a_fallback_is_counted_and_logged_once_and_asks_for_a_keyframe(
    video: list[Packet],
) -> None:
    with structlog.testing.capture_logs() as lines:
        built = Built(video, played(UNKNOWN, 14))
    assert built.counters.fallbacks == {Fallback.BROKEN: 1}
    assert built.counters.on_gpu == 15
    assert sum(isinstance(each, KeyframeNeeded) for each in built.outputs) >= 1
    (line,) = [each for each in lines if each["log_level"] == "warning"]
    assert (line["stream"], line["reason"]) == ("camera", "broken")
    assert "fell over" in line["detail"]


def test_every_new_decoder_that_falls_back_is_counted_but_logged_once(video: list[Packet]) -> None:
    refusal = Refusal(Fallback.DEVICE, "no driver")
    context = IngestContext(
        25.0,
        random.Random(0),
        decoding=Decoding("cpu", hardware=True, open=lambda *_: refusal),
    )
    tally = Tally()
    builder = FrameBuilder("camera", context, tally)
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            for unit in video:
                list(builder.take(unit))
            list(builder.finish())
    assert tally.counters(NO_LOG).fallbacks == {Fallback.DEVICE: 3}
    assert len(lines) == 1


def test_pictures_that_a_device_cannot_hold_lie_in_memory_from_then_on(
    video: list[Packet], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(self: Picture, device: str | None) -> None:
        calls.append(device)
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Picture, "on", full)
    built = Built(video, played())
    assert calls == ["cpu"]
    assert all(isinstance(frame.image, np.ndarray) for frame in built.frames)
    assert len(built.frames) > 25
    assert built.counters.fallbacks == {Fallback.BROKEN: 1}


def test_one_broken_decoder_is_nobody_elses(video: list[Packet]) -> None:
    one, other = Built(video, played(UNKNOWN, 14)), Built(video, played())
    assert one.counters.fallbacks
    assert other.counters.fallbacks == {}
    assert len(other.frames) > len(one.frames) > 20


def test_totals_of_several_ingests_add_up() -> None:
    one, two = Tally(), Tally()
    for tally in (one, two):
        tally.given_to_gpu()
        tally.fell_back(Fallback.CODEC)
    total = one.counters(NO_LOG).plus(two.counters(NO_LOG))
    assert (total.on_gpu, total.fallbacks) == (2, {Fallback.CODEC: 2})


@pytest.mark.parametrize("codec", ["rawvideo", "theora", "mjpeg"])
def test_what_nvdec_does_not_decode_is_not_asked_of_it(codec: str) -> None:
    found = hardware_context(codec, "cuda")
    assert isinstance(found, Refusal)
    assert found.reason is Fallback.CODEC


class PlayedCuda:
    """The parts of `torch.cuda` that are asked before a decoder is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current = 0
        self.made: list[object] = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)
        monkeypatch.setattr(torch.cuda, "device", self._device)
        monkeypatch.setattr(torch, "empty", lambda *_, **kinds: self.made.append(kinds))

    @contextmanager
    def _device(self, number: int) -> Iterator[None]:
        self.current = number
        yield


@pytest.mark.parametrize(("device", "number"), [("cuda", 2), ("cuda:1", 1)])
def test_a_decoder_is_opened_in_torchs_context_first(
    monkeypatch: pytest.MonkeyPatch, device: str, number: int
) -> None:
    """FFmpeg takes a context of another's making only if it is the current one."""
    played, asked = PlayedCuda(monkeypatch), []

    def create(name: str, mode: str, wanted: HWAccel) -> None:
        asked.append((name, wanted.device_id, wanted.is_hw_owned, dict(wanted.options)))
        raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(hardware.av, "CodecContext", SimpleNamespace(create=create))
    found = hardware_context("libdav1d", device)
    assert isinstance(found, Refusal)
    assert found.reason is Fallback.DEVICE
    assert (played.current, played.made) == (number, [{"device": "cuda"}])
    assert [each[:3] for each in asked] == [("av1", number, True)] * 2
    assert [each[3] for each in asked] == [
        {"current_ctx": "1", "primary_ctx": "0"},
        {"primary_ctx": "1"},
    ]


def test_a_device_that_torch_cannot_use_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    PlayedCuda(monkeypatch)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access")

    monkeypatch.setattr(torch, "empty", broken)
    found = hardware_context("h264", "cuda")
    assert isinstance(found, Refusal)
    assert "illegal memory access" in found.detail


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8", "vp9", "av1", "libdav1d"])
def test_a_machine_without_a_gpu_says_that_it_has_none(codec: str) -> None:
    found = hardware_context(codec, "cuda")
    assert isinstance(found, Refusal)
    assert found.reason is Fallback.DEVICE
    assert why_not() == found.detail
    assert "CUDA" in found.detail


def test_only_a_gpu_decodes_on_a_gpu() -> None:
    assert Decoding.on("cpu") == Decoding()
    assert Decoding.on("cuda:1") == Decoding("cuda:1", hardware=True)
    assert Decoding.on("cuda", hardware=False) == Decoding("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(why_not() is not None, reason="needs NVDEC")
@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8"])
def test_nvdec_gives_the_pictures_of_the_processor(tmp_path: Path, codec: str) -> None:
    """H.264, HEVC and VP8 say to the last bit what a picture is."""
    path = tmp_path / ("a.webm" if codec == "vp8" else "a.mp4")
    units = packets(encode(path, moving_pictures(30, 320, 240), codec, gop=10))
    decoder = Decoder(units[0].format, decoding=Decoding.on("cuda"))
    found = decode(decoder, units)
    expected = decode(Decoder(units[0].format), units)
    assert (decoder.fallback, decoder.on_gpu) == (None, True)
    for one, other in zip(found, expected, strict=True):
        picture = one.on("cuda")
        assert isinstance(picture, DevicePicture)
        assert picture.device.type == "cuda"
        assert one.pts == other.pts
        assert np.abs(picture.host().astype(int) - other.rgb()).max() <= 1
        assert np.abs(one.rgb().astype(int) - other.rgb()).max() <= 1


@pytest.mark.gpu
@pytest.mark.skipif(why_not() is not None, reason="needs NVDEC")
def test_what_nvdec_cannot_decode_falls_back_by_itself(tmp_path: Path) -> None:
    """4:4:4 H.264 is not every GPU's; whoever decodes, the pictures come."""
    path = encode(tmp_path / "a.mp4", moving_pictures(12, 320, 240), pix_fmt="yuv444p")
    units = packets(path)
    decoder = Decoder(units[0].format, decoding=Decoding.on("cuda"))
    assert len(decode(decoder, units)) == 12
    assert decoder.on_gpu or decoder.fallback is not None
