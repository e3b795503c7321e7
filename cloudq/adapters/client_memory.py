"""A client's memory as small files in the user's home: ``last.<host>``, ``jobs`` and ``systems``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path
from tempfile import mkstemp

from attrs import frozen

from cloudq.domain.errors import InvalidInput
from cloudq.domain.names import checked_system, is_job_id

MAX_JOBS = 500
MAX_SYSTEMS = 500


def memory_directory(home: Path, store: str) -> Path:
    """Return the directory for the memory of the bucket that *store* describes."""
    return home / "recent" / sha256(store.encode()).hexdigest()[:16]


@frozen
class FileClientMemory:
    """The port `ClientMemory` over files, each of which is replaced as a whole.

    A home may be shared by several machines, so each has its own file for the job that it submitted last.
    """

    directory: Path
    host: str

    def note_submission(self, job_id: str) -> None:
        """Replace ``last.<host>``, and put the job before the others in ``jobs``."""
        self._write(self._last, [job_id])
        self.note_jobs([job_id])

    def last_submission(self) -> str | None:
        """Return the id in ``last.<host>``."""
        return next(iter(self._lines(self._last, is_job_id)), None)

    def note_jobs(self, job_ids: Iterable[str]) -> None:
        """Put the jobs before those that ``jobs`` has."""
        jobs = dict.fromkeys([*islice(job_ids, MAX_JOBS), *self.jobs()])
        self._write("jobs", list(jobs)[:MAX_JOBS])

    def jobs(self) -> Sequence[str]:
        """Return the ids in ``jobs``."""
        return self._lines("jobs", is_job_id)

    def note_systems(self, systems: Iterable[str]) -> None:
        """Add the systems to ``systems`` unless all are there."""
        known = set(self.systems())
        if new := set(systems) - known:
            self._write("systems", sorted(known | new)[:MAX_SYSTEMS])

    def systems(self) -> Sequence[str]:
        """Return the names in ``systems``."""
        return self._lines("systems", _is_system)

    @property
    def _last(self) -> str:
        """The name of the file for this host, without characters that no file name may have."""
        return "last." + "".join(char for char in self.host if char.isalnum() or char in "-.")

    def _lines(self, name: str, is_valid: Callable[[str], bool]) -> list[str]:
        try:
            content = (self.directory / name).read_text(errors="replace")
        except OSError:
            return []
        return list(filter(is_valid, content.splitlines()))

    def _write(self, name: str, lines: Sequence[str]) -> None:
        """Replace a file. It is not synchronized to disk, which would take longer than it is worth."""
        with suppress(OSError):  # a full disk or a read-only home must not fail a command
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = mkstemp(prefix=f".{name}.", dir=self.directory)
            try:
                with os.fdopen(handle, "w") as file:
                    file.writelines(f"{line}\n" for line in lines)
                Path(temporary).replace(self.directory / name)
            except OSError:
                Path(temporary).unlink(missing_ok=True)
                raise


def _is_system(text: str) -> bool:
    try:
        return bool(checked_system(text))
    except InvalidInput:
        return False
