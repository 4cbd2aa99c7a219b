"""Webhook: every message is one POST of JSON, signed, to an address that was judged.

The signature covers the moment and the body, so that neither can be changed nor an old message be
played again; docs/alerts.md says how to verify it. Redirects are not followed: the receiver that
was configured is the only one that is told.
"""

from __future__ import annotations

import hashlib
import hmac

import httpx

from stream.alerts.errors import AlertUndelivered
from stream.alerts.messages import Message
from stream.alerts.settings import WebhookSettings
from stream.clock import Clock
from stream.outbound import Resolver, addresses_of, is_permitted, pinned_request

SIGNATURE = "StyleFlow-Signature"
"""Header `t=SECONDS,v1=HEX`: HMAC-SHA256 of `SECONDS.BODY` with the channel's secret."""

ID = "StyleFlow-Id"
"""Header with the message's id: the same for every attempt."""

_MAX_WAIT_S = 86400


class Webhook:
    """A receiver of messages.

    Args:
        settings: where it is, and the secret that it shares.
        clock: says when a message is signed.
        resolve: finds addresses.
        transport: replaces the network in tests; sees requests to judged addresses only.
    """

    kind = "webhook"

    def __init__(
        self,
        settings: WebhookSettings,
        clock: Clock,
        resolve: Resolver,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = settings.name
        self.timeout_s = settings.timeout_s
        self._settings = settings
        self._clock = clock
        self._resolve = resolve
        self._transport = transport

    async def deliver(self, message: Message) -> str:
        """Post a message; anything but 2xx is a failure."""
        async with httpx.AsyncClient(
            transport=self._transport,
            trust_env=False,  # a proxy would resolve names once more, by itself
            follow_redirects=False,
            timeout=self.timeout_s,
        ) as client:
            status, again_s = await self._post(client, message)
        if not 200 <= status < 300:
            raise AlertUndelivered(f"the receiver answered {status}", again_s)
        return f"the receiver answered {status}"

    async def _post(self, client: httpx.AsyncClient, message: Message) -> tuple[int, float | None]:
        """Return the status of the first address that answers, and when it wants to be asked."""
        url = httpx.URL(self._settings.url.get_secret_value())
        body = message.text.encode()
        addresses = await addresses_of(url, self._resolve)
        if not addresses:
            raise AlertUndelivered("the receiver's host name has no address")
        if not all(is_permitted(one, self._settings.allow_networks) for one in addresses):
            raise AlertUndelivered("the receiver is not on the public internet; see allow_networks")
        for address in addresses:
            request = pinned_request(
                client, "POST", url, address, self._headers(message, body), body
            )
            try:
                response = await client.send(request, stream=True)  # its body is nobody's business
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.HTTPError as error:
                raise AlertUndelivered(f"the receiver broke off: {type(error).__name__}") from None
            await response.aclose()
            return response.status_code, _retry_after(response)
        raise AlertUndelivered("the receiver cannot be connected to")

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", ID: message.id}
        secret = self._settings.secret.get_secret_value()
        if secret:
            headers[SIGNATURE] = signature(secret, int(self._clock.utc().timestamp()), body)
        return headers


def signature(secret: str, seconds: int, body: bytes) -> str:
    """Return the value of the signature's header.

    Args:
        secret: shared with the receiver.
        seconds: since 1970, at which the message is sent.
        body: as it is sent.
    """
    signed = str(seconds).encode() + b"." + body
    return f"t={seconds},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that a receiver wants to be left alone, if it says so in seconds."""
    text = response.headers.get("retry-after", "")
    return float(min(int(text[:9]), _MAX_WAIT_S)) if text.isascii() and text.isdecimal() else None
