"""Every error of this project says what it is, and is told to people as that."""

from __future__ import annotations

import errno
import inspect
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import TypeAdapter, ValidationError

from cli.errors import ConfigInvalid, Exit, FolderNeeded, problem_of
from docs.errors import FAMILIES, PACKAGES, PAGE, classes, page
from stream.alerts.errors import (
    AlertChannelMissing,
    AlertRuleFixed,
    AlertRulesFull,
    AlertRuleUnknown,
    AlertUndelivered,
)
from stream.cluster.errors import ClusterUnreachable
from stream.errors import (
    CallUnknown,
    DetectorUnknown,
    HubFull,
    NotACall,
    OfferInvalid,
    OfferRefused,
    OverlaysBusy,
    OverlayUnavailable,
    Overloaded,
    PlacementImpossible,
    SecretLost,
    SettingInvalid,
    SourceError,
    SourceUrlInvalid,
    StreamBusy,
    StreamExists,
    StreamUnknown,
    TooManyPeers,
    TooManyStreams,
    VideoBeyondLimits,
    WorkerGone,
    WorkerUnknown,
)
from stream.events import ReasonCode
from stream.evidence.errors import BundleRefused, BundleUnmade, SigningKeyLost
from stream.problems import Problem
from stream.store.errors import (
    StoreDriverMissing,
    StoreNotWritable,
    StoreTooNew,
    StoreUnavailable,
    StoreUrlInvalid,
)
from styleflow import errors
from styleflow.client.errors import AnalyzerAway, RequestRefused, SubscriptionRefused
from styleflow.errors import StyleFlowError
from web.errors import (
    AddressInvalid,
    AddressRefused,
    AddressUnresolved,
    AnalysisTooSlow,
    AuthError,
    BodyTooLarge,
    CameraRefused,
    ClientLeft,
    DetectorTwice,
    FetchTooSlow,
    HostRefused,
    NoFace,
    NotAFile,
    NotAllowed,
    NotAVideo,
    NotLive,
    NotServed,
    NotText,
    OriginRefused,
    PathMissing,
    PathRefused,
    ProxyRefused,
    ReadingTooSlow,
    Refusal,
    RequestInvalid,
    RestartRefused,
    SessionDiffers,
    SessionUnnamed,
    TemporaryFolderFull,
    TokenNeeded,
    TooManyRedirects,
    TooManyVideos,
    UnknownSubprotocol,
    VideoEncoded,
    VideoTooLarge,
    VideoUndelivered,
    WrongContentType,
)

P = Path("a")
ROOT = Path(__file__).resolve().parents[2]
SOURCE = "The source does not deliver video"
UNDELIVERED = "The video was not delivered"

