"""Format of the log. Secrets never reach it: a value is redacted where it is made.

Logging never raises and never blocks: `cli.log_sink` takes the lines.
"""

from __future__ import annotations

import atexit
import logging
import sys
from typing import Any, Literal

import structlog

from cli.log_sink import LineSink, RateLimit, SinkHandler

_sinks: list[LineSink] = []


def configure(level: str, form: Literal["console", "json"]) -> None:
    """Send log lines to standard error, readable for people or as JSON for machines."""
    sink, limit = _sink(), RateLimit()
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # the rich formatter prints local variables, and those may hold secrets
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[
            _limited(limit),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            *([structlog.processors.format_exc_info] if form == "json" else []),
            _careful(renderer),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sink),  # type: ignore[arg-type]  # it writes
        cache_logger_on_first_use=False,  # a program that embeds us may configure again
    )
    handler = SinkHandler(sink, limit)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers = [h for h in root.handlers if not isinstance(h, SinkHandler)]
    if not root.handlers:  # a program that embeds us may have its own
        root.addHandler(handler)
        root.setLevel(level.upper())
    logging.raiseExceptions = False
    for noisy in ("aiortc", "aioice", "alembic", "httpx", "matplotlib", "libav", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _sink() -> LineSink:
    """Return a new sink at standard error; the one before it writes what it has and ends."""
    if _sinks:
        _sinks.pop().close()
    else:
        atexit.register(_close)
    _sinks.append(LineSink(sys.stderr))
    return _sinks[0]


def _close() -> None:
    for sink in _sinks:
        sink.close()


def _limited(limit: RateLimit) -> structlog.types.Processor:
    """Return a processor that drops lines of which there are too many; debug lines are not."""

    def process(_: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        if method != "debug":
            missing = limit.admit((method, event.get("event")))
            if missing is None:
                raise structlog.DropEvent
            if missing:
                event["left_out"] = missing
        return event

    return process


def _careful(renderer: structlog.types.Processor) -> structlog.types.Processor:
    """Return a renderer that makes a line of whatever it is given."""

    def render(logger: Any, method: str, event: structlog.types.EventDict) -> Any:
        told = event.get("event")
        try:
            return renderer(logger, method, event)
        except Exception as error:
            return f"{method} {told} (its values cannot be shown: {type(error).__name__})"

    return render
