"""Drives WebKitGTK's MiniBrowser by WebDriver, through WebKitWebDriver and in a display of its own."""

import os
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from outside.browsers.page import Page
from servers import free_port

PROGRAMS = ("WebKitWebDriver", "Xvfb")
SECONDS = 20
# WebDriver classic reports no errors of a page, so the page keeps them from the end of its load on.
RECORD_ERRORS = """() => {
    window.recordedErrors = [];
    const record = (error) => void recordedErrors.push(String(error));
    addEventListener('error', ({ message }) => record(message));
    addEventListener('unhandledrejection', ({ reason }) => record(reason));
    console.error = (...values) => record(values);
}"""


class Driver:
    """A client of a running WebKitWebDriver."""

    def __init__(self, port: int) -> None:
        self._client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS, trust_env=False)

    def send(self, method: str, path: str, **body: Any) -> Any:
        """Send a command and return its value; raises `RuntimeError` if it failed."""
        response = self._client.request(method, path, json=body if method == "POST" else None)
        value = response.json()["value"]
        if response.is_error:
            raise RuntimeError(f"{path}: {value['error']}: {value['message']}")
        return value

    def is_ready(self) -> bool:
        try:
            return self.send("GET", "/status")["ready"]
        except httpx2.TransportError:
            return False

    def close(self) -> None:
        self._client.close()


class WebKitPage(Page):
    def __init__(self, driver: Driver, session: str, address: str) -> None:
        super().__init__(address)
        self._driver, self._session = driver, session
        self._earlier_errors: list[str] = []

    def _post(self, command: str, **body: Any) -> Any:
        return self._driver.send("POST", f"/session/{self._session}/{command}", **body)

    def navigate(self, url: str) -> None:
        self._earlier_errors = self.errors()
        self._post("url", url=url)
        self.call(RECORD_ERRORS)

    def evaluate(self, expression: str) -> str:
        return self._post("execute/sync", script=f"return {expression}", args=[])

    def perform(self, source: dict[str, Any]) -> None:
        self._post("actions", actions=[source])

    def errors(self) -> list[str]:
        return self._earlier_errors + self.call("() => window.recordedErrors ?? []")


@contextmanager
def virtual_display() -> Generator[str]:
    """Start an X server without a screen; its name."""
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield f":{process.stdout.readline().strip()}"
        process.terminate()


@contextmanager
def running_driver(folder: Path, display: str) -> Generator[Driver]:
    """Start WebKitWebDriver; at the end, stop it and the browser that it has started."""
    port, log = free_port(), folder / "webkit.log"
    # A wall display often has this locale; the browser then says that its user speaks the language "C".
    variables = os.environ | {"DISPLAY": display, "LC_ALL": "C"}
    command = ["WebKitWebDriver", f"--port={port}"]
    with (
        log.open("w") as opened,
        subprocess.Popen(command, env=variables, stdout=opened, stderr=opened, start_new_session=True) as process,
    ):
        driver = Driver(port)
        try:
            end = time.monotonic() + SECONDS
            while not driver.is_ready():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.02)
            yield driver
        finally:
            driver.close()
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def webkit_page(folder: Path, display: str, address: str) -> Generator[WebKitPage]:
    """Start a browser with an empty profile. Some never answer to their driver: then start another."""
    capabilities = {"webkitgtk:browserOptions": {"binary": str(browser()), "args": ["--automation"]}}
    for is_last in (False, False, True):
        with running_driver(folder, display) as driver:
            try:
                session = driver.send("POST", "/session", capabilities={"alwaysMatch": capabilities})
            except httpx2.ReadTimeout:
                if is_last:
                    raise
                continue
            yield WebKitPage(driver, session["sessionId"], address)
            driver.send("DELETE", f"/session/{session['sessionId']}")
            return


def browser() -> Path:
    """Return the path of MiniBrowser; Debian's is in no folder of PATH."""
    (path,) = Path("/usr/lib").glob("*/webkit2gtk-4.1/MiniBrowser")
    return path
