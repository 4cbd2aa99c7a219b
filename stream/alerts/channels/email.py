"""E-mail: every message is one letter; the end of an incident answers its beginning."""

from __future__ import annotations

import socket
import ssl
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from stream.alerts.channels.tls import tls_context
from stream.alerts.errors import AlertUndelivered
from stream.alerts.messages import Message, message_id
from stream.alerts.rules import AlertKind
from stream.alerts.settings import EmailSettings

_DOMAIN = "styleflow-live.invalid"
"""Right half of the letters' ids; nobody is mailed there."""


class Email:
    """An SMTP server, and whom it brings letters to.

    Args:
        settings: where it is, how to log in, and to whom letters go.
    """

    kind = "email"

    def __init__(self, settings: EmailSettings) -> None:
        self.name = settings.name
        self.timeout_s = settings.timeout_s
        self._settings = settings

    async def deliver(self, message: Message) -> str:
        """Hand a letter to the server."""
        own = self._settings
        encrypted = own.security != "none"
        try:
            refused, said = await aiosmtplib.send(
                letter(message, own),
                hostname=own.host,
                port=own.port,
                username=own.username or None,
                password=own.password.get_secret_value() or None,
                use_tls=own.security == "tls",
                start_tls=own.security == "starttls",
                tls_context=tls_context(own.tls_ca_file) if encrypted else None,
                timeout=own.timeout_s,
            )
        except aiosmtplib.SMTPAuthenticationError as error:
            raise AlertUndelivered(f"the server refuses the login ({error.code})") from None
        except aiosmtplib.SMTPResponseException as error:
            raise AlertUndelivered(f"the server answered {error.code}") from None
        except aiosmtplib.SMTPRecipientsRefused:
            raise AlertUndelivered("the server refuses every recipient") from None
        except (aiosmtplib.SMTPTimeoutError, TimeoutError):
            raise AlertUndelivered("the server does not answer") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise AlertUndelivered(_why(error)) from None
        if refused:
            return f"the server took it, but refuses {len(refused)} of {len(own.to)} recipients"
        return f"the server took it: {' '.join(said.split())[:100]}"


_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (
        ssl.SSLCertVerificationError,
        "the server's certificate is not to be trusted; see tls_ca_file",
    ),
    (ssl.SSLError, "the server does not speak TLS there; see security and port"),
    (socket.gaierror, "the server's host name has no address"),
    (ConnectionRefusedError, "nobody answers at the server's port"),
    (aiosmtplib.SMTPServerDisconnected, "the server hung up"),
    (aiosmtplib.SMTPConnectError, "the server cannot be connected to"),
)


def _why(error: BaseException) -> str:
    """Return in words why a server was not reached; whatever it was itself may hold secrets."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for kind, words in _CAUSES:
        if any(isinstance(each, kind) for each in chain):
            return words
    return f"the server: {type(error).__name__}"


def letter(message: Message, settings: EmailSettings) -> EmailMessage:
    """Return a message as a letter, whose id is that of every attempt."""
    made = EmailMessage()
    made["From"] = settings.sender
    made["To"] = ", ".join(settings.to)
    made["Subject"] = f"[StyleFlow] {_line(message.title)}"
    made["Date"] = format_datetime(message.created)
    made["Message-ID"] = f"<{message.id}@{_DOMAIN}>"
    made["Auto-Submitted"] = "auto-generated"
    made["X-StyleFlow-Rule"] = message.rule
    if message.kind is AlertKind.CLOSED:
        first = message_id(message.rule, message.channel, message.incident, AlertKind.OPENED)
        made["In-Reply-To"] = made["References"] = f"<{first}@{_DOMAIN}>"
    made.set_content(f"{message.words}\n")
    return made


def _line(text: str) -> str:
    """Return text without line breaks, which would begin another header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]
