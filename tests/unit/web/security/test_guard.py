"""The request guard: hosts, origins, sizes, and headers of every response."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.web import CAMERA, WebRig, problem
from web.settings import WebSettings


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("styleflow.lan", 200),
    ],
)
async def test_on_loopback_only_our_own_names_are_answered(host: str, code: int) -> None:
    """A page of another site cannot rebind its name to us."""
    async with WebRig(WebSettings(allowed_hosts=("styleflow.lan",))).client(host=host) as http:
        assert (await http.get("/healthcheck")).status_code == code


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        (None, 201),
        ("http://127.0.0.1:8000", 201),
        ("https://desk.example", 201),
        ("http://127.0.0.1:9999", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
async def test_other_pages_cannot_change_anything(origin: str | None, code: int) -> None:
    rig = WebRig(WebSettings(allowed_origins=("https://desk.example",)))
    async with rig.client() as http:
        headers = {"Origin": origin} if origin else {}
        answer = await http.post("/api/v1/streams", json=CAMERA, headers=headers)
        assert answer.status_code == code


async def test_bodies_are_bounded_with_and_without_a_length() -> None:
    async def body() -> Any:
        for _ in range(3):
            yield b" " * 40_000

    async with WebRig().client() as http:
        problem(await http.post("/predict", content=b" " * 100_000), 413)
        headers = {"Content-Type": "application/json"}
        assert (await http.post("/predict", content=body(), headers=headers)).status_code == 413


@pytest.mark.parametrize("path", ["/docs", "/static/docs.js", "/static/style.css"])
async def test_pages_load_nothing_from_elsewhere(path: str) -> None:
    async with WebRig().client() as http:
        page = await http.get(path)
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "https://" not in page.text
    assert "http://" not in page.text
    assert "style=" not in page.text
    assert "onclick" not in page.text


@pytest.mark.parametrize(
    ("headers", "insecure", "code"),
    [
        ({}, False, 200),
        ({"x-forwarded-for": "127.0.0.1"}, False, 200),
        ({"x-forwarded-for": "203.0.113.7"}, False, 403),
        ({"x-real-ip": "203.0.113.7"}, False, 403),
        ({"forwarded": "for=203.0.113.7"}, False, 403),
        ({"x-forwarded-for": "203.0.113.7"}, True, 200),
    ],
)
async def test_without_tokens_a_proxy_opens_nothing_to_other_machines(
    headers: dict[str, str], insecure: bool, code: int
) -> None:
    async with WebRig(WebSettings(insecure=insecure)).client() as http:
        assert (await http.get("/api/v1/streams", headers=headers)).status_code == code
