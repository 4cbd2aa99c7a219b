"""`styleflow challenge`: prompts and result on the terminal, and the exit code that tells it."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner

from cli.main import app
from stream.challenge.settings import ChallengeSettings
from stream.clock import SystemClock
from tests.support.broker import free_port
from tests.support.challenges import person
from tests.support.web import WebRig, lobby, served

BRISK = ChallengeSettings(watch_s=1.5, wait_s=0, rest_s=0.5, step_s=1, read_s=0, actions=1)


async def ask(rig: WebRig, *options: str, seen: bool) -> tuple[int, str]:
    """Run the command against an analyzer whose person sits still, or is not there."""
    looking = asyncio.create_task(rig.challenges.run())
    showing = asyncio.create_task(show(rig)) if seen else None
    try:
        async with served(rig.app) as port:
            command = ["challenge", "lobby", "--analyzer", f"http://127.0.0.1:{port}", *options]
            done = await asyncio.to_thread(CliRunner().invoke, app, command)
    finally:
        for task in (looking, showing):
            if task is not None:
                task.cancel()
    return done.exit_code, done.output


async def show(rig: WebRig) -> None:
    """Have somebody sit there, ten times a second."""
    while True:
        now = rig.clock.monotonic()
        for one in person([], now, now + 0.05):
            rig.watch.offer("lobby", one)
        await rig.clock.sleep(0.08)


async def test_prompts_and_result_are_printed() -> None:
    person([], 0, 0.1)  # rendered before the time runs
    rig = await lobby(clock=SystemClock(), asking=BRISK)
    code, said = await ask(rig, "--task", "look_up", seen=True)
    lines = said.splitlines()
    assert code == 3, said
    assert lines[1] == "  LOOK UP AT THE CEILING, AND HOLD IT"
    assert lines[2].startswith("Look up: not seen, by 0 degrees where 10 are enough")
    assert lines[3].startswith("Too few ratings")
    assert lines[4].startswith("The video did not follow what was asked. This stands beside")


async def test_nobody_in_view_is_no_verdict() -> None:
    rig = await lobby(clock=SystemClock(), asking=BRISK)
    code, said = await ask(rig, "--json", seen=False)
    assert code == 4, said
    assert json.loads(said)["outcome"] == "unjudged"


async def test_a_refusal_is_one_line_in_the_analyzer_s_words() -> None:
    rig = await lobby(clock=SystemClock())
    code, said = await ask(rig, "--task", "flash", seen=False)
    assert code == 1
    assert "does not do so from a page of this analyzer" in said.replace("\n", " ")


@pytest.mark.parametrize("port", [free_port()])
def test_an_analyzer_that_is_not_there_is_one_line(port: int) -> None:
    command = ["challenge", "lobby", "--analyzer", f"http://127.0.0.1:{port}"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "nothing listens on this host and port" in done.output
