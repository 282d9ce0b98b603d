"""The path below which a proxy publishes the service (MM_ROOT_PATH, or the `root_path` of the ASGI server).

The proxy may remove this prefix from the path of a request, or not. In the scope that the application gets, `path`
always begins with it, and `root_path` is it. So links that are made of these two carry it.
"""

from typing import Any

from starlette.types import Scope


def normalize(scope: Scope, configured: str) -> dict[str, Any]:
    """Return the `path` and `root_path` of a request for the application."""
    by_server = scope.get("root_path", "").rstrip("/")
    root_path = configured or by_server
    path = _without(_without(scope["path"], by_server), root_path)
    return {"root_path": root_path, "path": root_path + path}


def root_path_of(scope: Scope) -> str:
    """Return the prefix, also inside a mounted application, which has a longer `root_path` of its own."""
    return scope.get("app_root_path", scope.get("root_path", ""))


def route_path_of(scope: Scope) -> str:
    """Return the path without the prefix: what it identifies stays the same if the prefix changes."""
    return scope["path"][len(root_path_of(scope)) :]


def _without(path: str, prefix: str) -> str:
    if prefix and f"{path}/".startswith(f"{prefix}/"):
        return path[len(prefix) :] or "/"
    return path
