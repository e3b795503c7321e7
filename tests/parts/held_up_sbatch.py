"""Put an ``sbatch`` before the real one, which holds up the first submission of chosen jobs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.parts.site import Site, wait_until

# Each job has its files here, named after its claim. To hold up a submission, a test creates a file that
# names how.
HANGS = "hangs"
"""The command waits and submits in the end, unless it is ended before."""
LATE = "late"
"""The command seems to hang forever; its request arrives although the command was ended."""

_SBATCH = """\
#!/bin/sh
real={real} go={folder}/go.
for job_shell; do :; done
tag=$(basename "$(dirname "$job_shell")")
if mv "{folder}/hangs.$tag" "{folder}/met.$tag" 2>/dev/null; then
    while ! [ -e "$go$tag" ]; do sleep 0.1; done
elif mv "{folder}/late.$tag" "{folder}/met.$tag" 2>/dev/null; then
    setsid sh -c 'while ! [ -e "$0" ]; do sleep 0.1; done; exec "$@"' "$go$tag" "$real" "$@" >/dev/null 2>&1 &
    exec sleep 600
fi
exec "$real" "$@"
"""


class HeldUpSbatch:
    """The ``sbatch`` that the agents of *site* find on their PATH from now on."""

    def __init__(self, site: Site) -> None:
        self._folder = site.root / "sbatch"
        self._folder.mkdir()
        path = self._folder / "sbatch"
        path.write_text(_SBATCH.format(real=shutil.which("sbatch"), folder=self._folder))
        path.chmod(0o755)
        site.variables["PATH"] = f"{self._folder}{os.pathsep}{os.environ['PATH']}"

    def hold_up(self, job_id: str, how: str) -> None:
        """Hold up the first submission of a job."""
        self._file(how, job_id).touch()

    def wait_until_met(self, *job_ids: str) -> None:
        """Wait until all these jobs are held up."""
        wait_until(lambda: all(self._file("met", job_id).exists() for job_id in job_ids))

    def let_go(self, *job_ids: str) -> None:
        """Let the submissions of these jobs continue."""
        for job_id in job_ids:
            self._file("go", job_id).touch()

    def _file(self, what: str, job_id: str) -> Path:
        return self._folder / f"{what}.{job_id}.1"
