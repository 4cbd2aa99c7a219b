"""The page says that nothing can be stored, and stops when it can: Chromium and a real analyzer."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Hold a database as another program would, so that nobody else can write it."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def test_a_store_that_cannot_be_written_is_said_until_it_can(
    page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "styleflow.db"
    with Server(env={"STYLEFLOW__STORE__URL": f"sqlite:///{file}"}) as server:
        assert server.add("lobby", "demo://authentic").is_success
        server.wait_for_metric("styleflow_store_rows_total", 3, 60)
        await page.goto(server.url)
        await expect(page.locator(".tile")).to_have_count(1, timeout=30_000)
        bar = page.get_by_role("region", name="Storage", exact=True)
        await expect(bar).to_have_count(0)
        with held(file):
            await expect(bar.get_by_role("alert")).to_contain_text(
                "The store cannot be written since", timeout=40_000
            )
            await expect(bar).to_contain_text("database is locked")
            await expect(bar).to_contain_text("in memory to be stored; nothing is lost so far")
            await expect(bar).to_contain_text("End the other program that holds the database")
            await page.get_by_role("link", name=re.compile("^Incidents")).click()
            await expect(bar).to_be_visible()
        await expect(bar).to_have_count(0, timeout=60_000)


async def test_a_home_that_cannot_be_written_is_said(page: Page, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Server(env={"XDG_DATA_HOME": str(tmp_path / "file")}) as server:
        await page.goto(server.url)
        bar = page.get_by_role("region", name="Storage", exact=True)
        await expect(bar).to_contain_text("Nothing is stored since the analyzer started")
        await expect(bar).to_contain_text("and start the analyzer again")
