"""E-mail against a real SMTP server: TLS, logins, refusals, and letters that answer one another."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from pydantic import SecretStr

from stream.alerts.channels.email import Email, letter
from stream.alerts.errors import AlertUndelivered
from stream.alerts.messages import Message, messages_of, trial_message
from stream.alerts.rules import Alert, AlertKind
from stream.alerts.settings import EmailSettings
from stream.incident import IncidentStatus
from tests.support.alerts import BEGAN, incident, rule
from tests.support.certificates import self_signed
from tests.support.ports import free_port


def message(kind: AlertKind = AlertKind.OPENED, **changes: Any) -> Message:
    (made,) = messages_of(Alert(rule(), kind, incident(**changes), BEGAN), "https://page.example")
    return made


class Post:
    """Takes letters, or refuses them."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refusals: list[str] = []
        self.refused: set[str] = set()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Envelope
    ) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        assert isinstance(envelope.content, bytes)
        read = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(read, EmailMessage)
        self.letters.append(read)
        return "250 taken"


@contextmanager
def server(post: Post, **options: Any) -> Iterator[Controller]:
    controller = Controller(post, "127.0.0.1", free_port(), **options)
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()


def email(port: int, **changes: Any) -> Email:
    options = {"security": "none", "host": "localhost"} | changes
    return Email(
        EmailSettings(
            name="post",
            sender="styleflow@example.org",
            to=("anna@example.org", "bert@example.org"),
            port=port,
            **options,
        )
    )


@pytest.fixture
def tls(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return certificate, context


async def test_a_letter_arrives_and_says_what_happened() -> None:
    post = Post()
    with server(post) as running:
        assert await email(running.port).deliver(message()) == "the server took it: taken"
    (got,) = post.letters
    assert got["Subject"] == "[StyleFlow] Lobby: a face looks synthesised (high)"
    assert got["To"] == "anna@example.org, bert@example.org"
    assert got["Auto-Submitted"] == "auto-generated"
    text = got.get_content()
    assert "Highest score 0.90 (between 0.80 and 0.95)" in text
    assert "evidence, not proof" in text
    assert "https://page.example/incidents/i1" in text


async def test_the_end_of_an_incident_answers_its_beginning() -> None:
    post = Post()
    ended = {"status": IncidentStatus.CLOSED, "closed": BEGAN}
    with server(post) as running:
        channel = email(running.port)
        await channel.deliver(message())
        await channel.deliver(message(AlertKind.CLOSED, **ended))
    first, second = post.letters
    assert second["In-Reply-To"] == first["Message-ID"]
    assert second["Subject"].startswith("[StyleFlow] Lobby: over")


def test_every_attempt_is_the_same_letter() -> None:
    settings = EmailSettings("post", "h.example", "a@b.example", ("c@d.example",))
    assert letter(message(), settings)["Message-ID"] == letter(message(), settings)["Message-ID"]


def test_a_name_with_line_breaks_adds_no_header() -> None:
    settings = EmailSettings("post", "h.example", "a@b.example", ("c@d.example",))
    made = letter(message(name="Lobby\r\nBcc: eve@example.org"), settings)
    assert made["Bcc"] is None
    assert "\n" not in made["Subject"]


async def test_a_server_that_refuses_is_tried_again_later() -> None:
    post = Post()
    post.refusals = ["451 try later"]
    with server(post) as running:
        channel = email(running.port)
        with pytest.raises(AlertUndelivered, match="the server answered 451"):
            await channel.deliver(message())
        await channel.deliver(message())
    assert len(post.letters) == 1


async def test_one_refused_recipient_keeps_no_letter_from_the_other() -> None:
    post = Post()
    post.refused = {"bert@example.org"}
    with server(post) as running:
        assert "refuses 1 of 2 recipients" in await email(running.port).deliver(message())
        post.refused.add("anna@example.org")
        with pytest.raises(AlertUndelivered, match="refuses every recipient"):
            await email(running.port).deliver(message())
    assert len(post.letters) == 1


async def test_why_a_server_is_not_reached_is_said_in_words_not_by_the_name_of_an_error() -> None:
    with pytest.raises(AlertUndelivered, match="nobody answers at the server's port"):
        await email(free_port()).deliver(message())
    with pytest.raises(AlertUndelivered, match="host name has no address"):
        await email(25, host="nobody.invalid").deliver(message())
    with server(Post()) as running, pytest.raises(AlertUndelivered, match="does not speak TLS"):
        await email(running.port, security="tls").deliver(message())


def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=data.password == b"hunter2", handled=False)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_letters_travel_encrypted_and_logged_in(
    tls: tuple[Path, ssl.SSLContext], security: str
) -> None:
    certificate, context = tls
    post = Post()
    options: dict[str, Any] = {"authenticator": login, "auth_required": True}
    if security == "tls":
        options |= {"ssl_context": context, "auth_require_tls": False}
    else:
        options |= {"tls_context": context, "require_starttls": True}
    with server(post, **options) as running:

        def channel(password: str, ca_file: Path | None = certificate) -> Email:
            return email(
                running.port,
                security=security,
                username="u",
                password=SecretStr(password),
                tls_ca_file=ca_file,
            )

        assert await channel("hunter2").deliver(trial_message("all", "post", BEGAN))
        with pytest.raises(AlertUndelivered, match="refuses the login") as caught:
            await channel("hunter3").deliver(message())
        assert "hunter3" not in str(caught.value)
        with pytest.raises(AlertUndelivered, match="certificate is not to be trusted"):
            await channel("hunter2", None).deliver(message())
    assert len(post.letters) == 1, "and none of them to a server that nobody vouches for"
