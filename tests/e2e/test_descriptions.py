"""`/asyncapi.json` and `/openapi.json` of a real analyzer, in the hands of others' tools.

The tools are npm packages: `make tests/spec/node_modules`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stream.publish.asyncapi import CLIENT_MESSAGES, SERVER_MESSAGES
from tests.support.server import Server

pytestmark = pytest.mark.e2e

TOOLS = Path(__file__).resolve().parents[1] / "spec"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def node(*command: str | Path, at: Path, told: str = "") -> str:
    """Return what a Node.js program prints; the test fails with its complaint, if it has one."""
    if shutil.which("node") is None or not (TOOLS / "node_modules").is_dir():
        pytest.skip("the tools are not here (make tests/spec/node_modules)")
    done = subprocess.run(
        ["node", *command], cwd=at, input=told, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def described(server: Server, path: str) -> Any:
    return httpx.get(server.url + path, timeout=20).json()


def test_asyncapis_own_parser_reads_the_description_of_the_socket(server: Server) -> None:
    """The parser wants `discriminator` to be a string, unlike OpenAPI."""
    told = json.dumps(described(server, "/asyncapi.json"))
    names = json.loads(node(TOOLS / "asyncapi.mjs", at=TOOLS, told=told))
    assert set(names) == {*SERVER_MESSAGES, *CLIENT_MESSAGES}


def test_a_generated_client_compiles_and_works(server: Server, tmp_path: Path) -> None:
    tools = tmp_path / "node_modules"
    tools.symlink_to(TOOLS / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "openapi.json").write_text(json.dumps(described(server, "/openapi.json")))
    for name in ("client.ts", "tsconfig.json"):
        shutil.copy(TOOLS / name, tmp_path)
    generator = tools / "openapi-typescript" / "bin" / "cli.js"
    options = ("--output", "api.d.ts", "--default-non-nullable", "false")  # requests need none
    node(generator, "openapi.json", *options, at=tmp_path)
    node(tools / "typescript" / "bin" / "tsc", "--project", ".", at=tmp_path)
    assert node("client.js", server.url, at=tmp_path) == "done\n"
    assert described(server, "/api/v1/streams")["streams"] == []
