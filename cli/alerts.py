"""`styleflow alerts test`: a test message through every channel of a rule, and what came back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import version
from urllib.parse import quote

import httpx
from rich.console import Console

from cli.errors import Exit
from cli.settings import Settings
from cli.validation import validate
from stream.alerts.alerts import Alerts, TrialResult
from stream.alerts.channels.build import build_channels
from stream.alerts.errors import AlertRuleUnknown
from stream.clock import SystemClock
from stream.ingest.source import redact
from styleflow.client.errors import AnalyzerAway, no_answer

_ASK_S = 150.0
"""Longest that an analyzer may take: its channels' time limits reach to two minutes."""


def try_rule(
    settings: Settings,
    rule: str,
    console: Console,
    *,
    origin: str,
    analyzer: str | None = None,
    token: str | None = None,
) -> Exit:
    """Send a test message and print what came back, a line per channel.

    Args:
        settings: hold rules and channels.
        rule: name of the rule.
        console: where it is printed.
        origin: file that the settings come from.
        analyzer: address of a running one that is to send it; it knows the page's rules, too.
        token: its bearer token.

    Returns:
        `Exit.OK` when every channel took it.

    Raises:
        AlertRuleUnknown: there is no such rule.
        AnalyzerAway: the analyzer does not answer.
    """
    if analyzer is not None:
        results = asyncio.run(_asked(analyzer, token, rule))
    else:
        validate(settings, origin, untrained=True)
        results = asyncio.run(_sent(settings, rule))
    for result in results:
        line = f"{'ok    ' if result.ok else 'failed'}  {result.channel}: {result.detail}"
        style = None if result.ok else "red"
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
    return Exit.OK if all(result.ok for result in results) else Exit.ERROR


async def _sent(settings: Settings, rule: str) -> Sequence[TrialResult]:
    clock = SystemClock()
    channels = build_channels(
        settings.alerts.channels, clock, version("styleflow-live"), brief=True
    )
    return await Alerts(channels, settings.alerts, None, clock).test(rule)


async def _asked(analyzer: str, token: str | None, rule: str) -> Sequence[TrialResult]:
    url = f"{analyzer.rstrip('/')}/api/v1/alerts/rules/{quote(rule, safe='')}/test"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with httpx.AsyncClient(timeout=_ASK_S) as client:
            answer = await client.post(url, headers=headers)
        body = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        remedy = "Start it with `styleflow serve`, or leave out --analyzer"
        raise AnalyzerAway(redact(analyzer), no_answer(error), remedy) from None
    if body.get("code") == AlertRuleUnknown.code:
        raise AlertRuleUnknown(rule)
    if answer.status_code != 200:
        said = str(body.get("detail", f"HTTP {answer.status_code}"))
        raise AnalyzerAway(redact(analyzer), said, str(body.get("hint", "See its log")))
    return [TrialResult(r["channel"], r["ok"], r["detail"]) for r in body["results"]]
