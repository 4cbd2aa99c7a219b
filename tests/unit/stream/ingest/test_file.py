"""Files play at their own pace or at once, and nothing but a file is ever opened."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from stream.clock import ManualClock
from stream.errors import SourceError
from stream.events import ReasonCode
from stream.ingest.decode import Decoder
from stream.ingest.file import FileSource, duration_s
from stream.ingest.source import Pace, Packet, SourceSettings, SourceUrl
from stream.ingest.trace import TraceSource, TraceWriter
from styleflow.data.video import stream_pictures
from tests.support.media import encode, moving_pictures


def settings(path: Path, pace: Pace = Pace.FAST) -> SourceSettings:
    return SourceSettings(SourceUrl.parse(str(path)), pace=pace)


def go_on(_seconds: float) -> bool:
    return False


def read(
    path: Path,
    clock: ManualClock,
    wait: Callable[[float], bool] = go_on,
    pace: Pace = Pace.FAST,
) -> tuple[list[Packet], SourceError | None]:
    packets = []
    try:
        for packet in FileSource(settings(path, pace), clock, wait).packets():
            packets.append(packet)
    except SourceError as error:
        return packets, error
    return packets, None


def test_it_yields_every_packet_and_ends(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", moving_pictures(30), gop=10)
    packets, end = read(path, ManualClock())
    assert len(packets) == 30
    assert [p.keyframe for p in packets] == [n % 10 == 0 for n in range(30)]
    assert (packets[0].format.codec, packets[0].format.width) == ("h264", 160)
    assert end is not None
    assert end.code is ReasonCode.ENDED
    assert duration_s(settings(path)) == pytest.approx(1.2)


def test_native_pace_waits_as_long_as_the_video_lasts(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", moving_pictures(26))
    clock = ManualClock(100.0)

    def wait(seconds: float) -> bool:
        clock.advance(seconds)
        return False

    packets, _ = read(path, clock, wait, Pace.NATIVE)
    arrivals = [p.arrived - 100.0 for p in packets]
    assert arrivals == pytest.approx([n / 25 for n in range(26)])


def test_a_hole_in_a_file_is_not_waited_out(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "a.mkv", moving_pictures(4), stamps=[0, 1, 3600, 3601],
        time_base=Fraction(1, 1),
    )  # fmt: skip
    clock = ManualClock()

    def wait(seconds: float) -> bool:
        clock.advance(seconds)
        return False

    read(path, clock, wait, Pace.NATIVE)
    assert clock.monotonic() < 4.0


def test_it_stops_when_told_to(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", moving_pictures(10))
    waits = iter([False, False, True])
    packets, end = read(path, ManualClock(), lambda _: next(waits))
    assert (len(packets), end) == (2, None)


def test_closing_it_stops_it(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", moving_pictures(10))
    source = FileSource(settings(path), ManualClock(), go_on)
    packets = []
    for packet in source.packets():
        packets.append(packet)
        source.close()
    assert len(packets) == 1


@pytest.mark.parametrize(("turn", "corner"), [(90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
def test_a_phone_held_sideways_is_turned_upright(
    tmp_path: Path, turn: int, corner: tuple[int, int]
) -> None:
    """The picture's bright top left corner goes where the display matrix puts it."""
    picture = np.full((48, 64, 3), 30, np.uint8)
    picture[:16, :16] = 230
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(turn)
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    packets, _ = read(path, ManualClock())
    decoder = Decoder(packets[0].format)
    (upright, *_) = [p for packet in packets for p in decoder.decode(packet)] + decoder.flush()
    rgb = upright.rgb()
    assert rgb.shape == ((48, 64, 3) if turn == 180 else (64, 48, 3))
    bright = np.argwhere(rgb[[0, 0, -1, -1], [0, -1, 0, -1]].mean(1) > 150).ravel().tolist()
    assert bright == [[(0, 0), (0, -1), (-1, 0), (-1, -1)].index(corner)]


