"""Load: a few keep-alive connections that ask one request after another, and what came of it."""

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from statistics import median
from typing import Any

import uvloop

from benchmarks.data import TOKEN
from benchmarks.options import Missing, Refused
from benchmarks.servers import Server

# Reads are measured with one client, and with several that ask at once.
CLIENTS = {"alone": 1, "together": 8}
WRITERS = 16
HEADERS = f"Host: bench\r\nAuthorization: Bearer {TOKEN}"


class ServerFailed(Refused):
    """An answer of 500 or more."""


@dataclass
class Load:
    """What one measurement saw; latencies in seconds, of what did not fail."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def cpu_us(self) -> float:
        """Microseconds of the server's processor time a request."""
        return self.cpu_seconds / len(self.latencies) * 1e6

    @property
    def per_second(self) -> float:
        """Requests answered a second."""
        return len(self.latencies) / self.seconds


def get(path: str) -> bytes:
    """A GET, ready to send."""
    return f"GET {path} HTTP/1.1\r\n{HEADERS}\r\n\r\n".encode()


def post(path: str, body: Any, key: str | None = None) -> bytes:
    """A POST of JSON, ready to send, with an `Idempotency-Key` if one is given."""
    content = json.dumps(body, ensure_ascii=False).encode()
    head = f"POST {path} HTTP/1.1\r\n{HEADERS}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    if key is not None:
        head += f"\r\nIdempotency-Key: {key}"
    return head.encode() + b"\r\n\r\n" + content


def require(server: Server, path: str) -> None:
    """Raise `Missing` unless the product has this path already."""
    if path not in json.loads(ask(server, get("/openapi.json")))["paths"]:
        raise Missing("not there (404)")


def ask(server: Server, request: bytes) -> bytes:
    """The body of one answer; raises `Refused` if it is no success."""

    async def once() -> bytes:
        connection = await _Connection.open(server.port)
        try:
            return await connection.ask(request)
        finally:
            connection.close()

    return uvloop.run(once())


def drive(server: Server, requests: Iterable[bytes], clients: int, seconds: float) -> Load:
    """Ask these requests over and over for so long; the answers must be successes."""
    return uvloop.run(_drive(server, cycle(requests), clients, seconds))


async def _drive(server: Server, requests: Iterator[bytes], clients: int, seconds: float) -> Load:
    connections = [await _Connection.open(server.port) for _ in range(clients)]
    for connection in connections:
        await connection.ask(next(requests))  # the first one warms: opened pools, compiled statements
    load, cpu, start = Load(), server.cpu_seconds(), time.perf_counter()

    async def client(connection: "_Connection") -> None:
        while (sent := time.perf_counter()) < start + seconds:
            try:
                await connection.ask(next(requests))
            except ServerFailed:
                load.failed += 1
            else:
                load.latencies.append(time.perf_counter() - sent)

    await asyncio.gather(*map(client, connections))
    if not load.latencies:
        raise Refused("No request was answered.")
    load.seconds, load.cpu_seconds = time.perf_counter() - start, server.cpu_seconds() - cpu
    for connection in connections:
        connection.close()
    return load


class _Connection:
    """One HTTP/1.1 connection that is kept; it reads what these servers send and no more."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "_Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))

    def close(self) -> None:
        self.writer.close()

    async def ask(self, request: bytes) -> bytes:
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        body = await self._body(head)
        status = int(head[9:12])
        if status not in (200, 201):
            line = request.partition(b"\r\n")[0].decode()
            raise (ServerFailed if status >= 500 else Refused)(f"{line}: {status} {body[:300].decode()}")
        return body

    async def _body(self, head: bytes) -> bytes:
        _, known, rest = head.partition(b"\r\ncontent-length:")
        if known:
            return await self.reader.readexactly(int(rest.partition(b"\r\n")[0]))
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return body


def summary(rounds: Sequence[Load]) -> dict[str, float]:
    """Several rounds of one thing: medians of the rounds, and percentiles of all latencies together."""
    costs = [load.cpu_us for load in rounds]
    return {
        "cpu_us": median(costs),
        "cpu_us_low": min(costs),
        "cpu_us_high": max(costs),
        "per_second": median([load.per_second for load in rounds]),
        "failed": sum(load.failed for load in rounds),
        **percentiles([latency for load in rounds for latency in load.latencies]),
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds: the middle, the one in a hundred, the worst; and of how many."""
    ordered = sorted(seconds)
    return {
        "p50_ms": ordered[len(ordered) // 2] * 1e3,
        "p99_ms": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1e3,
        "max_ms": ordered[-1] * 1e3,
        "count": len(ordered),
    }
