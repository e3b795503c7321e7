"""Provide a claim's space with a real script and job shell in it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence

from cloudq.adapters.workspace.claim_space import DirectoryClaimSpace
from cloudq.domain.jobs.arguments import Words
from cloudq.domain.jobs.job_shell import JobShellPlan, MetaSetting, ShellDialect
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.header import header_lines, read_header
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.ports.batch_scheduler import BatchScheduler, Submission, SubmitPlan
from cloudq.ports.workspace import SpaceOwner

BASHES = (os.environ["TEST_BASH"],) if "TEST_BASH" in os.environ else ("/bin/bash", "/bin/bash -O compat32")
"""The commands that run job shells in tests: a newer bash knows some of the rules of bash 3.2."""


def bash() -> list[str]:
    """Return the words of the command that runs job shells in this test."""
    return shlex.split(os.environ.get("TEST_BASH", BASHES[0]))


def bash_is_before(major: int, minor: int) -> bool:
    """Return whether the bash of this test is older than *major*.*minor*."""
    show = [*bash(), "-c", 'echo "${BASH_VERSINFO[*]:0:2}"']
    words = subprocess.run(show, capture_output=True, text=True, check=True).stdout.split()
    return (int(words[0]), int(words[1])) < (major, minor)


def prepare(
    space: DirectoryClaimSpace,
    body: str,
    dialect: ShellDialect,
    name: str = "run.sh",
    options: Sequence[str] = (),
    meta: MetaSetting | None = None,
    array: str | None = None,
    arguments: Sequence[str] = (),
    task_arguments: Sequence[Words] = (),
    environment: Sequence[str] = (),
) -> DirectoryClaimSpace:
    """Prepare everything that a hand-over needs."""
    space.create(SpaceOwner("alpha", space.tag, "a nonce"))
    script = Jobscript(name, body.encode())
    path = space.install_script(script.name, script.body)
    header = read_header(script, options, dialect.header)
    plan = JobShellPlan(
        tag=space.tag,
        control_dir=str(space.control_dir),
        work_dir=str(space.work_dir),
        script_path=str(path),
        has_shebang=script.has_shebang,
        header_lines=header.lines,
        interpreter=header.interpreter,
        system="alpha",
        array=ArrayRange.parse(array) if array else None,
        meta=meta,
        arguments=tuple(arguments),
        has_task_arguments=bool(task_arguments),
        environment=tuple(environment),
    )
    if task_arguments:
        space.install_task_arguments(task_arguments)
    space.install_job_shell(plan, dialect)
    space.note_baseline()
    return space


def plan_of(
    scheduler: BatchScheduler,
    space: DirectoryClaimSpace,
    options: Sequence[str] = (),
    array: str | None = None,
    attempt: int = 1,
) -> SubmitPlan:
    """Return the plan by which *scheduler* would submit the job shell of *space*."""
    job_shell = space.read_job_shell() or Jobscript("job_shell.sh", b"")
    submission = Submission(
        tag=space.tag,
        job_shell=space.job_shell_for(attempt),
        work_dir=space.work_dir,
        control_dir=space.control_dir,
        options=tuple(options),
        header_lines=header_lines(job_shell, scheduler.dialect.header),
        array=ArrayRange.parse(array) if array else None,
    )
    return scheduler.plan(submission)


def attempt_of(job_shell: str) -> int:
    """Return the number of the attempt to which a job shell belongs; 0 if it contains none."""
    line = re.search(r"^cq_attempt=([0-9]+)$", job_shell, re.MULTILINE)
    return 0 if line is None else int(line[1])
