"""Traces: a span for each request and each use of the database, without anything that a client sent."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from machine_monitor.api.app import create_app
from machine_monitor.api.serving import logs, tracing
from machine_monitor.cli import service
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.errors import BadSetting
from servers import Service, environment, send_raw

SECRET = "hunter2"  # noqa: S105 -- a fake secret that must not appear
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traced(exporter):
    """A function that serves the application with traces."""

    @asynccontextmanager
    async def serving(settings, access_log=None):
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        app = create_app(settings.model_copy(update={"open": True}), access_log, tracing.Tracing(provider))
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            exporter.clear()
            yield client

    return serving


@pytest.fixture
def variables(monkeypatch):
    """A function that sets variables of OpenTelemetry; others are unset."""

    def set_variables(**given):
        for name in (*tracing.ENDPOINTS, *tracing.PROTOCOLS, "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"):
            monkeypatch.delenv(name, raising=False)
        for name, value in given.items():
            monkeypatch.setenv(name, value)

    return set_variables


def named(exporter, name):
    (span,) = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


async def test_each_request_has_a_span_with_route_and_status(traced, exporter, database_url):
    async with traced(Settings(database_url=database_url)) as client:
        await client.put("/machines/Saw", json={})
        await client.head("/machines")
        await client.get("/machines/Nowhere")
        await client.get("/nowhere")
        await client.get("/logs?limit=0")
    requests = [span for span in exporter.get_finished_spans() if span.kind.name == "SERVER"]
    assert [(span.name, span.attributes["http.response.status_code"]) for span in requests] == [
        ("PUT /machines/{name}", 201),
        ("HEAD /machines", 200),
        ("GET /machines/{name}", 404),
        ("GET", 404),
        ("GET /logs", 422),
    ]
    assert {span.status.status_code.name for span in requests} == {"UNSET"}


async def test_uses_of_the_database_are_below_the_request(traced, exporter, database_url):
    async with traced(Settings(database_url=database_url)) as client:
        await client.put("/machines/Saw", json={})
        await client.get("/machines")
        exports = await client.get("/machines.csv")
    assert exports.text.count("\n") == 2
    spans = {span.context.span_id: span for span in exporter.get_finished_spans()}
    below = [(spans[span.parent.span_id].name, span.name) for span in spans.values() if span.parent is not None]
    assert ("PUT /machines/{name}", "write") in below
    assert ("write", "unit of work") in below
    assert ("GET /machines", "SELECT machine_attachments machines") in below
    assert ("GET /machines.csv", "SELECT machine_attachments machines") in below
    used = [span for span in spans.values() if span.kind.name == "CLIENT"]
    (system,) = {span.attributes["db.system.name"] for span in used}
    assert database_url.startswith(system)
    write, unit = named(exporter, "write"), named(exporter, "unit of work")
    assert write.start_time <= unit.start_time <= unit.end_time <= write.end_time


async def test_spans_contain_nothing_that_a_client_sent(traced, exporter, sqlite_database_url):
    async with traced(Settings(database_url=sqlite_database_url)) as client:
        headers = {
            "Authorization": f"Bearer {SECRET}",
            "Cookie": SECRET,
            "User-Agent": SECRET,
            "Host": f"{SECRET}.local",
        }
        assert (await client.put(f"/machines/{SECRET}", json={"sector": SECRET})).status_code == 201
        for path in (f"/machines/{SECRET}", f"/logs?q={SECRET}&{SECRET}=1", f"/{SECRET}", f"/machines?name={SECRET}"):
            await client.get(path)
            await client.get(path, headers=headers)
            await client.post(path, json={"machine": SECRET, "comment": SECRET})
        await client.request(SECRET.upper(), "/logs")
    spans = exporter.get_finished_spans()
    assert len(spans) > 20
    assert SECRET not in "".join(span.to_json() for span in spans).lower()


@pytest.mark.usefixtures("loggers")
async def test_a_trace_of_the_client_is_continued_and_in_the_log(traced, exporter, sqlite_database_url, capsys):
    settings = Settings(database_url=sqlite_database_url)
    async with traced(settings, logs.configure(settings)) as client:
        await client.get("/machines", headers={"traceparent": f"00-{TRACE}-{CALLER}-01"})
        await client.get("/machines")
    continued, own = [span for span in exporter.get_finished_spans() if span.name == "GET /machines"]
    assert f"{continued.context.trace_id:032x}" == TRACE
    assert f"{continued.parent.span_id:016x}" == CALLER
    assert own.parent is None
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["trace_id"] for line in lines] == [TRACE, f"{own.context.trace_id:032x}"]


@pytest.mark.usefixtures("loggers")
async def test_a_crash_has_an_error_and_its_trace_in_the_log(
    traced, exporter, sqlite_database_url, capsys, monkeypatch
):
    async def crash(*_):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(Database, "fetch", crash)
    settings = Settings(database_url=sqlite_database_url)
    async with traced(settings, logs.configure(settings)) as client:
        await client.get("/machines")
    request, query = (named(exporter, "GET /machines"), named(exporter, "SELECT credentials tokens history"))
    assert (request.status.status_code.name, request.attributes["http.response.status_code"]) == ("ERROR", 500)
    assert query.attributes["error.type"] == "RuntimeError"
    assert SECRET not in request.to_json() + query.to_json()
    crashed, _ = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert crashed["trace_id"] == f"{request.context.trace_id:032x}"


async def test_polls_in_the_background_belong_to_no_request(traced, exporter, sqlite_database_url):
    async with traced(Settings(database_url=sqlite_database_url)) as client:
        feed = client._transport.app.state.live_feed
        tracer = TracerProvider().get_tracer("test")
        with tracer.start_as_current_span("request"), feed.keep_polling():
            await asyncio.sleep(0.1)
    polls = exporter.get_finished_spans()
    assert polls
    assert [span.parent for span in polls] == [None] * len(polls)


# Configuration


@pytest.mark.parametrize(
    "given",
    [
        {},
        {COLLECTOR: ""},
        {COLLECTOR: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {COLLECTOR: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_traces_are_off_without_a_collector(variables, given, sqlite_database_url):
    variables(**given)
    assert tracing.from_environment() is None
    app = create_app(Settings(database_url=sqlite_database_url), None, tracing.from_environment())
    assert type(app.state.database) is Database


@pytest.mark.slow
def test_without_a_collector_no_package_of_the_sdk_is_loaded(tmp_path, variables):
    variables()
    script = "import sys, machine_monitor.asgi; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
    names = loaded.stdout.split()
    assert "machine_monitor.api.app" in names
    assert [name for name in names if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))] == []


def test_variables_that_cannot_be_fulfilled_are_named(variables, monkeypatch, tmp_path):
    variables(**{COLLECTOR: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    with pytest.raises(BadSetting, match=r"OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf\."):
        tracing.from_environment()
    variables(**{COLLECTOR: "http://127.0.0.1:1"})
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSetting, match=f"{COLLECTOR} asks for traces, but their packages are not installed: install"):
        service.serve()
    assert list(tmp_path.iterdir()) == []


async def test_a_collector_that_is_away_does_not_delay_the_end():
    class Provider(TracerProvider):
        def shutdown(self):
            time.sleep(10)

    began = time.monotonic()
    await tracing.Tracing(Provider()).close()
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_a_service_sends_its_spans_to_a_collector(tmp_path, sqlite_database_url, variables):
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        variables(**{COLLECTOR: f"http://127.0.0.1:{server.server_port}"})
        with Service(tmp_path, database_url=sqlite_database_url) as started:
            send_raw(started.port, b"GET /logs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        server.shutdown()
        thread.join()
    assert {path for path, _ in received} == {"/v1/traces"}
    groups = [group for _, body in received for group in ExportTraceServiceRequest.FromString(body).resource_spans]
    names = {each.key: each.value.string_value for group in groups for each in group.resource.attributes}
    assert names["service.name"] == "machine-monitor"
    spans = [span for group in groups for scope in group.scope_spans for span in scope.spans]
    (request,) = [span for span in spans if span.name == "GET /logs"]
    assert [span.name for span in spans if span.parent_span_id == request.span_id] == [
        "SELECT credentials tokens history",
        "SELECT log_attachments logs machines",
    ]
    assert "Traceback" not in started.log.read_text()
