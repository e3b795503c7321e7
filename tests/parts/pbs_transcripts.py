"""Read what a real OpenPBS 23.06 printed (``tests/cases/pbs``), one command at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from cloudq.adapters.process import Finished

FOLDER = Path(__file__).parents[1] / "cases" / "pbs"
OWNER = "alice"


@frozen
class Transcript:
    """One command as a user typed it, and its result."""

    command: str
    stdout: str
    stderr: str
    status: int

    @property
    def finished(self) -> Finished:
        """Return the same result as that of a command that cloudq ran."""
        return Finished(self.status, self.stdout, self.stderr)


def transcripts(number: int) -> tuple[Transcript, ...]:
    """Return all commands of one file, in order."""
    (path,) = FOLDER.glob(f"{number:02}-*.txt")
    return tuple(_read(path.read_text()))


def transcript(number: int, command: str, nth: int = 0) -> Transcript:
    """Return the *nth* command of a file that begins with *command*; -1 is the last one."""
    return [each for each in transcripts(number) if each.command.startswith(command)][nth]


def all_of(command: str) -> tuple[Transcript, ...]:
    """Return every use of *command* in all files."""
    numbers = sorted(int(path.name[:2]) for path in FOLDER.glob("*.txt"))
    each_file = (transcripts(number) for number in numbers)
    return tuple(each for found in each_file for each in found if each.command.startswith(f"{command} "))


def _read(text: str) -> Iterator[Transcript]:
    command, out, err = "", "", ""
    for line in text.split("\n"):
        if line.startswith("$ "):
            command, out, err = line[2:], "", ""
        elif line.startswith("[stderr] "):
            err += line.removeprefix("[stderr] ") + "\n"
        elif line.startswith("[exit ") and command:
            yield Transcript(command, out, err, int(line[6:-1]))
            command = ""
        elif command and not line.startswith("# "):
            out += line + "\n"
