"""A proxy to a PostgreSQL server that counts round trips."""

import select
import socket
import threading
from contextlib import suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from machine_monitor.database import database_urls

SOCKET = ".s.PGSQL.{}"
FLUSH = b"H\0\0\0\4"


class CountingProxy:
    """Forwards connections to the server of a database URL; `url` is the same database through the proxy.

    Its socket is in `folder`. A round trip begins when a client sends something after it got a response.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = database_urls.parse(url).sqlalchemy_url.set(host=None, port=None, query={"host": str(folder)})
        self.trips = 0
        self._server = conninfo_to_dict(database_urls.parse(url).conninfo)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET.format(5432)))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client, self._connect()), daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._server["host"]), self._server.get("port", 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/{SOCKET.format(port)}")
        return server

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        answered = True
        with client, server, suppress(ConnectionError):
            while True:
                readable, _, _ = select.select([client, server], [], [])
                # First what the client sent: it cannot be about a response that it has not got.
                source, target = (client, server) if client in readable else (server, client)
                if not (data := source.recv(65_536)):
                    return
                if source is client:
                    # libpq sends Flush after Sync, perhaps when the response is already here. Nothing answers it.
                    if data != FLUSH:
                        self.trips += answered
                        answered = False
                else:
                    answered = True
                target.sendall(data)
