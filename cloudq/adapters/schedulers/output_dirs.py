"""The directories inside the work directory that a user's ``-o`` and ``-e`` name, and that cloudq creates.

A new work directory cannot contain them, no scheduler creates them, and a job whose output file cannot be
opened fails before its script starts. Nothing is ever created outside the work directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

from cloudq.adapters.filesystem import is_full
from cloudq.domain.errors import SubmitDeferred, SubmitRefused
from cloudq.domain.scripts.array_range import ArrayRange

_MOST_DIRECTORIES = 20_000
_MOST_DIGITS = 10
"""The number of digits up to which Slurm pads a number."""


class _NotKnownYet(Exception):
    """Raised if a part of the name is known only once the job has its id."""


@frozen
class OutputNames:
    """The placeholders that a scheduler fills in itself, such as ``%j`` or ``$JOB_ID``."""

    placeholder: re.Pattern[str]
    """Has a group *name*, and may have a group *width*, the minimum number of digits of a task id."""
    known: Mapping[str, str]
    task: frozenset[str]
    """Names that stand for the task id."""

    def directories(self, path: str, array: ArrayRange | None) -> Iterator[str]:
        """Yield the directories of *path*, one per task if necessary. Raises `_NotKnownYet`."""
        directory = path.rpartition("/")[0]  # ``logs`` for ``logs/``
        names = {match["name"] for match in self.placeholder.finditer(directory)}
        if array is None or not names & self.task:
            yield self._filled(directory, None)
            return
        if len(array) > _MOST_DIRECTORIES:
            raise SubmitRefused(
                f"{path}: each of {len(array)} tasks would need a directory, but cloudq creates at most "
                f"{_MOST_DIRECTORIES}; put the task id into the file name instead"
            )
        for task in array:
            yield self._filled(directory, task)

    def _filled(self, text: str, task: int | None) -> str:
        def value(match: re.Match[str]) -> str:
            name = match["name"]
            if name in self.task and task is not None:
                return str(task).zfill(min(int((match.groupdict().get("width") or "0")[:4]), _MOST_DIGITS))
            if name not in self.known:
                raise _NotKnownYet
            return self.known[name]

        return self.placeholder.sub(value, text)


@frozen
class OutputDirs:
    """The rules by which the directories of one submission are found."""

    work_dir: Path
    start_dir: str
    """The directory where the job starts; relative names are relative to it."""
    names: OutputNames
    array: ArrayRange | None = field(default=None)

    def needed(self, paths: Mapping[str, str]) -> tuple[str, ...]:
        """Return the directories that *paths*, by option, need inside the work directory, relative to it.

        Raises `SubmitRefused` for a directory whose name contains a value that only the scheduler knows,
        such as the job's id.
        """
        needed: dict[str, None] = {}
        for option, path in paths.items():
            try:
                for directory in self.names.directories(path, self.array):
                    needed |= dict.fromkeys(self._inside(directory))
            except _NotKnownYet:
                self._refuse_inside(option, path)
        return tuple(needed)

    def _refuse_inside(self, option: str, path: str) -> None:
        first = self.names.placeholder.search(path)
        if first is not None and self._is_inside(path[: first.start()]):
            raise SubmitRefused(
                f"{option} {path}: {first[0]} is in the name of a directory that does not exist, and its "
                "value is unknown before the job is submitted; put it into the file name instead"
            )

    def _is_inside(self, directory: str) -> bool:
        return self._relative(directory).split("/", 1)[0] != ".."

    def _inside(self, directory: str) -> Iterator[str]:
        """Yield *directory* relative to the work directory, if it is a directory below it."""
        relative = self._relative(directory)
        if relative != "." and self._is_inside(directory):
            yield relative

    def _relative(self, directory: str) -> str:
        whole = os.path.normpath(self.work_dir / self.start_dir / directory)
        return os.path.relpath(whole, self.work_dir)


def make_output_dir(work_dir: Path, relative: str) -> None:
    """Create the directory *relative* inside *work_dir*. Raises `SubmitDeferred` if the disk is full."""
    place = work_dir
    for part in relative.split("/"):
        place = place / part
        if place.is_symlink():  # it may lead out of the work directory, where nothing is created
            return
        try:
            place.mkdir(exist_ok=True)
        except OSError as error:
            if is_full(error):
                raise SubmitDeferred(f"no space to make {place}: {error}") from error
            return  # the scheduler will report the error