def test_a_mirrored_front_camera_is_not_turned_upside_down(tmp_path: Path) -> None:
    picture = np.full((48, 64, 3), 30, np.uint8)
    picture[:16, :16] = 230
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_matrix([-(1 << 16), 0, 0, 0, 1 << 16, 0, 64 << 16, 0, 1 << 30])
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    trace = tmp_path / "a.sftrace"
    packets, _ = read(path, ManualClock())
    with TraceWriter(trace, settings(path).url) as writer:
        writer.write(packets[0])
    again = next(TraceSource(settings(trace)).packets())
    for packet in (packets[0], again):
        decoder = Decoder(packet.format)
        (seen, *_) = [*decoder.decode(packet), *decoder.flush()]
        assert (seen.rgb()[8, -8].mean(), seen.rgb()[8, 8].mean()) == pytest.approx(
            (230, 30), abs=9
        )


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_wide_picture_that_is_stored_narrow_is_seen_wide(tmp_path: Path, name: str) -> None:
    path, trace = tmp_path / name, tmp_path / "a.sftrace"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 72, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(64, 45)
        for number in range(50):
            picture = np.full((96, 72, 3), 90, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    packets, _ = read(path, ManualClock())
    with TraceWriter(trace, settings(path).url) as writer:
        writer.write(packets[0])
    camera = replace(packets[0].format, pixel_aspect=None)  # its parameter sets say it as well
    for form in (packets[0].format, next(TraceSource(settings(trace)).packets()).format, camera):
        decoder = Decoder(form)
        (seen, *_) = [p for packet in packets for p in decoder.decode(packet)] + decoder.flush()
        assert seen.rgb().shape == (96, 102, 3)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_lists_of_other_files_open_nothing(tmp_path: Path) -> None:
    """A playlist, a concat list, a session description and an image pattern are no videos."""
    video = encode(tmp_path / "a.mp4", moving_pictures(3))
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:{video}\n#EXT-X-ENDLIST\n"
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    for path in (
        write(tmp_path / "list.m3u8", hls),
        write(tmp_path / "list.ffconcat", f"ffconcat version 1.0\nfile '{video}'\n"),
        write(tmp_path / "session.sdp", sdp),
    ):
        packets, error = read(path, ManualClock())
        assert packets == []
        assert error is not None
        assert error.code is ReasonCode.CODEC


def test_a_name_that_ffmpeg_would_take_for_a_protocol_is_only_a_name(tmp_path: Path) -> None:
    video = encode(tmp_path / "a.mp4", moving_pictures(3))
    for name in (f"concat:{video}|{video}", f"subfile,,start,0,end,0,,:{video}", "pipe:0"):
        packets, error = read(Path(name), ManualClock())
        assert packets == []
        assert error is not None
        assert error.code is ReasonCode.NOT_FOUND


def test_what_cannot_be_played_is_refused_with_a_reason(tmp_path: Path) -> None:
    expected = {
        tmp_path / "missing.mp4": ReasonCode.NOT_FOUND,
        tmp_path: ReasonCode.CODEC,
        Path("/dev/zero"): ReasonCode.CODEC,
        write(tmp_path / "empty.mp4", b""): ReasonCode.CORRUPT,
        write(tmp_path / "notes.txt", "hello"): ReasonCode.CORRUPT,
        write(tmp_path / "junk.mp4", b"x" * 100_000): ReasonCode.CORRUPT,
    }
    for path, code in expected.items():
        packets, error = read(path, ManualClock())
        assert packets == []
        assert error is not None
        assert error.code is code, path


def with_pictures(path: Path, *tracks: tuple[int, int, Disposition | None]) -> Path:
    """Write a file with tracks of (side, frames, disposition); one with a disposition is MJPEG."""
    with av.open(str(path), "w") as container:
        streams = []
        for side, frames, disposition in tracks:
            stream = container.add_stream("libx264" if disposition is None else "mjpeg", rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p" if disposition is None else "yuvj420p"
            if disposition is not None:
                stream.disposition = disposition
            streams.append((stream, frames))
        for stream, frames in streams:
            for number in range(frames):
                picture = np.full((stream.height, stream.width, 3), 90, np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


COVER = Disposition.attached_pic


@pytest.mark.parametrize(
    "tracks",
    [
        ((64, 1, COVER), (96, 5, None)),
        ((96, 5, None), (128, 1, COVER)),
        ((64, 5, None), (96, 5, None)),
        ((96, 5, None), (64, 5, None)),
        ((128, 1, None), (96, 5, None)),
    ],
)
def test_cover_art_and_lesser_tracks_are_not_taken_for_the_video(
    tmp_path: Path, tracks: tuple[tuple[int, int, Disposition | None], ...]
) -> None:
    path = with_pictures(tmp_path / "a.mp4", *tracks)
    packets, end = read(path, ManualClock())
    assert (len(packets), packets[0].format.codec, packets[0].format.width) == (5, "h264", 96)
    assert end is not None
    assert end.code is ReasonCode.ENDED
    assert len(list(stream_pictures(path))) == 5


def test_a_file_with_nothing_but_cover_art_has_no_video(tmp_path: Path) -> None:
    _, error = read(with_pictures(tmp_path / "a.mp4", (64, 1, COVER)), ManualClock())
    assert error is not None
    assert error.code is ReasonCode.CODEC
    assert "only a picture" in error.detail


def test_a_file_without_video_says_so(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        frame.sample_rate = 48_000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    _, error = read(path, ManualClock())
    assert error is not None
    assert (error.code, error.detail) == (ReasonCode.CODEC, "the file has no video stream")