TOLD: list[tuple[StyleFlowError, str, str, int, bool]] = [
    # error, code, title, HTTP status, whether to try again
    (SourceUrlInvalid("ftp://x", "r"), "source_url", "This source cannot be used", 400, False),
    (SecretLost("no key"), "secret_lost", "Stored credentials cannot be read", 500, False),
    (
        BundleRefused("r"),
        "bundle_refused",
        "This file is not taken for an evidence bundle",
        422,
        False,
    ),
    (BundleUnmade("r"), "bundle_unmade", "No bundle can be made of this incident", 422, False),
    (
        SigningKeyLost("r"),
        "signing_key_lost",
        "The key that signs evidence cannot be read",
        500,
        False,
    ),
    (SettingInvalid("k", 1, "must"), "setting", "A setting makes no sense", 422, False),
    (DetectorUnknown("x", ["a"]), "detector_unknown", "There is no such detector", 422, False),
    (
        OverlayUnavailable("d", []),
        "overlay_unavailable",
        "This detector cannot say what it points at",
        422,
        False,
    ),
    (OverlaysBusy(1), "overlays_busy", "Too many look at what detectors point at", 429, True),
    (SourceError(ReasonCode.UNREACHABLE, "d"), "unreachable", SOURCE, 422, True),
    (SourceError(ReasonCode.TIMEOUT, "d"), "timeout", SOURCE, 422, True),
    (SourceError(ReasonCode.AUTH, "d"), "auth", SOURCE, 422, False),
    (SourceError(ReasonCode.NOT_FOUND, "d"), "not_found", SOURCE, 422, False),
    (SourceError(ReasonCode.TLS, "d"), "tls", SOURCE, 422, False),
    (SourceError(ReasonCode.CODEC, "d"), "codec", SOURCE, 422, False),
    (SourceError(ReasonCode.ENDED, "d"), "ended", SOURCE, 422, False),
    (SourceError(ReasonCode.CORRUPT, "d"), "corrupt", SOURCE, 422, False),
    (StreamExists("l"), "stream_exists", "The id is taken", 409, False),
    (StreamUnknown("l"), "stream_unknown", "There is no such stream", 404, False),
    (TooManyStreams(1), "too_many_streams", "No further stream is accepted", 429, True),
    (WorkerGone("w"), "worker_gone", "The worker of this stream is gone", 503, True),
    (WorkerUnknown("w"), "worker_unknown", "There is no such worker", 404, False),
    (
        PlacementImpossible("l", {"site": "north"}),
        "placement_impossible",
        "No worker has the labels that this stream is pinned to",
        409,
        False,
    ),
    (
        ClusterUnreachable("w", "r"),
        "cluster_unreachable",
        "The cluster cannot be reached",
        500,
        False,
    ),
    (Overloaded(30.0), "overloaded", "No further stream is accepted now", 429, True),
    (
        OfferInvalid("r"),
        "offer_invalid",
        "The session description cannot be understood",
        400,
        False,
    ),
    (OfferRefused("r"), "offer_refused", "The session description cannot be met", 422, False),
    (NotACall("l"), "not_a_call", "This stream cannot be called", 409, False),
    (StreamBusy("l"), "stream_busy", "Somebody is sending this stream", 409, True),
    (TooManyPeers(1), "too_many_peers", "No further call is answered", 503, True),
    (StoreUnavailable("u", "r"), "store_unavailable", "The store cannot be used now", 503, True),
    (
        StoreNotWritable("u", "r"),
        "store_not_writable",
        "The store's file cannot be made or opened",
        503,
        False,
    ),
    (CallUnknown(), "call_unknown", "There is no such call", 404, False),
    (AlertUndelivered("r"), "alert_undelivered", "The message was not delivered", 502, True),
    (AlertRuleUnknown("r"), "alert_rule_unknown", "There is no such rule", 404, False),
    (AlertRuleFixed("r"), "alert_rule_fixed", "This rule is in the configuration", 409, False),
    (AlertRulesFull(1), "alert_rules_full", "No further rule is accepted", 429, False),
    (
        AlertChannelMissing("c", "r"),
        "alert_channel_missing",
        "This channel cannot be used",
        422,
        False,
    ),
    (
        errors.WeightsMissing("m", P, "c"),
        "weights_missing",
        "A model is not on this machine",
        503,
        False,
    ),
    (errors.WeightsUnusable("m", "r"), "weights_unusable", "A model cannot be used", 503, False),
    (
        errors.DetectorWeightsMissing("d", None, ["s"], "r"),
        "detector_weights_missing",
        "The detector has no weights",
        503,
        False,
    ),
    (errors.EnsembleInvalid("r"), "ensemble_invalid", "The ensemble cannot be used", 500, False),
    (errors.WorkersLost(2), "workers_lost", "Preparing has stopped", 500, False),
    (errors.DatasetUnusable(P, "r"), "dataset", "The data set cannot be used", 422, False),
    (errors.DatasetUnknown("n", ["k"]), "dataset", "The data set cannot be used", 422, False),
    (
        errors.DetectorUnknown("n", ["k"]),
        "detector_unknown",
        "There is no such detector",
        404,
        False,
    ),
    # Its title was "Training cannot begin" and never shown, since evaluation raises it as well.
    (errors.VideoUnusable(P, "r"), "training", "A video cannot be used", 422, False),
    (errors.RecipeInvalid(P, "r"), "training", "Training cannot begin", 422, False),
    (errors.LabelsMissing("t", 1, 0), "training", "Training cannot begin", 422, False),
    (errors.ResultsUnusable(P, "r"), "results", "These results cannot be used", 422, False),
    (
        errors.CheckpointInvalid(P, "r"),
        "checkpoint_invalid",
        "The checkpoint cannot be used",
        500,
        False,
    ),
    (
        errors.ShapeMismatch("w", "e", [1]),
        "shape_mismatch",
        "An array has the wrong shape",
        500,
        False,
    ),
    (TokenNeeded("d"), "unauthorized", "A token is needed", 401, False),
    (NotAllowed("d", "operator"), "forbidden", "This token may not do that", 403, False),
    (AuthError("h"), "token_needed", "A token is needed to listen here", 400, False),
    (HostRefused("d"), "host_refused", "This server has another name", 421, False),
    (ProxyRefused("d"), "proxy_refused", "A token is needed behind a proxy", 403, False),
    (OriginRefused("d"), "origin_refused", "Other web pages may not do this", 403, False),
    (BodyTooLarge("d"), "body_too_large", "The request is too large", 413, False),
    (NotText("d"), "encoding", "The body is not text", 400, False),
    (WrongContentType("d"), "content_type", "The body is of the wrong type", 415, False),
    (
        UnknownSubprotocol("d", "v1"),
        "subprotocol",
        "This server speaks another protocol",
        400,
        False,
    ),
    (PathRefused("d", "k"), "path_refused", "This path may not be read", 403, False),
    (PathMissing("d"), "file_missing", "The file is not there", 404, False),
    (NotAFile("d"), "not_a_file", "This is not a file", 415, False),
    (AddressRefused("d"), "address_refused", "This address is not fetched from", 403, False),
    (CameraRefused("d"), "address_refused", "No camera can be at this address", 403, False),
    (AddressInvalid("d"), "url", "This address cannot be used", 400, False),
    (AddressUnresolved("d"), "unresolved", UNDELIVERED, 502, False),
    (TooManyRedirects("d"), "too_many_redirects", UNDELIVERED, 502, False),
    (VideoUndelivered("d"), "not_delivered", UNDELIVERED, 502, False),
    (VideoUndelivered("d", retry=True), "not_delivered", UNDELIVERED, 502, True),
    (VideoEncoded("d"), "encoded", UNDELIVERED, 502, False),
    (VideoTooLarge("d"), "video_too_large", "The video is too large", 413, False),
    (
        TemporaryFolderFull("d"),
        "temporary_folder_full",
        "The temporary folder is full",
        507,
        True,
    ),
    (ClientLeft("d"), "client_left", "The client has left", 408, False),
    (
        VideoBeyondLimits("d"),
        "video_limits",
        "The video is longer or larger than is analyzed",
        413,
        False,
    ),
    (FetchTooSlow("d"), "fetch_timeout", "The video came too slowly", 504, True),
    (DetectorTwice("d"), "detector_twice", "Two detectors were named", 422, False),
    (TooManyVideos("d", 30.0), "busy", "Too many videos at once", 429, True),
    (NotAVideo("d"), "not_a_video", "This is not a video that can be read", 415, False),
    (NoFace("d"), "no_face", "No face was found", 422, False),
    (ReadingTooSlow("d"), "timeout", "The video cannot be read in time", 504, False),
    (AnalysisTooSlow("d"), "analysis_timeout", "The analysis took too long", 504, False),
    (SessionUnnamed("d"), "if_match", "Which ICE session?", 428, False),
    (SessionDiffers("d"), "ice_session", "Another ICE session", 412, False),
    (RequestInvalid("d"), "invalid_request", "The request is not valid", 422, False),
    (NotServed("d", "Method Not Allowed", 405), "http", "Method Not Allowed", 405, False),
    (RestartRefused("d"), "ice_restart", "ICE restarts are not done", 422, False),
    (NotLive("d"), "not_live", "The analyzer is not healthy", 503, True),
    (
        SubscriptionRefused("a", 1008, "r"),
        "subscription_refused",
        "The analyzer ends the subscription",
        403,
        False,
    ),
    (RequestRefused("busy", "Too many", "d", "h", 429, True), "busy", "Too many", 429, True),
    (AnalyzerAway("a", "r", "h"), "analyzer_away", "The analyzer cannot be reached", 400, True),
    (FolderNeeded("m", P, "V"), "folder_needed", "A folder to write in is needed", 500, False),
]
"""How errors were told before their classes declared it; programs may rely on these."""


