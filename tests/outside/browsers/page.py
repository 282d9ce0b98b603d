"""A page in a browser: finds elements, clicks and types like a user. Each browser's driver adds three commands."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

WAIT_SECONDS = 30
CONTROL, ENTER = "\ue009", "\ue007"
# The centre of the first visible element that has this name and is not covered; null if there is none.
FIND = """(selector, name) => {
    const nameOf = (one) => (one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.textContent).trim();
    const isWanted = (one) => one.checkVisibility() && (name === null || nameOf(one) === name);
    const found = [...document.querySelectorAll(selector)].find(isWanted);
    if (!found) return null;
    found.scrollIntoView({ block: 'center', behavior: 'instant' });
    const box = found.getBoundingClientRect();
    const center = [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)];
    const top = document.elementFromPoint(...center);
    return [found, ...(found.labels ?? [])].some((one) => one.contains(top)) ? center : null;
}"""


class Page(ABC):
    """A browser window with storage of its own."""

    def __init__(self, address: str) -> None:
        self.address = address

    @abstractmethod
    def navigate(self, url: str) -> None:
        """Open a URL, and wait until the page has loaded."""

    @abstractmethod
    def evaluate(self, expression: str) -> str:
        """Evaluate an expression of JavaScript that is a string, outside the page's content security policy."""

    @abstractmethod
    def perform(self, source: dict[str, Any]) -> None:
        """Perform the actions of an input source; WebDriver classic and BiDi describe them alike."""

    @abstractmethod
    def errors(self) -> list[str]:
        """Return the uncaught exceptions, and what the page logged as an error."""

    def open(self, path: str) -> None:
        self.navigate(self.address + path)

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a JavaScript function with values of JSON, and return its value of JSON."""
        given = ", ".join(json.dumps(argument) for argument in arguments)
        return json.loads(self.evaluate(f"JSON.stringify(({function})({given}) ?? null)"))

    def click(self, selector: str, name: str | None = None) -> None:
        """Click the centre of an element, once it has stopped moving."""
        before: list[int] | None = None

        def is_still() -> bool:
            nonlocal before
            last, before = before, self.call(FIND, selector, name)
            # WebKit scrolls to half a pixel, so a position may be rounded up or down.
            return None not in (last, before) and all(
                abs(one - other) <= 1 for one, other in zip(last, before, strict=True)
            )

        wait_until(is_still, lambda: f"no {selector} {name or ''} to click: {self.text()}")
        x, y = before
        button = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        move = {"type": "pointerMove", "x": x, "y": y, "origin": "viewport"}
        self.perform(
            {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [move, *button]}
        )

    def type(self, text: str) -> None:
        """Press the keys of this text."""
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.perform({"type": "key", "id": "keyboard", "actions": actions})

    def fill(self, selector: str, text: str) -> None:
        """Replace the text of a field by typing."""
        self.click(selector)
        select_all = [("keyDown", CONTROL), ("keyDown", "a"), ("keyUp", "a"), ("keyUp", CONTROL)]
        actions = [{"type": kind, "value": key} for kind, key in select_all]
        self.perform({"type": "key", "id": "keyboard", "actions": actions})
        self.type(text)

    def text(self) -> str:
        """Return the text of the page as a user sees it."""
        return self.call("() => document.body?.innerText ?? ''")

    def count(self, selector: str) -> int:
        return self.call("(selector) => document.querySelectorAll(selector).length", selector)

    def wait_for(self, selector: str, count: int | None = None) -> None:
        """Wait until elements match a selector: at least one, or exactly `count`."""

        def is_there() -> bool:
            found = self.count(selector)
            return found > 0 if count is None else found == count

        wait_until(is_there, lambda: f"{self.count(selector)} {selector}: {self.text()}")

    def wait_for_text(self, words: str) -> None:
        wait_until(lambda: words in self.text(), lambda: f"no {words!r}: {self.text()}")


def wait_until(condition: Callable[[], object], problem: Callable[[], str]) -> None:
    """Poll a condition; fail with the text of `problem` if it does not become true."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, problem()
        time.sleep(0.05)
