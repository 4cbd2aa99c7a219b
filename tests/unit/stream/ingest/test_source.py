"""A source URL is understood or refused with advice, and never shows its secrets."""

import copy
import dataclasses
import json
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.clock import ManualClock
from stream.errors import SourceError, SourceUrlInvalid
from stream.events import ReasonCode
from stream.ingest.open import open_source
from stream.ingest.source import SourceSettings, SourceUrl, redact


@pytest.mark.parametrize(
    ("text", "scheme", "shown"),
    [
        ("rtsp://cam/live", "rtsp", "rtsp://cam/live"),
        ("RTSPS://cam:322/a?channel=1", "rtsps", "RTSPS://cam:322/a?***"),
        ("rtsp://u:pw@cam:554/live", "rtsp", "rtsp://***@cam:554/live"),
        ("rtsp://u:p@ss@[::1]:8554/x", "rtsp", "rtsp://***@[::1]:8554/x"),
        ("rtsp://cam/x?ch=1&token=abcd", "rtsp", "rtsp://cam/x?***"),
        ("rtsp://cam/x?deadbeef", "rtsp", "rtsp://cam/x?***"),
        ("rtsp://cam/user=admin&password=x&ch=1", "rtsp", "rtsp://cam/user=***"),
        ("demo://authentic?seed=3", "demo", "demo://authentic?seed=3"),
        ("/videos/a.mp4", "file", "/videos/a.mp4"),
        ("clip a.mp4", "file", "clip a.mp4"),
        ("file:///videos/a%20b.mp4", "file", "/videos/a b.mp4"),
    ],
)
def test_known_sources_are_understood(text: str, scheme: str, shown: str) -> None:
    url = SourceUrl.parse(text)
    assert (url.scheme, url.redacted) == (scheme, shown)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "empty"),
        ("rstp://cam/a", "did you mean rtsp://?"),
        ("http://cam/a", "only rtsp://"),
        ("rtsp:/cam/a", "two slashes"),
        ("rtsp:///a", "no host"),
        ("rtsp://cam:port/a", "malformed"),
        ("rtsp://cam:0/a", "port 0"),
        ("rtsp://u:p/w@cam/a", "%2F"),
        ("rtsp://cam/a\r\nX: y", "control character"),
        ("rtsp://" + "u" * 128 + "@cam/a", "127 bytes"),
        ("u:secretpw@cam/a", "did you mean rtsp://?"),
        ("demo://autentic", "did you mean demo://authentic?"),
        ("demo://", "demo://tampered"),
        ("file://host/a", "file:///PATH"),
    ],
)
def test_anything_else_is_refused_with_advice(text: str, advice: str) -> None:
    with pytest.raises(SourceUrlInvalid) as caught:
        SourceUrl.parse(text)
    assert advice in str(caught.value)
    assert "secretpw" not in str(caught.value)


def test_reveal_is_the_only_door() -> None:
    url = SourceUrl.parse("rtsp://user:hunter2@cam/x y")
    assert url.reveal() == "rtsp://user:hunter2@cam/x%20y"
    settings = SourceSettings(url)
    shown = [
        repr(url), str(url), f"{url!s:>9}", repr(settings), repr((url,)),
        json.dumps(url, default=str), str(dataclasses.asdict(settings)), repr([url]),
    ]  # fmt: skip
    assert not any("hunter2" in text for text in shown)


def test_a_url_survives_copying_and_pickling_and_stays_hidden() -> None:
    url = SourceUrl.parse("rtsp://user:hunter2@cam/x")
    for twin in (copy.deepcopy(url), pickle.loads(pickle.dumps(url))):
        assert twin == url
        assert hash(twin) == hash(url)
        assert twin.reveal() == url.reveal()
        assert "hunter2" not in repr(twin)


