"""The web console at `/ui/`: the files in `web/`, which are built from `frontend/`."""

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path, PurePath

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from machine_monitor.api.serving.compression import preferred_encoding
from machine_monitor.api.serving.proxies.root_path import root_path_of
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
    ".md": "text/markdown; charset=utf-8",
}
# Only files of this host, and pictures of files that wait on the device (blob:). Trusted types: only these policies may
# create HTML and the URL of a worker.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
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
        # The page by root path, which its addresses contain. There is one, or two if the ASGI server has another.
        self._pages: dict[str, File] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a GET; raises `HTTPException` (404, 405) otherwise."""
        if scope["method"] != "GET":
            raise HTTPException(405)
        name = scope["path"].removeprefix(scope["root_path"]).removeprefix("/")
        file = self._find(name, root_path_of(scope))
        await self._response(file, scope["headers"])(scope, receive, send)

    def _find(self, name: str, root_path: str) -> File:
        if name in self._files and name != PAGE:
            return self._files[name]
        # A missing asset is 404: an old page asks for a file of its own version.
        if name.startswith(ASSETS):
            raise HTTPException(404)
        if root_path not in self._pages:
            self._pages[root_path] = _make_file(PAGE, _page_at(root_path, self._files[PAGE].content))
        return self._pages[root_path]

    @staticmethod
    def _response(file: File, request_headers: Sequence[tuple[bytes, bytes]]) -> Response:
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
    # Python has no Brotli. The build writes these files, and browsers accept them on https and on localhost.
    brotli = path.with_name(f"{path.name}.br")
    encoded = {"br": brotli.read_bytes()} if brotli.is_file() else {}
    return _make_file(path.relative_to(folder).as_posix(), path.read_bytes(), encoded)


def _page_at(root_path: str, content: bytes) -> bytes:
    """Return the page for a root path: the build writes addresses relative to the page, which has many addresses."""
    prefix = escape(root_path)
    page = content.replace(b'="./', f'="{prefix}/ui/'.encode())
    return page.replace(b'data-root-path=""', f'data-root-path="{prefix}"'.encode())


def _make_file(name: str, content: bytes, encoded: Mapping[str, bytes] | None = None) -> File:
    suffix = PurePath(name).suffix
    headers = {
        "Content-Type": TYPES[suffix],
        "Cache-Control": "public, max-age=31536000, immutable" if name.startswith(ASSETS) else "no-cache",
        "Content-Security-Policy": POLICY,
        # A weak ETag: it is the same for the compressed and the plain file.
        "ETag": f'W/"{sha256(content).hexdigest()[:20]}"',
    }
    if suffix == ".png":
        return File(content, {}, headers)
    return File(
        content, {**(encoded or {}), "gzip": gzip.compress(content, mtime=0)}, {**headers, "Vary": "Accept-Encoding"}
    )
