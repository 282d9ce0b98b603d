"""Commands that read files need little memory, whatever the size of a file: it is named, the rest is imported."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ENGINES
from servers import environment

# More than one command uses without a huge file, and far less than such a file.
MEMORY_BYTES = 1_500 * 1024**2
HUGE_BYTES = 6 * 1024**3
UUID = "00000000-0000-4000-8000-{:012}"


def sparse(path: Path, size: int, begin: bytes = b"") -> None:
    """Write a file that takes no space on the disk beyond its beginning."""
    path.write_bytes(begin)
    os.truncate(path, size)


def run(folder: Path, url: str, *words: str) -> dict:
    """Run a command in bounded memory, and return its report; some records are rejected."""
    done = subprocess.run(
        [sys.executable, "-m", "machine_monitor.cli.main", *words, "--json"],
        cwd=folder,
        env=environment(database_url=url),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES)),
    )
    assert done.returncode == 1, done.stderr
    return json.loads(done.stdout)


@pytest.mark.proof("mm sync of a folder with a file of 6 GB, in 1.5 GB of memory")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_huge_file_in_a_legacy_folder_is_named_and_the_rest_is_imported(
    tmp_path, new_database_url, engine, record_counts
):
    logs = tmp_path / "legacy" / "logs"
    logs.mkdir(parents=True)
    for number in range(3):
        log = {"machineName": "Saw", "type": "info", "timeStamp": f"2025_01_0{number + 1}__10_00_00", "userName": "ab"}
        (logs / f"{UUID.format(number)}.json").write_text(json.dumps(log))
    sparse(logs / f"{UUID.format(7)}.json", HUGE_BYTES, b'{"machineName": "Saw"}')
    sparse(logs / "notes.txt", HUGE_BYTES)
    report = run(tmp_path, new_database_url(engine), "sync", "legacy")
    assert (report["logs"]["created"], report["logs"]["rejected"]) == (3, 1)
    (fault,) = [problem for problem in report["problems"] if problem["level"] == "error"]
    assert (fault["file"], fault["code"]) == (f"logs/{UUID.format(7)}.json", "too-large")
    record_counts(1, imported=3, named=1)


@pytest.mark.proof("mm import of a file with a line of gigabytes, in 1.5 GB of memory")
@pytest.mark.parametrize("name", ["logs.ndjson", "logs.csv"])
def test_a_huge_line_is_named_and_the_lines_before_it_are_imported(
    tmp_path, sqlite_database_url, name, extent, record_counts
):
    line = {"uuid": UUID.format(1), "machine": "Saw", "type": "info", "started_at": "2025-01-01T00:00:00Z"}
    begin = {
        "logs.ndjson": json.dumps(line) + "\n",
        "logs.csv": ",".join(line) + "\n" + ",".join(line.values()) + "\n",
    }[name]
    sparse(tmp_path / name, extent(short=2 * 1024**3, long=HUGE_BYTES), begin.encode())
    report = run(tmp_path, sqlite_database_url, "import", name)
    assert (report["logs"]["created"], report["logs"]["rejected"]) == (1, 1)
    (fault,) = [problem for problem in report["problems"] if problem["level"] == "error"]
    assert (fault["code"], "too long" in fault["message"]) == ("row-shape", True)
    record_counts(1, imported=1, named=1)
