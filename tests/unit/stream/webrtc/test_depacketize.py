"""Pictures of VP9 and AV1 are put together of whole packets, and of nothing else."""

from __future__ import annotations

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.webrtc.depacketize import framed, picture
from stream.webrtc.keyframes import is_keyframe
from tests.support.media import moving_pictures

SEQUENCE, FRAME, DELIMITER = 1, 6, 2


def joined(*payloads: bytes) -> bytes:
    """Return payloads as aiortc hands them on."""
    return b"".join(framed(payload) for payload in payloads)


# --- VP9 -------------------------------------------------------------------------------------


def vp9(*, begin: bool = True, end: bool = True, flags: int = 0, rest: bytes = b"") -> bytes:
    """Return a payload descriptor (RFC 9628, 4.2)."""
    return bytes([begin << 3 | end << 2 | flags]) + rest


DESCRIPTORS = {
    "bare": (0, b""),
    "short picture id": (0x80, b"\x11"),
    "long picture id": (0x80, b"\x91\x22"),
    "layers": (0xA0, b"\x91\x22" + b"\x20" + b"\x07"),
    "layers, flexible": (0xB0, b"\x91\x22" + b"\x20"),
    "references": (0xD0, b"\x91\x22" + b"\x03\x05\x06"),
    "one reference": (0xD0, b"\x11" + b"\x02"),
    "structure": (0x82, b"\x11" + b"\x18" + b"\x01\x40\x00\xf0" + b"\x02\x00\x04\x01"),
    "structure of two": (0x82, b"\x11" + b"\x30" + bytes(8)),
    "empty structure": (0x82, b"\x11" + b"\x00"),
}


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_every_descriptor_of_vp9_is_passed_over(name: str) -> None:
    flags, rest = DESCRIPTORS[name]
    one = vp9(end=False, flags=flags, rest=rest) + b"first "
    two = vp9(begin=False, end=False, flags=flags, rest=rest) + b"second "
    last = vp9(begin=False, flags=flags, rest=rest) + b"last"
    assert picture("VP9", joined(one, two, last)) == b"first second last"
    assert picture("VP9", joined(vp9(flags=flags, rest=rest) + b"all")) == b"all"


def test_of_several_spatial_layers_of_vp9_the_base_layer_is_kept() -> None:
    base, better = (vp9(flags=0x20, rest=bytes([sid << 1, 7])) for sid in (0, 1))
    assert picture("VP9", joined(base + b"small", better + b"large")) == b"small"


@pytest.mark.parametrize(
    "payloads",
    [
        (),
        (b"",),
        (vp9(),),
        (vp9(begin=False) + b"x",),
        (vp9(end=False) + b"x",),
        (vp9(end=False) + b"x", vp9(end=False) + b"x"),
        (vp9() + b"x", vp9() + b"x"),
        (vp9(flags=0x80),),
        (vp9(flags=0xD0, rest=b"\x11\x03\x03\x03") + b"x",),
        (vp9(flags=0x82, rest=b"\x11\xff\x00"),),
        (vp9(flags=0x20, rest=b"\x02\x07") + b"only a better layer",),
    ],
)
def test_a_picture_of_vp9_that_is_not_whole_is_none(payloads: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match=r"missing|holds no|cut short|too many"):
        picture("VP9", joined(*payloads))


def encoded(codec: str, count: int = 5) -> list[bytes]:
    """Return compressed pictures; only the first is a keyframe."""
    encoder = av.VideoCodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = 160, 120, "yuv420p"
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    frames = [
        av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        for image in moving_pictures(count)
    ]
    packets = []
    for n, frame in enumerate(frames):
        frame.pts = n
        packets += encoder.encode(frame)
    return [bytes(packet) for packet in (*packets, *encoder.encode(None)) if packet.size]


