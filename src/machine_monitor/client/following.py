"""Follows the changes of all records from a position that the caller stores.

A position is `SEQ-EPOCH`: the number of the last change that was read, and the beginning of its hash. With it the
service tells a follower that its history was replaced. See docs/connect/changes.md.
"""

import re
import time
from collections.abc import Iterator
from typing import NamedTuple

from machine_monitor.client.errors import Problem, Unavailable
from machine_monitor.client.lists import Record
from machine_monitor.client.transport import Transport

START = "0"
BATCH_SIZE = 1_000
POSITION = re.compile(r"([0-9]+)(?:-([0-9a-f]{16}))?")


class Batch(NamedTuple):
    """Some changes in their order, and the position after the last of them."""

    changes: list[Record]
    position: str


def follow(transport: Transport, position: str, interval: float | None) -> Iterator[Batch]:
    """Yield the changes after a position; without an interval, end when there are no more."""
    _parse(position)  # raise for an invalid position now, not after the first wait
    while True:
        try:
            batch = _read(transport, position)
        except (Problem, Unavailable) as error:
            if interval is None or (isinstance(error, Problem) and not error.is_temporary):
                raise
            time.sleep(interval)
            continue
        if batch.changes:
            position = batch.position
            yield batch
        elif interval is None:
            return
        else:
            time.sleep(interval)


def newest_position(transport: Transport) -> str:
    """Return the position after the newest change: a stream of events begins with it."""
    with transport.stream_lines("/events") as lines:
        for line in lines:
            name, _, value = line.partition(": ")
            if name == "id":
                return value
    raise Unavailable("The stream of events ended before it sent a position.")


def _read(transport: Transport, position: str) -> Batch:
    page = transport.request("GET", "/changes", [*_parse(position), ("limit", str(BATCH_SIZE))], {}, None)
    return Batch(page["items"], f"{page['next']}-{page['epoch']}")


def _parse(position: str) -> list[tuple[str, str]]:
    match = POSITION.fullmatch(position)
    if match is None:
        raise ValueError(f"'{position}' is no position: give START, or the position of a batch.")
    since, epoch = match.groups()
    return [("since", since), *([("epoch", epoch)] if epoch else [])]
