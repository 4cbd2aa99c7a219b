"""Client of a running analyzer: streams, live messages with resume, incidents; sync and async.

    from styleflow.client import Client

    with Client("http://127.0.0.1:8000", token=token) as client:
        client.streams.add("lobby", "rtsp://user:password@camera/stream1")
        for message in client.subscribe("lobby", types=["event"]):
            print(message.data)

Its types are made of the wire's schema and import nothing of the server: a program that only reads
scores loads neither torch nor cv2. Names are resolved when they are first read (PEP 562). What
`__all__` lists is public, and so are the models in `values`, `messages`, `requests`, `responses`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from styleflow.client.async_client import AsyncClient, AsyncSubscription
    from styleflow.client.errors import AnalyzerAway, RequestRefused, SubscriptionRefused
    from styleflow.client.messages import Message
    from styleflow.client.reconnect import Lost, Reconnect
    from styleflow.client.sync_client import Client, Subscription

__all__ = [
    "AnalyzerAway",
    "AsyncClient",
    "AsyncSubscription",
    "Client",
    "Lost",
    "Message",
    "Reconnect",
    "RequestRefused",
    "Subscription",
    "SubscriptionRefused",
]

_HOMES = {
    "AnalyzerAway": "errors",
    "AsyncClient": "async_client",
    "AsyncSubscription": "async_client",
    "Client": "sync_client",
    "Lost": "reconnect",
    "Message": "messages",
    "Reconnect": "reconnect",
    "RequestRefused": "errors",
    "Subscription": "sync_client",
    "SubscriptionRefused": "errors",
}


def __getattr__(name: str) -> Any:
    """Return a public name, from the module that it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Return what is public."""
    return list(__all__)