def modules() -> Iterator[ModuleType]:
    """Yield every module of the four packages."""
    classes()  # imports them all
    for name, module in sorted(sys.modules.items()):
        if name.split(".")[0] in PACKAGES and getattr(module, "__file__", None):
            yield module


@pytest.mark.parametrize(
    ("error", "code", "title", "status", "again"),
    TOLD,
    ids=[f"{type(told[0]).__name__}-{told[1]}" for told in TOLD],
)
def test_codes_and_titles_stay(
    error: StyleFlowError, code: str, title: str, status: int, again: bool
) -> None:
    problem = Problem.of(error)
    assert (problem.code, problem.title, problem.status, problem.retry) == (
        code, title, status, again,
    )  # fmt: skip
    assert problem.exit_code == Exit.ERROR
    assert problem.detail == str(error)
    assert problem.hint


def test_exit_codes_stay() -> None:
    assert Problem.of(ConfigInvalid("file", ("key: wrong",))).exit_code == Exit.USAGE
    for error in (StoreUrlInvalid("u", "r"), StoreDriverMissing("u"), StoreTooNew("u", "9")):
        assert Problem.of(error).exit_code == Exit.USAGE


def test_waiting_times_stay() -> None:
    assert Problem.of(TooManyStreams(1)).retry_after_s == 30.0
    assert Problem.of(Overloaded(12.0)).retry_after_s == 12.0
    assert Problem.of(TooManyVideos("d", 7.0)).retry_after_s == 7.0
    assert Problem.of(TooManyPeers(1)).retry_after_s is None
    assert Problem.of(WorkerGone("w", 3.0)).retry_after_s == 3.0


