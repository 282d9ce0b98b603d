"""Wait for what happens soon, without a pause of a fixed length."""

import asyncio
import time
from collections.abc import Callable

WAIT_SECONDS = 10.0


async def wait_until(condition: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    """Poll until a condition is true; fail if it is not after these seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "The condition did not become true."
        await asyncio.sleep(0.01)
