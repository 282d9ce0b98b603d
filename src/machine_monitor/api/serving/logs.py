"""The log: one line an event on stderr, JSON for machines or text for people; nothing that a client sent but its id."""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic_core import to_json

# Where Rich is installed, structlog loads it for a look that is not ours: seven megabytes in each worker.
sys.modules.setdefault("rich", None)  # ty: ignore[no-matching-overload] -- None is how a module is said to be absent
import structlog  # noqa: E402 -- the line above must come first
from structlog.typing import EventDict, Processor, WrappedLogger  # noqa: E402 -- the same

if sys.modules["rich"] is None:
    del sys.modules["rich"]

from machine_monitor.config import Settings  # noqa: E402 -- the same

# What an event carries beside its sentence: `logger.info("request", extra={FIELDS: {...}})`.
FIELDS = "fields"
# Those that speak for the product; the drivers' own debugging would tell what was bound.
OURS = ("machine_monitor", "uvicorn")
NAME = "machine_monitor"

# Writes a line for a request: the event, then its fields by name.
AccessLog = Callable[..., Any]


def configure(settings: Settings) -> AccessLog:
    """Let all loggers of this process write to stderr, ours from the level that is set, others from warnings on.

    What it gives tells of requests, each a line too; without the standard library's detours, a third of the cost.
    """
    ending = _ending(as_json=settings.log_format == "json" or (settings.log_format == "auto" and not _is_terminal()))
    handler = logging.StreamHandler(sys.stderr)
    handler.name = NAME
    taking = [_take_fields, structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[*taking, *ending]))
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.name == NAME]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())
    # uvicorn's command gives them handlers of their own.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"
    logging.captureWarnings(capture=True)
    return (
        structlog.wrap_logger(
            _Lines(sys.stderr),
            processors=ending,
            wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
            cache_logger_on_first_use=True,
        )
        .bind()
        .info
    )


class _Lines(structlog.WriteLogger):
    """Writes lines, or drops those that cannot be written: no answer suffers because the log's disk is full."""

    def info(self, message: str) -> None:
        """Write one."""
        with suppress(OSError):
            super().info(message)


def _ending(*, as_json: bool) -> list[Processor]:
    """What makes the line of an event."""
    # Its own default for text prints the values of local variables.
    text = structlog.dev.ConsoleRenderer(colors=_is_terminal(), exception_formatter=structlog.dev.plain_traceback)
    rendering = [structlog.processors.format_exc_info, _render_json] if as_json else [text]
    stamp = structlog.processors.TimeStamper("iso", key="time" if as_json else "timestamp")
    return [structlog.processors.add_log_level, stamp, *rendering]


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def _render_json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    return to_json(event, fallback=str).decode()


def _take_fields(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    event.update(getattr(event["_record"], FIELDS, {}))
    return event
