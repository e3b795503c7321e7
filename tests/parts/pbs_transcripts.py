"""What a real OpenPBS 23.06 printed (``tests/cases/pbs``), one command at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from cloudq.adapters.process import Finished

FOLDER = Path(__file__).parents[1] / "cases" / "pbs"
OWNER = "alice"


@frozen
class Transcript:
    """One command, as somebody typed it, and what came of it."""

    command: str
    stdout: str
    stderr: str
    status: int

    @property
    def finished(self) -> Finished:
        """The same as a command of ours would have ended."""
        return Finished(self.status, self.stdout, self.stderr)


def transcripts(number: int) -> tuple[Transcript, ...]:
    """All commands of one file, in their order."""
    (path,) = FOLDER.glob(f"{number:02}-*.txt")
    return tuple(_read(path.read_text()))


def transcript(number: int, command: str, nth: int = 0) -> Transcript:
    """The *nth* command of a file that begins like *command*; -1 is the last one."""
    return [each for each in transcripts(number) if each.command.startswith(command)][nth]


def all_of(command: str) -> tuple[Transcript, ...]:
    """Every use of *command* in all files."""
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
