"""A store out of reach, as a person at a terminal sees it: a line after two seconds, not 21 s of silence."""

from __future__ import annotations

import os
import pty
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.commands import ROOT

KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "NO_PROXY": "*"}


@pytest.fixture(params=["refuses", "is silent"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address that refuses connections, or at which no answer ever comes."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        if request.param == "is silent":
            port.listen(64)
        yield f"http://127.0.0.1:{port.getsockname()[1]}"


def environment(address: str, home: Path) -> dict[str, str]:
    store = {"CLOUDQ_STORE_ENDPOINT_URL": address, "CLOUDQ_STORE_BUCKET": "my-jobs"}
    return {**os.environ, **KEYS, **store, "CLOUDQ_HOME": str(home), "PYTHONPATH": str(ROOT)}


COMMAND = [sys.executable, "-m", "cloudq.entrypoints.cloudqcli", "stat", "3f7e7681"]


def test_terminal_shows_within_seconds_that_the_store_is_tried_again(address: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    began = time.monotonic()
    process = subprocess.Popen(
        COMMAND, env=environment(address, tmp_path), stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    screen, seen_at = "", 0.0
    try:
        while piece := read_terminal(ours):
            screen += piece
            if "trying again" in screen and not seen_at:
                seen_at = time.monotonic() - began
        process.wait(60)
    finally:
        process.kill()
        os.close(ours)

    assert process.returncode == 4, screen
    assert 2.0 <= seen_at < 6.0, screen
    assert screen.count("trying again") == 1, screen


def read_terminal(terminal: int) -> str:
    """Return what a program writes to its terminal next; an empty text at the end, or after a minute."""
    if not select.select([terminal], [], [], 60)[0]:
        return ""
    try:
        return os.read(terminal, 4096).decode()
    except OSError:  # Linux ends a terminal without a writer in this way
        return ""


def test_a_pipe_gets_the_error_alone(address: str, tmp_path: Path) -> None:
    result = subprocess.run(
        COMMAND, env=environment(address, tmp_path), capture_output=True, text=True, timeout=90, check=False
    )

    assert (result.returncode, result.stdout) == (4, "")
    assert "trying again" not in result.stderr
    assert all(line.startswith("cloudqcli: ") for line in result.stderr.splitlines())