@pytest.mark.parametrize(
    "error",
    [
        WorkerGone("w", 3.0),
        WorkerUnknown("w"),
        PlacementImpossible("l", {"site": "north"}),
        Overloaded(30.0),
        StreamExists("l"),
        StreamUnknown("l"),
        TooManyStreams(1),
        SourceUrlInvalid("rtsp://camera", "no host"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_that_cross_processes_arrive_as_they_were(error: StyleFlowError) -> None:
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert Problem.of(arrived) == Problem.of(error)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SettingInvalid("hop_s", 0, "must be more"), "hop_s"),
        (OverlayUnavailable("a", ["b", "c"]), "b, c"),
        (errors.WeightsMissing("m", P, "styleflow models fetch"), "styleflow models fetch"),
        (errors.DetectorWeightsMissing("d", P, ["s"], "Import it"), "Import it"),
        (PathRefused("d", "web.source_roots"), "web.source_roots"),
        (NotAllowed("d", "operator or publisher"), "operator or publisher"),
        (SourceError(ReasonCode.TLS, "d"), "tls_ca_file"),
        (AnalyzerAway("a", "r", "do that"), "do that"),
    ],
)
def test_a_hint_says_what_the_error_knows(error: StyleFlowError, said: str) -> None:
    assert said in Problem.of(error).hint


def test_every_module_is_walked() -> None:
    """No error hides in a module that is not imported. The dashboard is no Python package."""
    found = {Path(str(module.__file__)).resolve() for module in modules()}
    files = {path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    tools = {path for path in files if "dashboard" in path.parts}  # not part of the package
    assert files - found - tools == set()


def test_every_error_of_ours_has_the_one_root() -> None:
    strays = [
        kind
        for module in modules()
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, BaseException)
        if kind.__module__.split(".")[0] in PACKAGES and not issubclass(kind, StyleFlowError)
    ]
    assert strays == []


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__qualname__)
def test_every_class_says_how_it_is_told(kind: type[StyleFlowError]) -> None:
    """On itself or on a class of its family; what the root says is said of the unexpected alone."""
    for key in ("code", "title", "hint"):
        said = getattr(kind, key)
        if kind is SourceError and key == "code":  # its reason
            continue
        assert said, key
        assert said != getattr(StyleFlowError, key), f"{kind.__name__} says no {key} of its own"
    assert str(kind.code).isidentifier()
    assert kind.code == kind.code.lower()
    assert not kind.title.endswith(".")
    assert not kind.hint.endswith("."), "the line that is made of it goes on or ends by itself"
    assert "something went wrong" not in kind.title.lower()
    assert 400 <= kind.status <= 599
    assert Exit(kind.exit_code) in (Exit.ERROR, Exit.USAGE)


