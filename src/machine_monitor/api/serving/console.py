"""The web console at `/ui/`: the files in `web/`, which are built from `frontend/`."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from machine_monitor.api.serving.compression import preferred_encoding
from machine_monitor.services.records.preconditions import parse_entity_tags

FOLDER = Path(__file__).parents[2] / "web"
PAGE = "index.html"
# Files in this folder have a digest in their name, so they never change.
ASSETS = "assets/"
# Not from `mimetypes`, which depends on the operating system.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
# Only files of this host. Trusted types: only these policies may create HTML and the URL of a worker.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types svelte-trusted-html mm-worker"
)


@dataclass(frozen=True)
class File:
    """A file of the console with its headers, ready to be sent."""

    content: bytes
    # The compressed content by encoding, the smallest first.
    encoded: dict[str, bytes]
    headers: dict[str, str]


class Console:
    """An ASGI application for the files. A path that is not a file is a route of the console, and gets its page."""

    def __init__(self, files: dict[str, File]) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a GET; raises `HTTPException` (404, 405) otherwise."""
        if scope["method"] != "GET":
            raise HTTPException(405)
        name = scope["path"].removeprefix(scope["root_path"]).removeprefix("/")
        await self._response(name, scope["headers"])(scope, receive, send)

    def _response(self, name: str, request_headers: Sequence[tuple[bytes, bytes]]) -> Response:
        file = self._files.get(name)
        if file is None:
            # A missing asset is 404: an old page asks for a file of its own version.
            if name.startswith(ASSETS) or PAGE not in self._files:
                raise HTTPException(404)
            file = self._files[PAGE]
        headers = dict(file.headers)
        known = parse_entity_tags(dict(request_headers).get(b"if-none-match", b"").decode("latin-1"))
        if headers["ETag"].removeprefix("W/") in known:
            return Response(None, 304, headers)
        encoding = preferred_encoding(request_headers, tuple(file.encoded))
        if encoding is None:
            return Response(file.content, 200, headers)
        return Response(file.encoded[encoding], 200, {**headers, "Content-Encoding": encoding})


async def redirect_to_slash(_: Request) -> Response:
    """Redirect `/ui` to `/ui/`."""
    return RedirectResponse("/ui/", 308)


@cache
def load(folder: Path = FOLDER) -> Console | None:
    """Return the console, or None if it was not built. Files are read and compressed once per process."""
    if not (folder / PAGE).is_file():
        return None
    paths = [path for path in folder.rglob("*") if path.suffix in TYPES]
    return Console({path.relative_to(folder).as_posix(): _read(path, folder) for path in paths})


def _read(path: Path, folder: Path) -> File:
    content = path.read_bytes()
    immutable = path.relative_to(folder).as_posix().startswith(ASSETS)
    headers = {
        "Content-Type": TYPES[path.suffix],
        "Cache-Control": "public, max-age=31536000, immutable" if immutable else "no-cache",
        "Content-Security-Policy": POLICY,
        # A weak ETag: it is the same for the compressed and the plain file.
        "ETag": f'W/"{sha256(content).hexdigest()[:20]}"',
    }
    encoded = _encode(path, content)
    return File(content, encoded, {**headers, "Vary": "Accept-Encoding"} if encoded else headers)


def _encode(path: Path, content: bytes) -> dict[str, bytes]:
    if path.suffix == ".png":
        return {}
    # Python has no Brotli. The build writes these files, and browsers accept them on https and on localhost.
    brotli = path.with_name(f"{path.name}.br")
    encoded = {"br": brotli.read_bytes()} if brotli.is_file() else {}
    return {**encoded, "gzip": gzip.compress(content, mtime=0)}
