"""What stand-ins for a scheduler's commands share: one state file, and faults on demand.

Run with nothing but the standard library, by commands that are processes of their own.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def opened_state(home: Path) -> Iterator[dict[str, Any]]:
    """The state, for this process alone, written back at the end."""
    with (home / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = home / "state.json"
        state = json.loads(path.read_text())
        yield state
        new = home / "state.new"
        new.write_text(json.dumps(state))
        new.replace(path)


def make_commands(folder: Path, script: Path, names: tuple[str, ...]) -> None:
    """Executables in *folder* that run *script* under the names of a scheduler's commands."""
    folder.mkdir(parents=True)
    for name in names:
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{script}" {name} "$@"\n')
        path.chmod(0o755)


def run_command(
    home: Path, commands: Mapping[str, Callable[[list[str]], int]], name: str, words: list[str]
) -> int:
    """Play one command, or the next fault that a test asked for."""
    with opened_state(home) as state:
        state["calls"].setdefault(name, []).append(words)
        waiting = state["faults"].get(name, [])
        fault = waiting.pop(0) if waiting else {}
    return FAULTS[fault.get("do", "")](fault, lambda: commands[name](words))


def _fail(fault: dict[str, Any], do: Callable[[], int]) -> int:
    print(fault["words"], file=sys.stderr)
    return int(fault.get("status", 1))


def _garbage(fault: dict[str, Any], do: Callable[[], int]) -> int:
    print("\x1b[1mWelcome to the cluster\x00|||\nMOTD ..." * 3)
    return 0


def _hang(fault: dict[str, Any], do: Callable[[], int]) -> int:
    time.sleep(fault["seconds"])
    return 1


def _late(fault: dict[str, Any], do: Callable[[], int]) -> int:
    time.sleep(fault["seconds"])
    return do()


def _answer_lost(fault: dict[str, Any], do: Callable[[], int]) -> int:
    sys.stdout = open(os.devnull, "w")
    do()
    return _fail(fault, do)


FAULTS: dict[str, Callable[[dict[str, Any], Callable[[], int]], int]] = {
    "": lambda _fault, do: do(),
    "fail": _fail,
    "garbage": _garbage,
    "hang": _hang,
    "late": _late,
    "answer lost": _answer_lost,
}
