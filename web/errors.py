"""Refusals: requests that are not granted, each with its own code.

    Refusal
    ├── TokenNeeded, NotAllowed                              who asks
    ├── HostRefused, OriginRefused, BodyTooLarge, NotText    the request itself
    ├── ProxyRefused
    ├── WrongContentType, RequestInvalid, NotServed
    ├── UnknownSubprotocol
    ├── PathRefused, PathMissing, NotAFile                   a file of this machine
    ├── AddressRefused, CameraRefused                        an address that is not connected to
    ├── AddressInvalid, AddressUnresolved, TooManyRedirects  a video that is fetched
    ├── VideoUndelivered, VideoEncoded, VideoTooLarge, FetchTooSlow
    ├── TemporaryFolderFull
    ├── StoreBusy, FormatRefused, ParquetMissing             the past
    ├── DetectorTwice, TooManyVideos, NotAVideo, NoFace      a video that is analysed
    ├── ClientLeft
    ├── ReadingTooSlow, AnalysisTooSlow
    ├── SessionUnnamed, SessionDiffers, RestartRefused       a WHIP session
    └── NotLive                                              the analyzer itself

`AuthError` is raised at the start, before there is anybody to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from styleflow.errors import StyleFlowError


@dataclass(eq=False)
class Refusal(StyleFlowError):
    """A request that is not granted.

    Attributes:
        detail: what is wrong with it.
        headers: response headers that belong to the refusal.
    """

    detail: str
    headers: dict[str, str] = field(default_factory=dict, kw_only=True)

    def __str__(self) -> str:
        return self.detail


class TokenNeeded(Refusal):
    """A request comes without a token, or with one that is unknown or has expired."""

    code = "unauthorized"
    title = "A token is needed"
    hint = "Send the header Authorization: Bearer TOKEN"
    status = 401


@dataclass(eq=False)
class NotAllowed(Refusal):
    """A token is known, but its role may not do this; `roles` may."""

    code = "forbidden"
    title = "This token may not do that"
    hint = "Use a token with a role that may"
    status = 403

    roles: str

    def __post_init__(self) -> None:
        self.hint = f"Use a token with the role {self.roles}"


@dataclass(eq=False)
class AuthError(StyleFlowError):
    """The server would be open to other machines without a token."""

    code = "token_needed"
    title = "A token is needed to listen here"
    hint = (
        "Set one, for example STYLEFLOW__WEB__TOKENS='[{token: "
        '"32 random characters", role: operator}]\', or listen on 127.0.0.1 with no further name '
        "in web.allowed_hosts; serve --insecure lets everybody do everything"
    )
    status = 400

    host: str

    def __str__(self) -> str:
        return f"{self.host} can be reached from other machines, and no token is set"


class RequestInvalid(Refusal):
    """A request does not have the form that the operation takes."""

    code = "invalid_request"
    title = "The request is not valid"
    hint = "See /docs"
    status = 422


@dataclass(eq=False)
class NotServed(Refusal):
    """There is no such path, or no such operation on it; the title is that of the HTTP status."""

    code = "http"
    title = "There is no such operation"
    hint = "See /docs"
    status = 404

    status_title: str
    status_code: int

    def __post_init__(self) -> None:
        self.title, self.status = self.status_title, self.status_code


class HostRefused(Refusal):
    """The Host header names another server."""

    code = "host_refused"
    title = "This server has another name"
    hint = "Ask for 127.0.0.1 or localhost, or list the name in web.allowed_hosts"
    status = 421


class ProxyRefused(Refusal):
    """A proxy hands on another machine's request, and no token is set that could tell who asks."""

    code = "proxy_refused"
    title = "A token is needed behind a proxy"
    hint = "Set one in web.tokens, or start with serve --insecure to let everybody do everything"
    status = 403


class OriginRefused(Refusal):
    """A page of another origin wants to change something or to listen."""

    code = "origin_refused"
    title = "Other web pages may not do this"
    hint = "List it in web.allowed_origins if it is yours"
    status = 403


class BodyTooLarge(Refusal):
    """A request has a body that is longer than any that makes sense here."""

    code = "body_too_large"
    title = "The request is too large"
    hint = "Send a URL or a path rather than a file"
    status = 413


class NotText(Refusal):
    """A body that should be text is not UTF-8."""

    code = "encoding"
    title = "The body is not text"
    hint = "Send it as UTF-8"
    status = 400


class WrongContentType(Refusal):
    """A body is of another media type than the operation takes."""

    code = "content_type"
    title = "The body is of the wrong type"
    hint = "Set the header Content-Type, and send a body of that type"
    status = 415


@dataclass(eq=False)
class UnknownSubprotocol(Refusal):
    """A WebSocket client offers only subprotocols that this server does not speak."""

    code = "subprotocol"
    title = "This server speaks another protocol"
    hint = "Offer the subprotocol that docs/protocol.md names, or none"
    status = 400

    spoken: str

    def __post_init__(self) -> None:
        self.hint = f"Offer {self.spoken}"


@dataclass(eq=False)
class PathRefused(Refusal):
    """A path lies outside the folders that are open to requests."""

    code = "path_refused"
    title = "This path may not be read"
    hint = "Put the file into a folder of web.source_roots or web.predict_roots, or add its folder"
    status = 403

    setting: str

    def __post_init__(self) -> None:
        self.hint = f"Put the file into one of {self.setting}, or add its folder there"


class PathMissing(Refusal):
    """A path of an open folder names nothing."""

    code = "file_missing"
    title = "The file is not there"
    hint = "Check the path"
    status = 404


class NotAFile(Refusal):
    """A path names a folder or a device."""

    code = "not_a_file"
    title = "This is not a file"
    hint = "Give the path of a video file"
    status = 415