def test_keyframes_of_vp9_are_known() -> None:
    pictures = encoded("libvpx-vp9")
    assert len(pictures) > 2
    assert [is_keyframe("VP9", data) for data in pictures] == [True] + [False] * (len(pictures) - 1)
    assert not is_keyframe("VP9", b"")
    assert not is_keyframe("VP9", b"\x00")
    assert not is_keyframe("VP9", b"\x88")  # shown again
    assert is_keyframe("VP9", b"\xb0")  # profile 3 has a bit more
    assert not is_keyframe("VP9", b"\xb2")


# --- AV1 -------------------------------------------------------------------------------------


def obu(kind: int, body: bytes, *, sized: bool = False, layer: int | None = None) -> bytes:
    """Return an OBU; of less than 128 bytes when it tells its size."""
    extended = layer is not None
    head = bytes([kind << 3 | extended << 2 | sized << 1])
    extension = bytes([layer << 3]) if layer is not None else b""
    return head + extension + (bytes([len(body)]) if sized else b"") + body


def av1(
    *elements: bytes, continues: bool = False, goes_on: bool = False, counted: bool = True
) -> bytes:
    """Return a payload of OBU elements, each of less than 128 bytes."""
    count = len(elements) if counted and len(elements) < 4 else 0
    head = continues << 7 | goes_on << 6 | count << 4
    told = elements if count == 0 else elements[:-1]
    body = b"".join(bytes([len(element)]) + element for element in told)
    return bytes([head]) + body + (b"" if count == 0 else elements[-1])


@pytest.mark.parametrize("counted", [True, False])
def test_obus_get_their_sizes_back(counted: bool) -> None:
    sequence, frame = obu(SEQUENCE, b"sequence"), obu(FRAME, b"frame", layer=1)
    whole = obu(SEQUENCE, b"sequence", sized=True) + obu(FRAME, b"frame", sized=True, layer=1)
    assert picture("AV1", joined(av1(sequence, frame, counted=counted))) == whole
    parts = (
        av1(sequence, frame[:3], goes_on=True, counted=counted),
        av1(frame[3:5], continues=True, goes_on=True, counted=counted),
        av1(frame[5:], continues=True, counted=counted),
    )
    assert picture("AV1", joined(*parts)) == whole
    assert is_keyframe("AV1", whole)
    assert not is_keyframe("AV1", obu(FRAME, b"frame", sized=True))


def test_what_belongs_to_no_picture_is_left_out_and_sizes_are_kept() -> None:
    sized = obu(FRAME, b"frame", sized=True)
    payload = av1(obu(DELIMITER, b""), obu(8, b"tiles"), sized)
    assert picture("AV1", joined(payload)) == sized


def test_a_long_obu_has_a_size_of_several_bytes() -> None:
    frame = obu(FRAME, bytes(300))
    whole = picture("AV1", joined(av1(frame)))
    assert whole == b"\x32\xac\x02" + bytes(300)
    assert not is_keyframe("AV1", whole)


@pytest.mark.parametrize(
    "payloads",
    [
        (),
        (b"",),
        (b"\x00",),
        (av1(b"x", continues=True),),
        (av1(obu(FRAME, b"x"), goes_on=True),),
        (av1(obu(FRAME, b"x"), goes_on=True), av1(obu(FRAME, b"x"))),
        (av1(obu(FRAME, b"x")), av1(b"x", continues=True)),
        (b"\x20\x05x",),
        (b"\x20\x01x",),
        (b"\x00" + b"\xff" * 9,),
        (av1(obu(DELIMITER, b"")),),
    ],
)
def test_a_picture_of_av1_that_is_not_whole_is_none(payloads: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match=r"missing|holds no|cut short|malformed"):
        picture("AV1", joined(*payloads))


# --- both ------------------------------------------------------------------------------------


def test_other_codecs_are_what_they_are() -> None:
    assert picture("VP8", b"as it is") == b"as it is"


@pytest.mark.parametrize("codec", ["VP9", "AV1"])
@given(payloads=st.lists(st.binary(max_size=40), max_size=5))
def test_rubbish_is_refused_and_never_worse(codec: str, payloads: list[bytes]) -> None:
    try:
        data = picture(codec, joined(*payloads))
    except ValueError:
        return
    assert data
    assert is_keyframe(codec, data) in (True, False)
