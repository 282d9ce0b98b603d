"""A WebSocket client (RFC 6455) for text messages, as far as WebDriver BiDi needs one."""

import base64
import itertools
import os
import socket
import struct

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
LAST_FRAME, MASKED = 0x80, 0x80


class WebSocket:
    """A connection to `ws://127.0.0.1:<port><path>`; raises `ConnectionError` when the server closes it."""

    def __init__(self, port: int, path: str, seconds: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), seconds)
        self._stream = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
        self._socket.sendall(request.encode())
        status = self._stream.readline()
        while self._stream.readline().strip():
            pass
        if b" 101 " not in status:
            self.close()
            raise ConnectionError(status.decode())

    def send(self, text: str) -> None:
        self._send_frame(TEXT, text.encode())

    def receive(self) -> str:
        """Wait for a message; raises `TimeoutError` after the seconds given at the start."""
        message = b""
        while True:
            head, size = self._read(2)
            if size >= 126:
                (size,) = struct.unpack(*((">H", self._read(2)) if size == 126 else (">Q", self._read(8))))
            opcode, content = head & 0x0F, self._read(size)
            if opcode == CLOSE:
                raise ConnectionError("the server closed the WebSocket")
            if opcode == PING:
                self._send_frame(PONG, content)
            elif opcode != PONG:
                message += content
                if head & LAST_FRAME:
                    return message.decode()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _send_frame(self, opcode: int, content: bytes) -> None:
        size = len(content)
        if size < 126:
            length = struct.pack(">B", MASKED | size)
        elif size < 1 << 16:
            length = struct.pack(">BH", MASKED | 126, size)
        else:
            length = struct.pack(">BQ", MASKED | 127, size)
        # A client must mask its frames. Firefox refuses the mask of zeros, which would leave the content as it is.
        mask = os.urandom(4)
        masked = bytes(byte ^ key for byte, key in zip(content, itertools.cycle(mask), strict=False))
        self._socket.sendall(bytes([LAST_FRAME | opcode]) + length + mask + masked)

    def _read(self, size: int) -> bytes:
        content = self._stream.read(size)
        if len(content) < size:
            raise ConnectionError("the WebSocket ended")
        return content
