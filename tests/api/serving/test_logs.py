"""The access log: one line per request, with route and user, but nothing that the client sent."""

import contextlib
import json
import logging
import sys
import warnings

import pytest

from api.paced_client import PacedClient
from conftest import serving
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import logs
from machine_monitor.config import Settings
from machine_monitor.database.connect import Database
from machine_monitor.database.statements import Statement
from machine_monitor.errors import DatabaseFault
from servers import Service, send_raw

SECRET = "hunter2"  # noqa: S105 -- a fake secret that must not appear
CODE = "c0de-c0de"


@pytest.fixture
def written(capsys, loggers):  # noqa: ARG001 -- restores the loggers
    """A function that returns what was written to stderr."""
    return lambda: capsys.readouterr().err


def lines(written):
    return [json.loads(line) for line in written().splitlines()]


async def test_each_request_is_one_log_line(sqlite_database_url, written):
    settings = Settings(database_url=sqlite_database_url)
    async with serving(settings, logs.configure(settings)) as client:
        await client.head("/logs", headers={"X-Request-ID": "mine-1"})
        await client.get("/nowhere")
        await client.put("/machines/Saw", json={})
    got, lost, put = lines(written)
    assert got.pop("ms") >= 0
    assert got.pop("time").endswith("Z")
    assert got == {
        "event": "request",
        "level": "info",
        "request_id": "mine-1",
        "method": "HEAD",
        "operation": "list_logs",
        "status": 200,
        "user": None,
        "remote": "127.0.0.1",
    }
    assert (lost["operation"], lost["status"]) == ("none", 404)
    assert (put["operation"], put["status"]) == ("replace_machine", 201)


async def test_the_log_line_names_the_user(sqlite_database_url, monkeypatch):
    events = []
    monkeypatch.setattr("machine_monitor.services.checks.health.check", lambda _: None)
    app = create_app(Settings(database_url=sqlite_database_url), lambda _, **fields: events.append(fields))
    app.router.routes.clear()

    async def endpoint(scope, _receive, _send):
        scope["user"] = "ABC"

    app.router.default = endpoint
    await PacedClient(app, "/me").task
    # There was no response: the client had disconnected.
    assert (events[0]["user"], events[0]["status"]) == ("ABC", 499)


@pytest.mark.slow
def test_the_log_contains_nothing_that_a_client_sent(tmp_path, sqlite_database_url):
    head = f"Host: x\r\nAuthorization: Bearer {SECRET}\r\nCookie: session={SECRET}\r\nConnection: close\r\n"
    body = json.dumps({"name": SECRET, "code": CODE, "password": SECRET})
    sent = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    with Service(tmp_path, database_url=sqlite_database_url, log_level="debug") as service:
        for path in (f"/logs?q={SECRET}&token={SECRET}", f"/machines/{SECRET}", f"/{CODE}?code={CODE}"):
            send_raw(service.port, f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
            send_raw(service.port, f"POST {path} HTTP/1.1\r\n{head}{sent}".encode())
        send_raw(service.port, f"GET /{SECRET} \0 HTTP/1.1\r\n{head}\r\n".encode())
    # The link for the first admin is printed for the user who starts the service; it is not part of the log.
    events = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    assert len([line for line in events if line["event"] == "request"]) >= 6
    assert SECRET not in str(events)
    assert CODE not in str(events)


async def test_a_crash_is_logged_with_request_id_and_traceback(sqlite_database_url, written, monkeypatch):
    async def crash(*_):
        raise RuntimeError("the reason")

    monkeypatch.setattr(Database, "fetch", crash)
    settings = Settings(database_url=sqlite_database_url)
    async with serving(settings, logs.configure(settings)) as client:
        await client.get("/logs", headers={"X-Request-ID": "mine-1"})
    error, request = lines(written)
    assert (error["event"], error["level"], error["request_id"]) == ("unhandled error", "error", "mine-1")
    assert "Traceback" in error["exception"]
    assert error["exception"].endswith("RuntimeError: the reason")
    assert request["status"] == 500


WRONG = {"sqlite": "SELECT json(?)", "postgresql": "SELECT CAST(%s AS integer)"}


async def test_a_driver_error_does_not_reveal_bound_values(database):
    sql = WRONG[database.engine.name]
    with pytest.raises(DatabaseFault) as raised:
        await database.fetch(Statement(sql, ("value",), {}, uses_fulltext=False), {"value": SECRET})
    assert str(raised.value)
    assert SECRET not in str(raised.value)
    assert raised.value.__suppress_context__
    with pytest.raises(DatabaseFault, match="nowhere"):
        await database.fetch(Statement("SELECT * FROM nowhere", (), {}, uses_fulltext=False), {})


def test_an_unwritable_log_does_not_fail_requests(loggers, monkeypatch):  # noqa: ARG001 -- restores the loggers
    with open("/dev/full", "w") as full:  # noqa: PTH123 -- a device
        monkeypatch.setattr(sys, "stderr", full)
        tell = logs.configure(Settings())
        tell("request", status=200)
        logging.getLogger("machine_monitor").error("told to nobody")
        with contextlib.suppress(OSError):
            full.close()


def test_other_loggers_and_warnings_use_the_same_format(written):
    # The server of another test may have disabled this logger.
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)
    logs.configure(Settings(log_level="info"))
    logs.configure(Settings(log_level="info"))
    logging.getLogger("uvicorn.error").info("Started %s", "it", extra={"color_message": "not this"})
    logging.getLogger("aiosqlite").info("executing %s", SECRET)
    logging.getLogger("aiosqlite").warning("careful")
    logging.getLogger("uvicorn.access").info("GET /?secret")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    events = lines(written)
    assert [line["event"] for line in events[:2]] == ["Started it", "careful"]
    assert "DeprecationWarning: old" in events[2]["event"]
    assert set(events[0]) == {"event", "level", "time"}
    assert len(events) == 3


@pytest.mark.parametrize(
    ("level", "expected"), [("debug", ["a", "b", "c"]), ("info", ["b", "c"]), ("warning", ["c"]), ("error", [])]
)
def test_the_log_level_is_configurable(written, level, expected):
    tell = logs.configure(Settings(log_level=level))
    tell("request")
    logging.getLogger("machine_monitor.x").debug("a")
    logging.getLogger("machine_monitor.x").info("b")
    logging.getLogger("machine_monitor.x").warning("c")
    events = [line["event"] for line in lines(written)]
    assert [event for event in events if event != "request"] == expected
    assert ("request" in events) == (level in ("debug", "info"))


@pytest.mark.parametrize(
    ("form", "terminal", "json_"),
    [("auto", False, True), ("auto", True, False), ("json", True, True), ("text", False, False)],
)
def test_a_terminal_gets_text_and_other_outputs_json(written, monkeypatch, form, terminal, json_):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    tell = logs.configure(Settings(log_format=form))
    tell("request", operation="list_logs", user=object)
    logging.getLogger("machine_monitor").error("crash", exc_info=ValueError("the reason"))
    output = written()
    assert output.startswith("{") is json_
    assert "list_logs" in output
    assert "ValueError: the reason" in output
    assert ("\x1b[" in output) is (terminal and not json_)
