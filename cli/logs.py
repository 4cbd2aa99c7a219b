"""Format of the log. Secrets never reach it: a value is redacted where it is made.

Logging never raises and never blocks: `cli.log_sink` takes the lines.
"""

from __future__ import annotations

import atexit
import logging
import sys
from typing import Any, Literal

import structlog

from cli.log_sink import LineRing, LineSink, RateLimit, SinkHandler

_sinks: list[LineSink] = []


def configure(
    level: str,
    form: Literal["console", "json"],
    *,
    elsewhere: LineRing | None = None,
    worker: str = "",
    colors: bool | None = None,
) -> None:
    """Send log lines to standard error, readable for people or as JSON for machines.

    Args:
        level: of the least important lines that are told.
        form: of the lines.
        elsewhere: takes them instead of standard error.
        worker: name of the worker whose lines these are; each says it.
        colors: whether they are coloured for people; if standard error is a terminal when None.
    """
    limit = RateLimit()
    sink: LineSink | LineRing = elsewhere if elsewhere is not None else _sink()
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() if colors is None else colors,
            # the rich formatter prints local variables, and those may hold secrets
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[
            _limited(limit),
            *([_of(worker)] if worker else []),
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
    handler.setFormatter(
        logging.Formatter(f"{worker}: " * bool(worker) + "%(levelname)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers = [h for h in root.handlers if not isinstance(h, SinkHandler)]
    if not root.handlers:  # a program that embeds us may have its own
        root.addHandler(handler)
        root.setLevel(level.upper())
    logging.raiseExceptions = False
    for noisy in ("aiortc", "aioice", "alembic", "httpx", "matplotlib", "libav", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def relay(line: str) -> None:
    """Write a line that another process has made."""
    (_sinks[0] if _sinks else sys.stderr).write(line)


def _of(worker: str) -> structlog.types.Processor:
    """Return a processor that says whose line it is."""

    def process(_: Any, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        event.setdefault("worker", worker)
        return event

    return process


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
