"""An option that proves that no stored output is left out: `--every-fixture`, for `make parity`."""

from __future__ import annotations

import pytest

from tests.parity import fill


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what the option does."""
    text = "fail when something is stored that no test of this run reads"
    parser.addoption("--every-fixture", action="store_true", help=text)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which all tests passed without reading everything."""
    if _asked(session.config) and session.exitstatus == 0 and fill.unread():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name what nothing read."""
    if _asked(config):
        unread = fill.unread()
        for entry in unread:
            terminalreporter.write_line(f"no test reads {entry}")
        terminalreporter.write_line(f"{len(unread)} stored arrays are not read by any test")


def _asked(config: pytest.Config) -> bool:
    # Without a path, pytest reads this file too late for it to have options.
    return bool(config.getoption("--every-fixture", default=False))
