"""Traces by OpenTelemetry: off unless its standard variables name a collector. See docs/run/traces.md.

FastAPI makes the span of a request, and OpenTelemetry's SDK sends it. This module configures both, adds the spans of
the database, and keeps out of the traces what clients sent. Without a collector, none of it runs: the SDK is not
imported, and the database is a plain `Database`.
"""

import asyncio
import os
import re
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import aclosing, contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from typing import Any, TypeVar

from fastapi.telemetry import TelemetryConfig
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind

from machine_monitor.api.serving.logs import AccessLog, current_trace_id
from machine_monitor.database.connect import Database
from machine_monitor.database.statements import Prefetch, Statement
from machine_monitor.database.transactions import Transaction
from machine_monitor.errors import BadSetting

T = TypeVar("T")
SERVICE = "machine-monitor"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
# FastAPI begins a span with more than these: path, query and host, which hold names of machines and users, and words
# that were searched for. The route and the status are added later.
KEPT_ATTRIBUTES = {"http.request.method", "url.scheme", "network.protocol.version"}
# A collector that is away must not delay the end of the service.
FLUSH_SECONDS = 1.0
# The service has its own metrics and logs, so FastAPI's are not needed.
TELEMETRY_OFF: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
_TABLE = re.compile(r'\b(?:FROM|JOIN) "?([a-z_]+)')


class Tracing:
    """Makes spans with a provider of the SDK."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.tracer: trace.Tracer = provider.get_tracer(SERVICE, version(SERVICE))

    @property
    def telemetry(self) -> TelemetryConfig:
        """The configuration with which FastAPI makes a span for each request."""
        return {**TELEMETRY_OFF, "tracing": True, "tracer_provider": _RequestTracerProvider(self._provider)}

    def database(self, *arguments: Any) -> Database:
        """Create a `Database` that makes spans."""
        return TracedDatabase(self.tracer, *arguments)

    async def close(self) -> None:
        """Send the last spans, if the collector takes them within FLUSH_SECONDS."""
        thread = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, FLUSH_SECONDS)


class _RequestTracerProvider(trace.TracerProvider):
    def __init__(self, provider: trace.TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *arguments: Any, **options: Any) -> trace.Tracer:
        return _RequestTracer(self._provider.get_tracer(*arguments, **options))


class _RequestTracer(trace.Tracer):
    """A tracer whose spans begin with KEPT_ATTRIBUTES only."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start_span(self, name: str, *arguments: Any, attributes: Any = None, **options: Any) -> trace.Span:
        kept = {key: value for key, value in (attributes or {}).items() if key in KEPT_ATTRIBUTES}
        return self._tracer.start_span(name, *arguments, attributes=kept, **options)

    def start_as_current_span(self, *_arguments: Any, **_options: Any) -> Any:
        raise NotImplementedError  # FastAPI calls it for `operation_spans` alone, and TELEMETRY_OFF has these off


class TracedDatabase(Database):
    """A `Database` that makes a span of each query, of each stream, of each write, and of the write's own part in it.

    A span names tables. It contains no SQL, no value and no message of an error.
    """

    def __init__(self, tracer: trace.Tracer, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._tracer = tracer

    async def fetch(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        """Make a span from the wait for a connection to the last row."""
        with self._span(_summary(statement.sql)):
            return await super().fetch(statement, values)

    async def fetch_and_prefetch(
        self, statement: Statement, values: Mapping[str, Any], prefetch: Prefetch
    ) -> list[Any] | None:
        """Make one span of both queries."""
        with self._span(_summary(f"{statement.sql} {prefetch.statement.sql}")):
            return await super().fetch_and_prefetch(statement, values, prefetch)

    async def read(self, unit: Callable[[Transaction], T]) -> T:
        """Make a span from the wait for a connection to the result."""
        with self._span("read"):
            return await super().read(unit)

    async def write(
        self,
        unit: Callable[[Transaction], T],
        records: int = 1,
        look_up: Callable[[Transaction], object] | None = None,
    ) -> T:
        """Make a span from the wait for a batch to the commit, and one below it while the unit runs."""
        with self._span("write"):
            parent = context.get_current()

            def traced_unit(tx: Transaction) -> T:
                with self._span("unit of work", parent):
                    return unit(tx)

            return await super().write(traced_unit, records, look_up)

    def stream(
        self, statement: Statement, values: Mapping[str, Any], transform: Callable[[Iterable[list[Any]]], Iterable[T]]
    ) -> AsyncGenerator[T]:
        """Make a span from the first chunk to the last."""
        return self._traced_stream(_summary(statement.sql), super().stream(statement, values, transform))

    async def _traced_stream(self, name: str, chunks: AsyncGenerator[T]) -> AsyncGenerator[T]:
        # Not the current span: the code between two chunks is not part of it.
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=self._attributes())
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
        finally:
            span.end()

    @contextmanager
    def _span(self, name: str, parent: context.Context | None = None) -> Generator[None]:
        with self._tracer.start_as_current_span(
            name,
            parent,
            SpanKind.CLIENT,
            self._attributes(),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__qualname__)
                raise

    def _attributes(self) -> dict[str, str]:
        return {"db.system.name": self.engine.name}


def is_configured() -> bool:
    """Return whether OpenTelemetry's variables name a collector.

    Raises `BadSetting` if they ask for what is not installed or not supported.
    """
    endpoint = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if endpoint is None or is_disabled or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    for name in PROTOCOLS:
        if os.environ.get(name, PROTOCOL) != PROTOCOL:
            raise BadSetting(f"{name} must be {PROTOCOL}.")
    try:
        import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        message = (
            f"{endpoint} asks for traces, but their packages are not installed: install the wheel or checkout with its "
            "extra, as in `pip install '.[tracing]'`, or unset the variable."
        )
        raise BadSetting(message) from None
    return True


def from_environment() -> Tracing | None:
    """Configure what OpenTelemetry's variables describe; None without a collector. Raises as `is_configured` does."""
    if not is_configured():
        return None
    # These packages are an extra.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 -- see above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 -- see above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 -- see above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 -- see above

    resource = Resource.create({"service.version": version(SERVICE)})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": SERVICE}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def add_trace_id(access_log: AccessLog) -> AccessLog:
    """Return an access log whose lines have the id of the trace."""
    return lambda event, **fields: access_log(event, **fields, trace_id=current_trace_id())


@lru_cache(1024)
def _summary(sql: str) -> str:
    """Return the name of the span of a query: its tables."""
    return " ".join(["SELECT", *dict.fromkeys(_TABLE.findall(sql))])