@pytest.mark.parametrize(
    "key",
    [
        "p",
        "pw",
        "pin",
        "psw",
        "pswd",
        "pwd",
        "code",
        "jwt",
        "hash",
        "key",
        "sig",
        "token",
        "x",
        "_",
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        "rtsp://cam/live?{key}={word}",
        "rtsp://cam/live?ch=1&{key}={word}",
        "rtsp://cam/live?ch=1;{key}:{word}",
        "rtsp://cam/live;{key}:{word}",
        "rtsp://cam/live;{key}={word}",
        "rtsp://cam/{key}={word}/live",
        "rtsp://cam/{key}:{word}/live",
        "rtsp://cam/live/{key}%3D{word}",
        "rtsp://cam/live%3B{key}%3A{word}",
        "rtsp://cam/live%253B{key}%253A{word}",
        "rtsp://cam/live,{key}:{word}",
        "rtsp://cam/live({word})",
        "rtsp://cam/live#{key}={word}",
        "rtsp://cam?{key}={word}",
        "rtsp://{key}:{word}/live",
        "rtsp:/cam/live?{key}={word}",
        "rtsp:cam/live?{key}={word}",
        "rtps://cam/live?{key}={word}",
    ],
)
def test_no_secret_is_shown_whatever_its_name(key: str, form: str) -> None:
    """What is shown of an address is scheme, host, port and path."""
    for word in ("hunter2hunter2hunter2", "hunter2%21hunter2%21"):
        for shown in everything_shown(form.format(key=key, word=word)):
            assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://cam:554/Streaming/Channels/101", "rtsp://cam:554/Streaming/Channels/101"),
        (
            "rtsp://192.0.2.7/axis-media/media.amp?codec=h264",
            "rtsp://192.0.2.7/axis-media/media.amp?***",
        ),
        ("rtsps://[2001:db8::1]:322/a b~c+d.sdp", "rtsps://[2001:db8::1]:322/a b~c+d.sdp"),
        ("rtsp://cam/live;code:1", "rtsp://cam/live;***"),
        ("rtsp://cam/a%20b", "rtsp://cam/a%20b"),
        ("http://u:pw@host:8000/whip/cam?jwt=x", "http://***@host:8000/whip/cam?***"),
        ("ws://host/api", "ws://host/api"),
        ("rtsp://cam:secret/a", "rtsp://cam:***/a"),
        ("demo://tampered?seed=3", "demo://tampered?seed=3"),
    ],
)
def test_host_port_and_path_are_shown(text: str, shown: str) -> None:
    assert redact(text) == shown


SENTINELS = "Æþŋĸ§€😀ƂƧ"
"""Characters that nothing but a password holds, so that finding one means a leak."""


def everything_shown(text: str) -> list[str]:
    """Return all that a would-be URL lets anybody see."""
    try:
        url = SourceUrl.parse(text)
    except SourceUrlInvalid as error:
        return [str(error), repr(error), error.shown]
    failure = SourceError(ReasonCode.AUTH, url.scrub(f"cannot open {url.reveal()}"))
    return [repr(url), str(url), url.redacted, str(failure), repr(failure)]


@given(
    st.text(SENTINELS + "%@:/?#&=;+ \\'\"<>", max_size=12),
    st.text(SENTINELS, min_size=4, max_size=6),
    st.booleans(),
)
def test_no_odd_password_is_ever_shown(odd: str, core: str, quoted: bool) -> None:
    """Whatever a password holds, escaped or not, accepted or refused."""
    password = odd + core + odd
    written = quote(password, safe="") if quoted else password
    for shown in everything_shown(f"rtsp://admin:{written}@cam/live"):
        assert not [c for c in SENTINELS if c in shown or quote(c) in shown]


@given(st.text("abcdefgh0123%$!", min_size=6, max_size=20))
def test_every_spelling_is_scrubbed_from_others_words(password: str) -> None:
    url = SourceUrl.parse(f"rtsp://admin:{quote(password, safe='')}@camera/live?token=zzzztop")
    said = f"tried {password}, {quote(password, safe='')}, zzzztop and {url.reveal()}"
    scrubbed = url.scrub(said)
    assert password not in scrubbed
    assert quote(password, safe="") not in scrubbed
    assert "zzzztop" not in scrubbed


@given(st.text(max_size=60))
def test_any_text_is_a_source_or_a_clear_refusal(text: str) -> None:
    assert all(isinstance(shown, str) for shown in everything_shown(text))


@pytest.mark.parametrize("text", ["whip://", "WHIP://", "whip:///"])
def test_a_stream_may_wait_for_a_caller(text: str) -> None:
    url = SourceUrl.parse(text)
    assert (url.is_call, url.is_live, url.is_file, url.redacted) == (True, False, False, "whip://")


def test_a_caller_has_no_address() -> None:
    with pytest.raises(SourceUrlInvalid, match="nothing follows"):
        SourceUrl.parse("whip://somebody")


def test_nobody_opens_a_caller() -> None:
    settings = SourceSettings(SourceUrl.parse("whip://"))
    with pytest.raises(SourceUrlInvalid, match="server"):
        open_source(settings, ManualClock(), lambda _: True)