class AddressRefused(Refusal):
    """An address that is to be fetched from is not on the public internet."""

    code = "address_refused"
    title = "This address is not fetched from"
    hint = "Put the file into one of web.predict_roots and give its path"
    status = 403


class CameraRefused(AddressRefused):
    """An RTSP URL leads to a link-local, multicast or unspecified address."""

    title = "No camera can be at this address"
    hint = "Give the camera's own address"


class AddressInvalid(Refusal):
    """A URL that is to be fetched is malformed, not HTTP, or carries credentials."""

    code = "url"
    title = "This address cannot be used"
    hint = "Give an http(s) URL or a path"
    status = 400


class AddressUnresolved(Refusal):
    """The host of a URL has no address."""

    code = "unresolved"
    title = "The video was not delivered"
    hint = "Check the host name in the address"
    status = 502


class TooManyRedirects(Refusal):
    """A URL redirects more often than is followed."""

    code = "too_many_redirects"
    title = "The video was not delivered"
    hint = "Give the address at which they end"
    status = 502


@dataclass(eq=False)
class VideoUndelivered(Refusal):
    """The other side cannot be reached, or answers with an error."""

    code = "not_delivered"
    title = "The video was not delivered"
    hint = "Check the address in a browser"
    status = 502

    retry: bool = field(default=False, kw_only=True)


class VideoEncoded(Refusal):
    """The other side compresses the video for transport though it was asked not to."""

    code = "encoded"
    title = "The video was not delivered"
    hint = "Have it sent without Content-Encoding, or give the path of a file"
    status = 502


class VideoTooLarge(Refusal):
    """A fetched video is larger than allowed."""

    code = "video_too_large"
    title = "The video is too large"
    hint = "Cut it, or raise web.fetch.max_bytes"
    status = 413


class FetchTooSlow(Refusal):
    """A video is not fetched within the time that is allowed."""

    code = "fetch_timeout"
    title = "The video came too slowly"
    hint = "Try a smaller file, or raise web.fetch.timeout_s"
    status = 504
    retry = True


class DetectorTwice(Refusal):
    """A request names one detector in its query and another in its body."""

    code = "detector_twice"
    title = "Two detectors were named"
    hint = "Name one, in one place"
    status = 422


@dataclass(eq=False)
class TooManyVideos(Refusal):
    """As many videos as may wait for their analysis are waiting."""

    code = "busy"
    title = "Too many videos at once"
    hint = "Try again in some seconds; the header Retry-After says in how many"
    status = 429
    retry = True

    retry_after_s: float = field()

    def __post_init__(self) -> None:
        self.hint = f"Try again in {self.retry_after_s:g} s"


class TemporaryFolderFull(Refusal):
    """A video that is fetched does not fit into the temporary folder."""

    code = "temporary_folder_full"
    title = "The temporary folder is full"
    hint = "Make room in it, or set TMPDIR to a folder that has more, and restart"
    status = 507
    retry = True


class NotAVideo(Refusal):
    """A file is not a video, or one that cannot be decoded."""

    code = "not_a_video"
    title = "This is not a video that can be read"
    hint = "Give a file that a video player opens"
    status = 415


class ClientLeft(Refusal):
    """A client closes its connection before it is answered; the work for it is given up."""

    code = "client_left"
    title = "The client has left"
    hint = "Keep the connection open until the answer comes"
    status = 408


class NoFace(Refusal):
    """A video shows no face for long enough to be judged."""

    code = "no_face"
    title = "No face was found"
    hint = "Give a video in which a face is visible for some seconds"
    status = 422


class ReadingTooSlow(Refusal):
    """A video cannot be read within the time that its source allows."""

    code = "timeout"
    title = "The video cannot be read in time"
    hint = "Try again; a file on a slow disk or network may be faster the second time"
    status = 504


class AnalysisTooSlow(Refusal):
    """The analysis of a video takes longer than allowed."""

    code = "analysis_timeout"
    title = "The analysis took too long"
    hint = "Cut the video, or raise web.predict.timeout_s"
    status = 504


class SessionUnnamed(Refusal):
    """A change of a WHIP session does not say which ICE session it means."""

    code = "if_match"
    title = "Which ICE session?"
    hint = "Send the ETag of the answer in the header If-Match"
    status = 428


class SessionDiffers(Refusal):
    """A change of a WHIP session means another ICE session."""

    code = "ice_session"
    title = "Another ICE session"
    hint = "Send the ETag of the answer in the header If-Match"
    status = 412


class RestartRefused(Refusal):
    """An ICE restart is asked for, which this server does not do."""

    code = "ice_restart"
    title = "ICE restarts are not done"
    hint = "End the call and offer a new one"
    status = 422


class NotLive(Refusal):
    """The analyzer should be restarted; `/livez` says why."""

    code = "not_live"
    title = "The analyzer is not healthy"
    hint = "See /livez for what is wrong, and restart it"
    status = 503
    retry = True


class StoreBusy(Refusal):
    """As many questions about the past as are answered at a time are being answered, or wait."""

    code = "store_busy"
    title = "Too many ask about the past"
    hint = "Try again in a second"
    status = 503
    retry = True
    retry_after_s = 1.0


class FormatRefused(Refusal):
    """None of the media types that a request accepts is given here."""

    code = "not_acceptable"
    title = "This is not given in that form"
    hint = "Accept application/json, text/csv or application/vnd.apache.parquet"
    status = 406


class ParquetMissing(FormatRefused):
    """Parquet is asked for, and the package that writes it is not installed."""

    code = "parquet_missing"
    title = "Parquet needs a package that is not installed"
    hint = "Install it: pip install 'styleflow-live[parquet]'; or accept text/csv"
