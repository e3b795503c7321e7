"""Tables on a real terminal: a pseudo-terminal of a chosen size, on which the commands run as processes."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import define, field
from rich.cells import cell_len

from tests.parts.faulty_proxy import faulty_way_to
from tests.parts.s3_services import BUCKET, S3Service
from tests.parts.site import Site

WITHIN_S = 60.0
NAME = "計算を実行する長い名前のスクリプト-with-a-very-long-name.sh"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@define
class Terminal:
    """A pseudo-terminal on which one command runs."""

    process: subprocess.Popen[bytes]
    master: int
    text: str = field(default="", init=False)

    def read_until(self, wanted: str) -> None:
        """Read what the command shows until *wanted* was shown."""
        give_up = time.monotonic() + WITHIN_S
        while wanted not in self.text:
            assert time.monotonic() < give_up, self.text
            self._read(1.0)

    def ended(self) -> tuple[int, str]:
        """Wait until the command has ended; return its status and everything that it showed."""
        give_up = time.monotonic() + WITHIN_S
        while self.process.poll() is None:
            assert time.monotonic() < give_up, self.text
            self._read(0.2)
        while self._read(0.2):
            pass
        return self.process.returncode, self.text.replace("\r\n", "\n")

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # Linux: the other side is closed
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)


@contextmanager
def on_terminal(
    site: Site, *words: str, columns: int = 80, lines: int = 30, **more: str
) -> Iterator[Terminal]:
    """Run a command of the client on a terminal, with *more* variables; end it if the test did not."""
    chosen_by_users = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    usual = {name: value for name, value in site.environment().items() if name not in chosen_by_users}
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "cloudq.entrypoints.cloudqcli", *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**usual, "TERM": "xterm-256color", **more},
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def submit(site: Site, name: str = NAME) -> str:
    """Submit a job that no agent takes; return its id."""
    script = site.script("#!/bin/bash\n", name)
    submitted = site.run("cloudqcli", "submit", "--script", str(script), "--submit_to", "local", "--force")
    assert submitted.returncode == 0, submitted.stderr
    return submitted.stdout[5:13]


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_no_line_of_a_table_is_wider_than_the_terminal(local_site: Site, columns: int) -> None:
    job_id = submit(local_site)
    with on_terminal(local_site, "list", columns=columns) as terminal:
        status, shown = terminal.ended()
    lines = CONTROL.sub("", shown).splitlines()

    assert status == 0
    assert "\x1b[33mINIT" in shown
    assert [line for line in lines if line.startswith(job_id)] != []
    assert max(map(cell_len, lines)) <= columns


def test_no_color_turns_colours_off(local_site: Site) -> None:
    submit(local_site)
    with on_terminal(local_site, "list", NO_COLOR="1") as terminal:
        _, shown = terminal.ended()

    assert "INIT" in shown
    assert "\x1b[33m" not in shown


def test_pipe_gets_the_original_s_table_though_stderr_is_a_terminal(local_site: Site) -> None:
    submit(local_site)
    piped = local_site.run("cloudqcli", "list").stdout
    master, slave = os.openpty()
    try:
        beside_a_terminal = subprocess.run(
            [sys.executable, "-m", "cloudq.entrypoints.cloudqcli", "list"],
            env={**local_site.environment(), "FORCE_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=slave,
            check=True,
        )
    finally:
        os.close(slave)
        os.close(master)

    assert piped.startswith("      job-ID                  name     state  run-system            submit at\n")
    assert beside_a_terminal.stdout.decode() == piped


def test_terminal_that_does_not_use_utf_8_shows_the_table(local_site: Site) -> None:
    submit(local_site, "a" * 100 + ".sh")
    with on_terminal(local_site, "list", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0") as terminal:
        status, shown = terminal.ended()

    assert status == 0
    assert "aaaaaaaaaaaa  " in shown
    assert "u2026" not in shown


def test_ctrl_c_leaves_the_live_table_on_the_screen(local_site: Site) -> None:
    first = submit(local_site)
    with on_terminal(local_site, "watch", "--interval", "1") as terminal:
        terminal.read_until("1 unfinished")
        second = submit(local_site)
        terminal.read_until("2 unfinished")
        terminal.process.send_signal(signal.SIGINT)
        status, shown = terminal.ended()

    last = shown.rpartition("unfinished")[2]
    assert status == 0
    assert first in last
    assert second in last
    assert "Traceback" not in shown


def test_live_table_survives_an_outage_of_the_store(moto_service: S3Service, tmp_path: Path) -> None:
    bucket = {"CLOUDQ_STORE_BUCKET": BUCKET, "CLOUDQ_STORE_PREFIX": tmp_path.name}
    with faulty_way_to(moto_service, 0.0, 0) as way:
        way_there = {"CLOUDQ_STORE_ENDPOINT_URL": way.service.endpoint_url}
        site = Site(tmp_path, moto_service.environment() | bucket | way_there)
        submit(site)
        with on_terminal(site, "watch", "--interval", "1", columns=120) as terminal:
            terminal.read_until("1 unfinished")
            way.goes_down()
            terminal.read_until("No answer from the store for")
            way.comes_back()
            submit(site)
            terminal.read_until("2 unfinished")
            terminal.process.send_signal(signal.SIGINT)
            status, _ = terminal.ended()

    assert status == 0


def test_findings_of_the_doctor_continue_below_their_beginning(local_site: Site) -> None:
    with on_terminal(local_site, "doctor", columns=60) as terminal:
        status, shown = terminal.ended()
    lines = [line.rpartition("\r")[2].rstrip() for line in CONTROL.sub("", shown).splitlines()]
    beginning = lines.index("ok             listing               a LIST shows writes and")

    assert status == 0
    assert lines[beginning + 1].strip() == "deletions immediately"
    assert lines[beginning + 1].startswith(" " * 37)
    assert max(map(cell_len, lines)) <= 60
