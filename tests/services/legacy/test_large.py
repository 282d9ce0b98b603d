"""A large legacy folder is read once, with little memory."""

import json
import subprocess
import sys

import pytest

FILES = 20_000
MEASURE = """
import json, re, sys
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo
from machine_monitor.database.connect import Database
from machine_monitor.services import legacy

source = Path(sys.argv[1])
opened = Counter()
def watch(event, arguments):
    if event == "open" and str(arguments[0]).startswith(str(source)):
        opened[str(arguments[0])] += 1

def megabytes():
    # The peak memory so far, from /proc; the value of `resource` would include the parent process.
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

database = Database(sys.argv[2])
before = megabytes()
sys.addaudithook(watch)
report = legacy.sync(database, source, ZoneInfo("UTC"))
database.close_writer()
print(json.dumps({"created": report.counts["logs"]["created"], "files": len(opened), "most": max(opened.values()),
                  "megabytes": megabytes() - before}))
"""


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_twenty_thousand_files_are_read_once_in_little_memory(tmp_path, sqlite_database_url):
    logs = tmp_path / "legacy" / "logs"
    logs.mkdir(parents=True)
    for number in range(FILES):
        log = {"machineName": f"m {number % 7}", "type": "info", "comment": f"the comment of log {number}", "cost": "1"}
        log |= {"timeStamp": f"2025_01_{number % 28 + 1:02}__10_00_00", "userName": "ab", "project": "P"}
        (logs / f"00000000-0000-4000-8000-{number:012}.json").write_text(json.dumps(log))
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "legacy"), sqlite_database_url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert (report["created"], report["files"], report["most"]) == (FILES, FILES, 1)
    assert report["megabytes"] < 100
