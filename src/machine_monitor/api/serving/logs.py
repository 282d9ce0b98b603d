"""Logging to stderr, one line per event, as JSON or text.

A request's URL, headers and body are never logged, except X-Request-ID.
"""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from opentelemetry import trace
from pydantic_core import to_json

# Keep structlog from importing Rich, which we do not use here: it takes 7 MB in each worker.
sys.modules.setdefault("rich", None)  # ty: ignore[no-matching-overload] -- None is how a module is said to be absent
import structlog  # noqa: E402 -- the line above must come first
from structlog.typing import EventDict, Processor, WrappedLogger  # noqa: E402 -- the same

if sys.modules["rich"] is None:
    del sys.modules["rich"]

from machine_monitor.config import Settings  # noqa: E402 -- the same

# Structured fields of an event: `logger.info("request", extra={FIELDS: {...}})`.
FIELDS = "fields"
# MM_LOG_LEVEL applies to these loggers only: at debug level, the drivers would log values of records.
LOGGERS = ("machine_monitor", "uvicorn")
HANDLER_NAME = "machine_monitor"

# Writes an event with its fields.
AccessLog = Callable[..., Any]


def configure(settings: Settings) -> AccessLog:
    """Configure all loggers of this process to write to stderr, and return the access log.

    Our loggers use the level of MM_LOG_LEVEL, all others log warnings and errors. The access log bypasses the
    standard library's logging, which would cost three times as much per request.
    """
    renderers = _renderers(
        as_json=settings.log_format == "json" or (settings.log_format == "auto" and not _is_terminal())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.name = HANDLER_NAME
    preparation = [_add_fields, structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[*preparation, *renderers]))
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.name == HANDLER_NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(settings.log_level.upper())
    # The uvicorn command installs handlers of its own.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"
    logging.captureWarnings(capture=True)
    return (
        structlog.wrap_logger(
            _LineLogger(sys.stderr),
            processors=renderers,
            wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
            cache_logger_on_first_use=True,
        )
        .bind()
        .info
    )


class _LineLogger(structlog.WriteLogger):
    """Writes lines, and drops those that cannot be written: a full disk of the log must not fail requests."""

    def info(self, message: str) -> None:
        """Write a line."""
        with suppress(OSError):
            super().info(message)


def _renderers(*, as_json: bool) -> list[Processor]:
    """Return the processors that turn an event into a line."""
    # The default formatter would print the values of local variables.
    text = structlog.dev.ConsoleRenderer(colors=_is_terminal(), exception_formatter=structlog.dev.plain_traceback)
    rendering = [structlog.processors.format_exc_info, _render_json] if as_json else [text]
    stamp = structlog.processors.TimeStamper("iso", key="time" if as_json else "timestamp")
    return [structlog.processors.add_log_level, stamp, *rendering]


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def _render_json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    return to_json(event, fallback=str).decode()


def current_trace_id() -> str | None:
    """Return the id of the trace to which the current request belongs; None if traces are off."""
    span = trace.get_current_span().get_span_context()
    return trace.format_trace_id(span.trace_id) if span.is_valid else None


def _add_fields(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    event.update(getattr(event["_record"], FIELDS, {}))
    if (trace_id := current_trace_id()) is not None:
        event["trace_id"] = trace_id
    return event
