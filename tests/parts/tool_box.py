"""Provide a job's commands on a PATH that the test chooses, with stand-ins for container runtimes.

A stand-in records its arguments. ``pull`` writes a file after a moment; ``exec`` and ``run`` run their
command in a sandbox, if there is one, and otherwise do nothing.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from attrs import define, field

from cloudq.adapters.job_tools import install_job_tools

WITHIN_S = 60

NEEDED = (
    "awk", "bash", "cat", "df", "dirname", "find", "flock", "id", "ln", "ls", "mkdir", "mv", "rm",
    "sha256sum", "sleep", "sync", "touch", "uname", "wc",
)  # fmt: skip

STAND_IN = """\
#!/bin/bash
{{
    printf '%s' "${{0##*/}}"
    printf ' <%s>' "$@"
    printf '\\n'
}} >>{log}
{body}
"""

PULLS = """\
case $1 in
pull)
    echo "words of a runtime"
    sleep {pull_s}
    if [ -e {broken} ]; then echo "no such image" >&2; exit 255; fi
    if [ $# -eq 3 ]; then printf '%s%0{size}d' "$3" 0 >"$2"; fi
    ;;
image) exit 1 ;;
exec | run) exit 42 ;;
esac
"""


@define
class ToolBox:
    """The commands of one job; several jobs may run beside each other."""

    root: Path
    job: str = "3f7e7681.1"
    started: list[subprocess.Popen[str]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        if not self.bin.exists():
            self._fill_path()
        self.work_dir.mkdir(exist_ok=True)
        install_job_tools(self.tools)

    def _fill_path(self) -> None:
        self.bin.mkdir(parents=True)
        for name in NEEDED:
            if found := shutil.which(name):
                (self.bin / name).symlink_to(found)

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def tools(self) -> Path:
        return self.root / "claims" / self.job / "bin"

    @property
    def work_dir(self) -> Path:
        return self.root / "work dir"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def log(self) -> Path:
        return self.root / "runtime.log"

    @property
    def broken(self) -> Path:
        """Return a path: while this file exists, no image can be pulled."""
        return self.root / "broken"

    def remove(self, command: str) -> None:
        """Remove a command from PATH."""
        (self.bin / command).unlink()

    def add_runtime(self, name: str, *, pull_s: float = 0, size: int = 10, body: str = "") -> Path:
        """Add a stand-in for a container runtime, which records its arguments and then runs *body*."""
        does = body or PULLS.format(pull_s=pull_s, size=size, broken=shlex.quote(str(self.broken)))
        path = self.bin / name
        path.write_text(STAND_IN.format(log=shlex.quote(str(self.log)), body=does))
        path.chmod(0o700)
        return path

    def another_job(self, job: str) -> ToolBox:
        """Return the commands as another job of the same user has them."""
        return ToolBox(self.root, job, self.started)

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{self.tools}:{self.bin}",
            "HOME": str(self.root / "home"),
            "CLOUDQ_IMAGE_CACHE": str(self.images),
            "CLOUDQ_CONTAINER_GPU": "no",
            **more,
        }

    def start(self, *args: str, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        """Start one of the commands as a job does."""
        process = subprocess.Popen(
            [self.tools / args[0], *args[1:]], env=self.environ(**env), cwd=cwd or self.work_dir,
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def end(self) -> None:
        """End all processes that were started, with their child processes."""
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def run(self, *args: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one of the commands until it ends."""
        process = self.start(*args, cwd=cwd, **env)
        out, err = process.communicate(timeout=WITHIN_S)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def told(self) -> Sequence[str]:
        """Return the arguments that the stand-ins recorded, one line per call."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def pulls(self) -> int:
        return sum(" <pull>" in line for line in self.told())

    def cached(self) -> set[str]:
        """Return the names of the images in the cache, without the digest."""
        return {path.name.rpartition("-")[0] for path in self.images.glob("*.sif")}
