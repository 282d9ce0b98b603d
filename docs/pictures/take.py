"""Takes the pictures of the README, of a plant that `mm demo` fills: `.venv/bin/python docs/pictures/take.py`.

With names as arguments, it takes only these pictures.
"""

import contextlib
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, StorageState, sync_playwright

HERE = Path(__file__).resolve().parent
CHROMIUM = os.environ.get("MM_TEST_CHROMIUM", "/usr/bin/chromium")
DESK = {"viewport": {"width": 1240, "height": 640}}
PHONE = {"viewport": {"width": 390, "height": 680}, "has_touch": True, "is_mobile": True}
# A name, where, on what, what is there once the page is loaded, and what is pressed before.
PICTURES = [
    (
        "logs",
        "/ui/logs?type=error&q=broche",
        {**DESK, "locale": "en-GB", "color_scheme": "light"},
        "[data-uuid]",
        "[data-uuid]:has(mark)",
    ),
    ("phone", "/ui/logs", {**PHONE, "locale": "fr-FR", "color_scheme": "dark"}, "[data-uuid]", None),
    (
        "week",
        "/ui/week?period=last-month",
        {"viewport": {"width": 1240, "height": 700}, "locale": "en-GB", "color_scheme": "light"},
        "[data-figure]",
        None,
    ),
]
MAX_BYTES = 150_000
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def main() -> None:
    """Take every picture."""
    with demo() as link, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-lcd-text"])
        base, session = link.partition("/ui/")[0], sign_in(browser, link)
        wanted = sys.argv[1:] or [name for name, *_ in PICTURES]
        for name, address, options, *selectors in PICTURES:
            if name not in wanted:
                continue
            path = HERE / f"{name}.png"
            options |= {"storage_state": session}
            path.write_bytes(smaller(take(browser, f"{base}{address}", options, *selectors)))
            assert path.stat().st_size < MAX_BYTES
        browser.close()


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """The link that signs in once, while a demo is served."""
    variables = {**os.environ, "MM_TIMEZONE": "Europe/Paris", "MM_LOG_LEVEL": "info", "MM_LOG_FORMAT": "text"}
    command = [sys.executable, "-m", "machine_monitor.cli.main", "demo", "--port", "8765"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=variables, cwd="/", **pipes) as process:
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            while "running on" not in process.stderr.readline():
                assert process.poll() is None, "the demo did not start: is the port free?"
            yield next(match[0] for line in process.stdout if (match := re.search(r"http\S+/ui/setup#\S+", line)))
        finally:
            process.terminate()


def sign_in(browser: Browser, link: str) -> StorageState:
    """Sign in by a link; return the cookies and the storage that keep the browser signed in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    page.locator("button[type=submit]").click()
    page.wait_for_url("**/ui/logs")
    session = context.storage_state()
    context.close()
    return session


def take(browser: Browser, address: str, options: dict, loaded: str, pressed: str | None) -> bytes:
    """Go there, and look."""
    context = browser.new_context(reduced_motion="reduce", **options)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(loaded)
    if pressed:
        page.locator(pressed).first.click()
        page.wait_for_selector("section dl dd")
        page.mouse.move(0, 0)
    page.wait_for_timeout(300)
    png = page.screenshot()
    context.close()
    return png


def smaller(png: bytes) -> bytes:
    """The same picture, packed as tightly as zlib can: a browser packs for speed."""
    kept, packed, at = b"", b"", len(SIGNATURE)
    while at < len(png):
        (length,), kind = struct.unpack_from(">I", png, at), png[at + 4 : at + 8]
        body, at = png[at + 8 : at + 8 + length], at + 12 + length
        if kind == b"IDAT":
            packed += body
        elif kind != b"IEND":
            kept += chunk(kind, body)
    return SIGNATURE + kept + chunk(b"IDAT", zlib.compress(zlib.decompress(packed), 9)) + chunk(b"IEND", b"")


def chunk(kind: bytes, body: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


if __name__ == "__main__":
    main()
