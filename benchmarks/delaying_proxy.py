"""A proxy that puts a PostgreSQL server some milliseconds away: each chunk arrives that much later.

`python -m benchmarks.delaying_proxy PORT SECONDS CONNINFO`; SECONDS is the delay in each direction.
"""

import asyncio
import sys
from contextlib import suppress

from psycopg.conninfo import conninfo_to_dict


async def serve(port: int, delay: float, conninfo: str) -> None:
    """Forward connections to this port until the process is stopped."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await _connect(conninfo)
        await asyncio.gather(_pump(reader, server_writer, delay), _pump(server_reader, writer, delay))

    async with await asyncio.start_server(forward, "127.0.0.1", port) as server:
        await server.serve_forever()


async def _connect(conninfo: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parameters = conninfo_to_dict(conninfo)
    host, port = str(parameters["host"]), parameters.get("port", 5432)
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, int(port))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Write each chunk `delay` seconds after it was read; after the last one, close the writer."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            due, chunk = await chunks.get()
            await asyncio.sleep(due - loop.time())
            if not chunk:
                writer.close()
                return
            writer.write(chunk)

    writing = asyncio.create_task(write())
    with suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            chunks.put_nowait((loop.time() + delay, chunk))
    chunks.put_nowait((0, b""))
    await writing


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]))
