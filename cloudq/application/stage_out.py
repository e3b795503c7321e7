"""Get a job's files out of the bucket into a directory of one's own."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from cloudq.domain.errors import TargetExists
from cloudq.domain.job import Job
from cloudq.ports.archives import Archives
from cloudq.ports.job_repository import JobFiles

ARCHIVES = {"input.zip": "input", "output.zip": "output"}
"""What is unpacked, and into which directory."""


@frozen
class StageOut:
    """Downloads script, inputs, outputs and logs into ``<into>/<id>``, overwriting nothing."""

    files: JobFiles
    archives: Archives

    def __call__(self, job: Job, into: Path) -> Path:
        """Return the new directory; it appears whole or not at all.

        Raises `TargetExists`.
        """
        target = into / job.uuid
        if target.exists() or target.is_symlink():
            raise TargetExists(f"{target} exists already: move it away, or choose another place with --into.")
        self.files.download_all(job, target, self._unpack)
        return target

    def _unpack(self, downloaded: Path) -> None:
        for name, directory in ARCHIVES.items():
            if (downloaded / name).is_file():
                self.archives.extract(downloaded / name, downloaded / directory)
                (downloaded / name).unlink()
