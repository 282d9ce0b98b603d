"""The Tab key completes commands, options and values."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from machine_monitor.models import RESOURCES
from servers import environment


@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        (["se"], ["serve"]),
        (["serve", "--wo"], ["--workers"]),
        (["user", "add", "ADM", "--role", "su"], ["supervisor"]),
        (["export", "x.csv", "--resource", ""], [each.name for each in RESOURCES]),
        (["export", "x.csv", "--dialect", "e"], ["excel"]),
    ],
)
def test_commands_options_and_values_are_completed(mm, monkeypatch, typed, completions):
    monkeypatch.setenv("_MM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(["mm", *typed]))
    monkeypatch.setenv("COMP_CWORD", str(len(typed)))
    code, out, _ = mm()
    assert code == 0
    assert sorted(out.split()) == sorted(completions)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_after_the_installation(tmp_path):
    variables = environment() | {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}

    def bash(script: str) -> str:
        done = subprocess.run(["bash", "-c", script], env=variables, capture_output=True, text=True, check=False)  # noqa: S607 -- the one on the PATH
        assert done.returncode == 0, done.stderr
        return done.stdout

    # The command detects the shell from its parent process. Bash would replace itself by its last command.
    bash("mm --install-completion; exit $?")
    assert (
        bash('. ~/.bashrc; COMP_WORDS=(mm bac); COMP_CWORD=1; _mm_completion mm; echo "${COMPREPLY[@]}"') == "backup\n"
    )