def test_a_code_has_one_meaning() -> None:
    """Classes share a code only by inheriting it, so whoever switches on it gets one family."""
    declared = [kind for kind in (*classes(), *FAMILIES) if "code" in vars(kind)]
    codes = [kind.code for kind in declared]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize(
    "error",
    [errors.VideosMissing("w", 1), errors.RuntimeDiffers("n", 1.0, 0.1), HubFull(1)],
    ids=lambda error: type(error).__name__,
)
def test_none_of_ours_is_told_as_something_wrong_inside(error: StyleFlowError) -> None:
    assert Problem.of(error).code == error.code != "internal"


@pytest.mark.parametrize(
    "error",
    [*(told[0] for told in TOLD), StreamExists(stream="lobby"), Overloaded(12.0)],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_processes_as_itself(error: StyleFlowError) -> None:
    crossed = pickle.loads(pickle.dumps(error))
    assert type(crossed) is type(error)
    assert str(crossed) == str(error)
    assert crossed.hint == error.hint
    assert vars(crossed).keys() == vars(error).keys()


def test_the_class_is_what_every_occurrence_says() -> None:
    """An occurrence may refine the hint; its title and status are those of the page."""
    for error, *_ in TOLD:
        if isinstance(error, NotServed | RequestRefused):  # those of the HTTP status, or as told
            continue
        assert (error.title, error.status) == (type(error).title, type(error).status)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "clip.mp4"), "file_missing", 404),
        (FileNotFoundError("clip.mp4"), "file_missing", 404),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full", 507),
        (PermissionError(errno.EACCES, "Permission denied", "a.png"), "file_unusable", 500),
        (OSError(errno.ELOOP, "Too many links", "a.png"), "file_unusable", 500),
        (OSError(errno.EMFILE, "Too many open files"), "too_many_files", 503),
        (TimeoutError(), "timed_out", 504),
        (MemoryError(), "out_of_memory", 503),
        (RuntimeError("hunter2"), "internal", 500),
    ],
    ids=repr,
)
def test_foreign_errors(error: Exception, code: str, status: int) -> None:
    problem = Problem.of(error)
    assert (problem.code, problem.status) == (code, status)
    assert "hunter2" not in problem.line


def test_a_value_that_a_library_refuses_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(int).validate_python("hunter2")
    problem = Problem.of(caught.value)
    assert problem.code == "value_invalid"
    assert "hunter2" not in problem.line


def test_a_video_that_ffmpeg_refuses() -> None:
    av = pytest.importorskip("av")
    problem = Problem.of(av.error.InvalidDataError(1, "Invalid data", "rtsp://u:hunter2@cam"))
    assert problem.code == "video_unreadable"
    assert "hunter2" not in problem.line


def test_a_url_that_is_not_found_keeps_its_password() -> None:
    """FFmpeg's errors are those of the system as well, and name what was to be opened."""
    error = FileNotFoundError(errno.ENOENT, "No such file", "rtsp://user:hunter2@cam")
    assert "hunter2" not in Problem.of(error).line
    assert "hunter2" not in problem_of(error).line


def test_refusals_carry_their_headers() -> None:
    refusal = TokenNeeded("d", headers={"WWW-Authenticate": "Bearer"})
    assert refusal.headers == {"WWW-Authenticate": "Bearer"}
    assert Refusal("d").headers == {}


LIGHT = (
    "styleflow.errors",
    "styleflow.client.errors",
    "stream.errors",
    "stream.problems",
    "web.errors",
    "cli.errors",
)


@pytest.mark.parametrize("module", LIGHT)
def test_errors_are_told_without_heavy_libraries(module: str) -> None:
    program = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'cv2', 'av', 'openvino', 'httpx', 'pydantic', 'fastapi'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == ""


def test_the_page_is_current() -> None:
    """Otherwise: make errors-page."""
    assert PAGE.read_text(encoding="utf-8") == page()
