"""A load generator: a few keep-alive connections that send one request after another, and measure the responses."""

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
from benchmarks.options import MeasurementError, NotImplementedYet
from benchmarks.servers import Server

# Reads are measured with one client, and with eight concurrent clients.
CLIENTS = {"alone": 1, "together": 8}
WRITERS = 16
HEADERS = f"Host: bench\r\nAuthorization: Bearer {TOKEN}"


class ServerFailed(MeasurementError):
    """The server responded with a status of 500 or more."""


@dataclass
class Load:
    """The result of one measurement; latencies are in seconds, of successful requests only."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def cpu_us(self) -> float:
        """The server's processor time per request, in microseconds."""
        return self.cpu_seconds / len(self.latencies) * 1e6

    @property
    def per_second(self) -> float:
        """The number of successful requests per second."""
        return len(self.latencies) / self.seconds


def get(path: str) -> bytes:
    """Return the bytes of a GET request."""
    return f"GET {path} HTTP/1.1\r\n{HEADERS}\r\n\r\n".encode()


def post(path: str, body: Any, key: str | None = None) -> bytes:
    """Return the bytes of a POST request with a JSON body, and with an `Idempotency-Key` if one is given."""
    content = json.dumps(body, ensure_ascii=False).encode()
    head = f"POST {path} HTTP/1.1\r\n{HEADERS}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    if key is not None:
        head += f"\r\nIdempotency-Key: {key}"
    return head.encode() + b"\r\n\r\n" + content


def require_path(server: Server, path: str) -> None:
    """Raise `NotImplementedYet` if the product does not have this path."""
    if path not in json.loads(fetch(server, get("/openapi.json")))["paths"]:
        raise NotImplementedYet("not there (404)")


def fetch(server: Server, request: bytes) -> bytes:
    """Send one request and return the body of the response; raise `MeasurementError` unless it is a success."""

    async def once() -> bytes:
        connection = await _Connection.open(server.port)
        try:
            return await connection.ask(request)
        finally:
            connection.close()

    return uvloop.run(once())


def generate_load(server: Server, requests: Iterable[bytes], clients: int, seconds: float) -> Load:
    """Send these requests again and again for `seconds`; raise `MeasurementError` on a client error."""
    return uvloop.run(_generate_load(server, cycle(requests), clients, seconds))


def spread_load(servers: Sequence[Server], requests: Iterable[bytes], clients: int, seconds: float) -> Load:
    """As `generate_load`, with `clients` of each server; return the sum of their loads."""

    async def generate() -> list[Load]:
        source = cycle(requests)
        return await asyncio.gather(*[_generate_load(server, source, clients, seconds) for server in servers])

    loads = uvloop.run(generate())
    return Load(
        max(load.seconds for load in loads),
        sum(load.cpu_seconds for load in loads),
        sum(load.failed for load in loads),
        [latency for load in loads for latency in load.latencies],
    )


async def _generate_load(server: Server, requests: Iterator[bytes], clients: int, seconds: float) -> Load:
    connections = [await _Connection.open(server.port) for _ in range(clients)]
    for connection in connections:
        await connection.ask(next(requests))  # warm up connection pools and compiled statements
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
        raise MeasurementError("No request succeeded.")
    load.seconds, load.cpu_seconds = time.perf_counter() - start, server.cpu_seconds() - cpu
    for connection in connections:
        connection.close()
    return load


class _Connection:
    """A keep-alive HTTP/1.1 connection. It supports only the responses that these servers send."""

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
            raise (ServerFailed if status >= 500 else MeasurementError)(f"{line}: {status} {body[:300].decode()}")
        return body

    async def _body(self, head: bytes) -> bytes:
        _, separator, rest = head.partition(b"\r\ncontent-length:")
        if separator:
            return await self.reader.readexactly(int(rest.partition(b"\r\n")[0]))
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return body


def summarize(rounds: Sequence[Load]) -> dict[str, float]:
    """Summarize several rounds of one measurement: medians of the rounds, and percentiles of all latencies."""
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
    """Return the median, the 99th percentile and the maximum in milliseconds, and the number of values."""
    ordered = sorted(seconds)
    return {
        "p50_ms": ordered[len(ordered) // 2] * 1e3,
        "p99_ms": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1e3,
        "max_ms": ordered[-1] * 1e3,
        "count": len(ordered),
    }
