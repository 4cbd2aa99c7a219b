"""`styleflow challenge`: have the person in a stream asked for something, and say what was seen."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
from rich.console import Console

from cli.errors import Exit
from stream.clock import Clock, SystemClock
from stream.ingest.source import redact
from styleflow.client.calls import refusal
from styleflow.client.errors import AnalyzerAway, no_answer

POLL_S = 0.25
REMEDY = "Start one with `styleflow serve`, or give --analyzer"


def run(
    stream: str,
    task: str,
    analyzer: str,
    token: str | None,
    out: Console,
    *,
    as_json: bool,
    clock: Clock | None = None,
) -> Exit:
    """Ask, print every prompt when it is due, then the result.

    Returns:
        `Exit.OK` when the video followed, `SUSPECT` when it did not, `NO_VERDICT` when that could
        not be judged.

    Raises:
        AnalyzerAway: the analyzer does not answer.
        RequestRefused: it refuses.
    """
    return asyncio.run(
        _run(stream, task, analyzer, token, out, clock or SystemClock(), as_json=as_json)
    )


async def _run(
    stream: str,
    task: str,
    analyzer: str,
    token: str | None,
    out: Console,
    clock: Clock,
    *,
    as_json: bool,
) -> Exit:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{analyzer.rstrip('/')}/api/v1/streams/{quote(stream, safe='')}/challenges"
    said = ""
    try:
        async with httpx.AsyncClient(timeout=20, headers=headers) as client:
            challenge = _body(await client.post(url, json={"task": task}))
            if not as_json:
                _print(out, "watching the face at rest; read out what appears here")
            while challenge["phase"] != "done":
                await clock.sleep(POLL_S)
                challenge = _body(await client.get(f"{url}/{challenge['id']}"))
                if not as_json and challenge["prompt"] not in ("", said):
                    said = challenge["prompt"]
                    by = "" if challenge["shown"] == "operator" else " (shown to the caller)"
                    _print(out, f"  {said.upper()}{by}")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise AnalyzerAway(redact(analyzer), no_answer(error), REMEDY) from None
    if as_json:
        out.print_json(data=challenge)
    else:
        for step in challenge["steps"]:
            _print(out, step["sentence"])
        _print(out, challenge["rise"]["sentence"])
        _print(out, challenge["sentence"])
    return _EXITS.get(challenge["outcome"], Exit.SUSPECT)


_EXITS = {"followed": Exit.OK, "unjudged": Exit.NO_VERDICT}


def _body(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code >= 400:
        raise refusal(answer.content, dict(answer.headers))
    body: dict[str, Any] = answer.json()
    return body


def _print(out: Console, line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)
