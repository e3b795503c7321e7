"""The examples as a newcomer runs them: real processes, a fresh home, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.commands import Home

ROOT = Path(__file__).parents[2]


def test_the_demonstration_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    """The job is DONE and its output is on the screen; the agent and the directory are gone."""
    ended = subprocess.run(
        [sys.executable, "examples/demo.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "4 squared is 16" in ended.stdout
    assert "$ cloudqcli submit --script examples/ljob_array.local.sh --submit_to local" in ended.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_demonstration_notices_when_something_is_wrong(tmp_path: Path) -> None:
    """An unexpected result is reported, and the agent is stopped anyway."""
    broken = tmp_path / "examples"
    broken.mkdir()
    for example in (ROOT / "examples").iterdir():
        if example.is_file():
            (broken / example.name).write_bytes(example.read_bytes())
    (broken / "ljob_array.local.sh").write_text("#!/bin/bash\nexit 3\n")
    ended = subprocess.run(
        [sys.executable, str(broken / "demo.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr == "demo: the job is ERROR, not DONE\n"
    assert "$ cloudqd --stop\nThe agent of local has ended" in ended.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["examples"]


@pytest.mark.usefixtures("running_agent")
def test_a_program_submits_waits_and_reads(home: Home) -> None:
    """``examples/library.py`` with the store that the configuration names."""
    ended = home.run(str(ROOT / "examples" / "library.py"))
    first, second = ended.stdout.splitlines()

    assert (ended.returncode, ended.stderr) == (0, "")
    assert first.endswith("ended on local: DONE, exit code 0")
    assert second.startswith("Hello from ")
