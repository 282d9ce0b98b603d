"""Drives Firefox by WebDriver BiDi, which it speaks itself: no driver stands between."""

import itertools
import json
import subprocess
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from outside.browsers.page import Page
from outside.browsers.websocket import WebSocket
from servers import free_port

PROGRAM = "firefox-esr"
SECONDS = 60
# Firefox adds those preferences that keep a browser under test from calling its maker.
PREFERENCES = {"intl.accept_languages": "en-GB, en", "network.dns.disabled": True}


class Bidi:
    """A session of WebDriver BiDi: commands with their results, and the events that came between."""

    def __init__(self, port: int) -> None:
        self._socket = WebSocket(port, "/session", SECONDS)
        self._ids = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; raises `RuntimeError` if it failed."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (message := json.loads(self._socket.receive())).get("id") != number:
            self.events.append(message)
        if message["type"] == "error":
            raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
        return message["result"]

    def close(self) -> None:
        self._socket.close()


class FirefoxPage(Page):
    def __init__(self, bidi: Bidi, context: str, address: str) -> None:
        super().__init__(address)
        self._bidi, self._context = bidi, context

    def navigate(self, url: str) -> None:
        self._bidi.send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, expression: str) -> str:
        target = {"context": self._context}
        response = self._bidi.send("script.evaluate", expression=expression, target=target, awaitPromise=False)
        if response["type"] == "exception":
            raise RuntimeError(response["exceptionDetails"]["text"])
        return response["result"]["value"]

    def perform(self, source: dict[str, Any]) -> None:
        self._bidi.send("input.performActions", context=self._context, actions=[source])

    def errors(self) -> list[str]:
        entries = [event["params"] for event in self._bidi.events if event["method"] == "log.entryAdded"]
        own = [entry for entry in entries if entry["source"].get("context") == self._context]
        return [str(entry["text"]) for entry in own if entry["level"] == "error"]


@contextmanager
def running_firefox(folder: Path) -> Generator[Bidi]:
    """Start Firefox without a window, with a new profile."""
    profile, port, log = folder / "profile", free_port(), folder / "firefox.log"
    profile.mkdir()
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))
    command = [PROGRAM, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", str(port)]
    with log.open("w") as opened, subprocess.Popen(command, stdout=opened, stderr=opened) as process:
        try:
            with closing(connect(port, process, log)) as bidi:
                bidi.send("session.new", capabilities={})
                bidi.send("session.subscribe", events=["log.entryAdded"])
                yield bidi
                bidi.send("browser.close")
        finally:
            process.terminate()


def connect(port: int, process: subprocess.Popen, log: Path) -> Bidi:
    end = time.monotonic() + SECONDS
    while True:
        try:
            return Bidi(port)
        except ConnectionError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)


@contextmanager
def firefox_page(bidi: Bidi, address: str) -> Generator[FirefoxPage]:
    """Open a tab that shares no cookie and no storage with others."""
    user_context = bidi.send("browser.createUserContext")["userContext"]
    context = bidi.send("browsingContext.create", type="tab", userContext=user_context)["context"]
    bidi.send("browsingContext.setViewport", context=context, viewport={"width": 1024, "height": 730})
    yield FirefoxPage(bidi, context, address)
    bidi.send("browser.removeUserContext", userContext=user_context)
