"""The units of docs/deploy are valid, and their commands serve and back up a database in the folders that they name."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from servers import environment, free_port, status

DEPLOY = Path(__file__).parents[1] / "docs/deploy"
SERVICE, BACKUP, TIMER = (f"machine-monitor{suffix}" for suffix in (".service", "-backup.service", "-backup.timer"))
REPORT, REPORT_TIMER = "machine-monitor-report.service", "machine-monitor-report.timer"
START_SECONDS = 60


def settings(unit: str) -> list[tuple[str, str, str]]:
    """Return the section, the name and the value of each line of a unit file."""
    found, section = [], ""
    for line in (DEPLOY / unit).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.append((section, name, value))
    return found


class Host:
    """A folder that stands for the file system of a server, and this Python for the installed one."""

    def __init__(self, root: Path) -> None:
        self.places = {
            "/opt/machine-monitor/bin": str(Path(sys.executable).parent),
            "/etc/machine-monitor.env": str(DEPLOY / "machine-monitor.env"),
            "/var/lib": str(root),
        }
        self.state = root / "machine-monitor"
        self.backups = root / "machine-monitor-backups"

    def local(self, text: str) -> str:
        for place, path in self.places.items():
            text = text.replace(place, path)
        return text

    def commands(self, unit: str) -> dict[str, list[str]]:
        """Return the words of each command of a service, as systemd reads them."""
        pairs = [(name, value) for _, name, value in settings(unit) if name.startswith("Exec")]
        return {name: shlex.split(self.local(value).replace("$$", "$").replace("%%", "%")) for name, value in pairs}

    def start(self, unit: str, name: str, **variables: str) -> subprocess.Popen:
        """Start a command with the folders, the working directory and the environment of its unit."""
        values = {name: self.local(value) for _, name, value in settings(unit)}
        for folder in values["StateDirectory"].split():
            (self.state.parent / folder).mkdir(exist_ok=True)
        given = re.findall(r"^(\w+)=(.*)$", self.local(Path(values["EnvironmentFile"]).read_text()), re.MULTILINE)
        return subprocess.Popen(
            self.commands(unit)[name],
            cwd=values["WorkingDirectory"],
            env={**environment(), **dict(given), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, unit: str, name: str) -> None:
        process = self.start(unit, name)
        output, _ = process.communicate(timeout=START_SECONDS)
        assert process.returncode == 0, output


@pytest.mark.slow
def test_the_units_serve_and_back_up(tmp_path):
    host, port = Host(tmp_path), free_port()
    host.run(SERVICE, "ExecStartPre")
    with host.start(SERVICE, "ExecStart", MM_PORT=str(port)) as serving:
        end = time.monotonic() + START_SECONDS
        while status(port, "/readyz") != 200:
            assert serving.poll() is None, serving.stdout.read()
            assert time.monotonic() < end
            time.sleep(0.05)
        for _ in range(2):
            host.run(BACKUP, "ExecStart")
            host.run(REPORT, "ExecStart")
        serving.terminate()
    assert [path.name for path in host.state.iterdir() if path.suffix == ".db"] == ["machine-monitor.db"]
    assert [path.name for path in (tmp_path / "machine-monitor-reports").iterdir()] == ["week.html"]
    backup, manifest = sorted(path.name for path in host.backups.iterdir())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\.backup", backup)
    assert manifest == f"{backup}.json"


def test_a_backup_deletes_only_old_backups(tmp_path):
    host = Host(tmp_path)
    host.backups.mkdir()
    now = time.time()
    old, young = "2026-01-31.backup", "2026-02-03.backup"
    for name, days in (
        *((f"{old}{ending}", 32) for ending in ("", ".json", ".files")),
        *((f"{young}{ending}", 29) for ending in ("", ".json", ".files")),
        ("by-hand.backup", 400),
        ("notes.txt", 400),
    ):
        path = host.backups / name
        if name.endswith(".files"):
            (path / "ab/cd").mkdir(parents=True)
            (path / "ab/cd/abcd").touch()
        else:
            path.touch()
        os.utime(path, (now - days * 86_400,) * 2)
    host.run(BACKUP, "ExecStartPost")
    left = {young, f"{young}.json", f"{young}.files", "by-hand.backup", "notes.txt"}
    assert {path.name for path in host.backups.iterdir()} == left
    assert (host.backups / f"{young}.files/ab/cd/abcd").exists()


@pytest.mark.parametrize(("timer", "calendar"), [(TIMER, "*-*-* 02:30:00"), (REPORT_TIMER, "Mon *-*-* 06:00:00")])
def test_a_timer_starts_the_service_of_its_name(timer, calendar):
    found = settings(timer)
    assert [value for part, name, value in found if (part, name) == ("Timer", "OnCalendar")] == [calendar]
    assert ("Timer", "Persistent", "true") in found
    assert ("Install", "WantedBy", "timers.target") in found
    # Without `Unit`, systemd starts the service of the same name.
    assert "Unit" not in {name for part, name, _ in found if part == "Timer"}
    assert (DEPLOY / timer).with_suffix(".service").exists()


def test_the_service_and_the_backup_timer_are_enabled():
    installed = {unit: value for unit in (SERVICE, TIMER) for part, _, value in settings(unit) if part == "Install"}
    assert installed == {SERVICE: "multi-user.target", TIMER: "timers.target"}
    page = (DEPLOY / "site.md").read_text()
    assert f"systemctl enable --now {SERVICE} {TIMER}" in page


@pytest.mark.parametrize("unit", [SERVICE, BACKUP, REPORT])
def test_units_run_as_a_user_who_can_write_only_the_folders_of_the_service(unit):
    values = {name: value for _, name, value in settings(unit)}
    assert values["User"] == "machines"
    assert "useradd --system" in (DEPLOY / "site.md").read_text()
    assert (values["ProtectSystem"], values["UMask"], values["NoNewPrivileges"]) == ("strict", "0077", "yes")


@pytest.mark.outside
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd: apt-get install systemd")
def test_systemd_accepts_the_units(tmp_path):
    host = Host(tmp_path)
    units = (SERVICE, BACKUP, TIMER, REPORT, REPORT_TIMER)
    for unit in units:
        (tmp_path / unit).write_text(host.local((DEPLOY / unit).read_text()))
    command = ["systemd-analyze", "verify", "--man=no", *(tmp_path / unit for unit in units)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / SERVICE).write_text("[Service]\nExecStart=relative\nRestart=sometimes\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
