"""Name the browser and the device of a `User-Agent` header, for the list of a user's sessions."""

import re
from collections.abc import Sequence
from typing import NamedTuple

# In this order: most browsers also name those that they are compatible with.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
DEVICES = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
)
_PROGRAM = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


class UserAgent(NamedTuple):
    """The names of a browser (or program) and of its device; None if unknown."""

    browser: str | None
    device: str | None


UNKNOWN = UserAgent(None, None)


def parse(header: str) -> UserAgent:
    """Find both names in a `User-Agent` header. A program is named by its first word, such as `curl`."""
    program = _PROGRAM.match(header)
    is_browser = header.startswith("Mozilla/")
    browser = _first(BROWSERS, header) if is_browser else program and program[0]
    return UserAgent(browser, _first(DEVICES, header) if is_browser else None)


def _first(names: Sequence[tuple[str, str]], header: str) -> str | None:
    return next((name for sign, name in names if sign in header), None)
