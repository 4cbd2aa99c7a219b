"""Settings of HTTP and WebSockets. Values only; `cli.settings` reads them from YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from web.root_path import checked
from web.security.auth import Token
from web.security.fetch_settings import FetchSettings


@dataclass(frozen=True, slots=True)
class PredictSettings:
    """Limits on the work that `/predict` takes on.

    Attributes:
        waiting: requests that may wait for the one that is running; a further one is refused.
        timeout_s: the analysis of one video.
        max_frames: pictures of one video; one with more is refused.
        max_pixels: pixels of one of its pictures, width times height; larger ones are refused.
    """

    waiting: Annotated[int, Field(ge=0, le=10_000)] = 4
    timeout_s: Annotated[float, Field(gt=0, le=86400)] = 300.0
    max_frames: Annotated[int, Field(ge=1, le=100_000_000)] = 20_000
    max_pixels: Annotated[int, Field(ge=1, le=1_000_000_000)] = 4096 * 2304


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """Time limits and subscriptions of a WebSocket.

    Attributes:
        hello_s: a client that has not said hello by then is closed.
        before_hello: connections at a time that have not said hello; a further one takes the place
            of another. Places of subscribers are only given after hello.
        subscribers: that have said hello at a time; a further one is told to come back later. Those
            on data channels of calls count, too.
        stall_s: a client that has not taken a message for so long is closed.
        max_subscriptions: subscriptions per connection.
    """

    hello_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    before_hello: Annotated[int, Field(ge=1, le=100_000)] = 64
    subscribers: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    stall_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    max_subscriptions: Annotated[int, Field(ge=1, le=1024)] = 16


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Limits on connections.

    Attributes:
        most: at a time, WebSockets included; a further one is answered with 503.
        per_address: from one address at a time; a reverse proxy is one address.
        waiting: connections at a time whose client has still to send a request; a further one
            takes the place of another.
        header_s: a client that has not sent a request's headers by then is closed.
        body_s: a client that has not sent its body by then is closed.
    """

    most: Annotated[int, Field(ge=1, le=1_000_000)] = 768
    per_address: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    waiting: Annotated[int, Field(ge=1, le=1_000_000)] = 256
    header_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    body_s: Annotated[float, Field(gt=0, le=3600)] = 10.0


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Address to listen on, callers to serve, and what they may reach.

    Attributes:
        host: address to listen on; anything but loopback needs a token.
        port: port to listen on.
        tokens: tokens and their roles; without any, every caller on this machine may do everything.
        allowed_hosts: further host names under which the server is asked for, for example behind
            a proxy; any but loopback's needs a token.
        insecure: let everybody who can connect do everything, without a token.
        root_path: path below which clients see the server, as in /styleflow, behind a proxy that
            strips it or hands it on; empty when there is none.
        allowed_origins: further web pages that may use it from a browser, as `https://name:port`.
        source_roots: folders whose files may be added as streams over the API.
        predict_roots: folders whose files may be given to `/predict`.
        fetch: limits on fetching a video by URL.
        predict: limits on the work that `/predict` takes on.
        sockets: time limits and subscriptions of a WebSocket.
        connections: limits on connections.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    tokens: tuple[Token, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    insecure: bool = False
    root_path: Annotated[str, AfterValidator(checked)] = ""
    allowed_origins: tuple[str, ...] = ()
    source_roots: tuple[Path, ...] = ()
    predict_roots: tuple[Path, ...] = ()
    fetch: FetchSettings = field(default_factory=FetchSettings)
    predict: PredictSettings = PredictSettings()
    sockets: SocketSettings = SocketSettings()
    connections: ConnectionSettings = ConnectionSettings()
