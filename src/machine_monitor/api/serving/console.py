"""The console: the files of `web/`, which the build of `frontend/` makes, at `/ui/`."""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).parents[2] / "web"
PAGE = "index.html"
# A file of this folder has its digest in its name.
ASSETS = "assets/"
# By name, for systems differ in what they know.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
# Files of this host and nothing else; trusted types let only these policies make HTML and a worker's address.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types svelte-trusted-html mm-worker"
)


@dataclass(frozen=True)
class File:
    """A file of the console, ready to be sent."""

    content: bytes
    zipped: bytes | None
    headers: dict[str, str]


class Console:
    """An ASGI application for the files; an address that is no file is one of the page's own."""

    def __init__(self, files: dict[str, File]) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a GET; raises `HTTPException` for the application to answer."""
        if scope["method"] != "GET":
            raise HTTPException(405)
        name = scope["path"].removeprefix(scope["root_path"]).removeprefix("/")
        await self._answer(name, dict(scope["headers"]))(scope, receive, send)

    def _answer(self, name: str, asked: dict[bytes, bytes]) -> Response:
        file = self._files.get(name)
        if file is None:
            # A chunk that a new version no longer has is not the page.
            if name.startswith(ASSETS) or PAGE not in self._files:
                raise HTTPException(404)
            file = self._files[PAGE]
        headers = dict(file.headers)
        if headers["ETag"].encode() in asked.get(b"if-none-match", b""):
            return Response(None, 304, headers)
        if file.zipped is not None and b"gzip" in asked.get(b"accept-encoding", b""):
            return Response(file.zipped, 200, {**headers, "Content-Encoding": "gzip"})
        return Response(file.content, 200, headers)


async def lead(_: Request) -> Response:
    """Where the console is, for who left its last slash out."""
    return RedirectResponse("/ui/", 308)


@cache
def load(folder: Path = FOLDER) -> Console | None:
    """The console that was built, or None; read and compressed once in a process."""
    if not (folder / PAGE).is_file():
        return None
    found = [path for path in folder.rglob("*") if path.suffix in TYPES]
    return Console({path.relative_to(folder).as_posix(): _read(path, folder) for path in found})


def _read(path: Path, folder: Path) -> File:
    content = path.read_bytes()
    zipped = None if path.suffix == ".png" else gzip.compress(content, mtime=0)
    lasting = path.relative_to(folder).as_posix().startswith(ASSETS)
    headers = {
        "Content-Type": TYPES[path.suffix],
        "Cache-Control": "public, max-age=31536000, immutable" if lasting else "no-cache",
        "Content-Security-Policy": POLICY,
        # Weak: it names the file, compressed or not.
        "ETag": f'W/"{sha256(content).hexdigest()[:20]}"',
    }
    return File(content, zipped, headers if zipped is None else {**headers, "Vary": "Accept-Encoding"})
