"""Provide one state file, and faults on demand, to the stand-ins for a scheduler's commands.

The commands are separate processes, which import only the standard library.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def opened_state(home: Path) -> Iterator[dict[str, Any]]:
    """Lock the state for this process alone, yield it, and write it back at the end."""
    with (home / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = home / "state.json"
        state = json.loads(path.read_text())
        yield state
        new = home / "state.new"
        new.write_text(json.dumps(state))
        new.replace(path)


def make_commands(folder: Path, script: Path, names: tuple[str, ...]) -> None:
    """Write executables into *folder* that run *script* under the names of a scheduler's commands."""
    folder.mkdir(parents=True)
    for name in names:
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{script}" {name} "$@"\n')
        path.chmod(0o755)


class FakeScheduler:
    """The test's side: the state that the commands share, and the place of the commands."""

    def __init__(self, home: Path, script: Path, names: tuple[str, ...], state: dict[str, Any]) -> None:
        self.home = home
        self._names = names
        self._bin = home / "bin"
        make_commands(self._bin, script, names)
        common = {"next": 1, "jobs": {}, "faults": {}, "away": {}, "calls": {}}
        (home / "state.json").write_text(json.dumps(common | state))

    @property
    def path(self) -> str:
        """Return a PATH on which the stand-ins come first."""
        return f"{self._bin}{os.pathsep}{os.environ['PATH']}"

    def state(self) -> AbstractContextManager[dict[str, Any]]:
        """Open the whole state to read and change it."""
        return opened_state(self.home)

    def set(self, **changes: Any) -> None:
        """Change settings."""
        with self.state() as state:
            state.update(changes)

    def next_fails(self, command: str, *faults: dict[str, Any]) -> None:
        """Set the faults of the next calls of *command*, one for each call."""
        with self.state() as state:
            state["faults"].setdefault(command, []).extend(faults)

    def goes_away(self, fault: dict[str, Any], *commands: str) -> None:
        """Set the fault of every call of *commands* (default: all) until `comes_back`."""
        self.set(away=dict.fromkeys(commands or self._names, fault))

    def comes_back(self) -> None:
        """End the fault of `goes_away`."""
        self.set(away={})

    def asked(self, command: str) -> list[list[str]]:
        """Return the words of every call of *command* so far."""
        with self.state() as state:
            return list(state["calls"].get(command, []))

    def calls(self, command: str, *words: str) -> int:
        """Return the number of calls of *command* whose words include all of *words*."""
        return sum(set(words) <= set(call) for call in self.asked(command))

    def reset(self) -> None:
        """Make the scheduler lose its jobs but keep the accounts; ids start again from 1."""
        self.set(next=1, jobs={})

    def wait_until(self, is_so: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until *is_so* is true of the jobs."""
        ends = time.monotonic() + 30
        while True:
            with self.state() as state:
                if is_so(state["jobs"]):
                    return
            assert time.monotonic() < ends
            time.sleep(0.02)


def run_command(
    home: Path, commands: Mapping[str, Callable[[list[str]], int]], name: str, words: list[str]
) -> int:
    """Play one command, or the next fault that a test requested."""
    if words[-1:] == ["--version"]:
        print("a stand-in 1.0")
        return 0
    with opened_state(home) as state:
        state["calls"].setdefault(name, []).append(words)
        waiting = state["faults"].get(name, [])
        fault = waiting.pop(0) if waiting else state["away"].get(name, {})
    return FAULTS[fault.get("do", "")](fault, lambda: commands[name](words))


def _fail(fault: dict[str, Any], do: Callable[[], int]) -> int:
    print(fault.get("prints", ""), end="")
    print(fault["words"], file=sys.stderr)
    return int(fault.get("status", 1))


def _nothing(fault: dict[str, Any], do: Callable[[], int]) -> int:
    return 0


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
    "nothing": _nothing,
    "hang": _hang,
    "late": _late,
    "answer lost": _answer_lost,
}
