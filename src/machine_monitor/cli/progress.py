"""Progress on stderr: a bar on a terminal, else a line every 30 seconds."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

LINE_SECONDS = 30.0


@contextmanager
def bar(title: str) -> Generator[Callable[[int, int], None]]:
    """Show progress; yields a function that takes (done, total)."""
    console = Console(stderr=True)
    said = time.monotonic()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            nonlocal said
            progress.update(task, completed=done, total=total)
            if not console.is_terminal and time.monotonic() - said >= LINE_SECONDS:
                said = time.monotonic()
                console.print(f"{title}: {done / max(total, 1):.0%}", highlight=False)

        yield show
