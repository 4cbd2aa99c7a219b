"""Apprise: the services that have no channel of their own here (extra `notify`)."""

from __future__ import annotations

import asyncio
import threading
from importlib.util import find_spec

from stream.alerts.errors import AlertChannelMissing, AlertUndelivered
from stream.alerts.messages import Message
from stream.alerts.settings import AppriseSettings


def is_installed() -> bool:
    """Return whether the library is here."""
    return find_spec("apprise") is not None


class Apprise:
    """A service that Apprise knows; it is told in a thread, one message at a time.

    Args:
        settings: the service, with its secrets.

    Raises:
        AlertChannelMissing: the library is not here, or knows no such service.
    """

    kind = "apprise"

    def __init__(self, settings: AppriseSettings) -> None:
        if not is_installed():
            raise AlertChannelMissing(settings.name, "pip install 'styleflow-live[notify]'")
        import apprise  # here: few need it, and it takes a moment

        self.name = settings.name
        self.timeout_s = settings.timeout_s
        self._service = apprise.Apprise()
        self._speaking = threading.Lock()
        if not self._service.add(settings.url.get_secret_value()):
            raise AlertChannelMissing(settings.name, "Apprise knows no such service")

    async def deliver(self, message: Message) -> str:
        """Tell the service; Apprise does not say why one does not take a message."""
        if not await asyncio.to_thread(self._notify, message.title, message.words):
            raise AlertUndelivered("the service did not take it")
        return "the service took it"

    def _notify(self, title: str, words: str) -> bool:
        """Tell the service. One that hangs holds one thread and no further one."""
        if not self._speaking.acquire(blocking=False):
            raise AlertUndelivered("an earlier message hangs")
        try:
            return bool(self._service.notify(title=title, body=words))
        finally:
            self._speaking.release()
