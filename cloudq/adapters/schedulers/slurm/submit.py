"""Build the submit command for Slurm from a submission and the user's options for ``sbatch``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from cloudq.adapters.filesystem import read_record
from cloudq.adapters.process import account
from cloudq.adapters.schedulers.output_dirs import OutputDirs, OutputNames
from cloudq.adapters.schedulers.slurm.options import (
    DIRECTIVE,
    FOREIGN,
    SlurmOptions,
    file_pattern,
    read_slurm_options,
)
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.jobs.job_shell import STAY
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.jobscript import MAX_SCRIPT_BYTES, Jobscript
from cloudq.ports.batch_scheduler import Submission


def sbatch_argv(submission: Submission, options: SlurmOptions) -> tuple[str, ...]:
    """Build the submit command: the user's options stay as they are, and only missing ones are added."""
    added = []
    if submission.array is not None and not options.has("array"):
        added.append(f"--array={submission.array}")
    if submission.name and not options.has("job-name"):
        added.append(f"--job-name={submission.name}")
    stays = options.has("chdir") or options.has("workdir")
    if not stays:
        added.append(f"--chdir={submission.work_dir}")
    last = (str(submission.job_shell), *((STAY,) if stays else ()))
    array = array_of(submission, options)
    return ("sbatch", "--parsable", *added, *submission.options, *_streams(submission, options, array), *last)


def _streams(submission: Submission, options: SlurmOptions, array: ArrayRange | None) -> Iterator[str]:
    """Yield the options for the output. A user's ``--output`` also takes stderr without an ``--error``."""
    if options.has("output"):
        return
    suffix = "" if array is None else ".%a"
    # With a user's own --error, the job shell writes the log itself: see `ShellDialect`.
    name = "output" if options.has("error") else "stdout"
    yield f"--output={file_pattern(f'{submission.control_dir}/{name}')}{suffix}"
    if not options.has("error"):
        yield f"--error={file_pattern(f'{submission.control_dir}/stderr')}{suffix}"
        yield "--open-mode=append"  # a second submission of the claim must not truncate them


_PLACEHOLDER = re.compile(r"%(?P<width>[0-9]*)(?P<name>[A-Za-z%])")


def output_dirs(submission: Submission, options: SlurmOptions, array: ArrayRange | None) -> OutputDirs:
    """Return the directories for the output files that the user names."""
    name = options.values.get("job-name") or submission.name
    known = {"%": "%", "u": account(), "x": name, "n": "0", "t": "0"}
    start_dir = options.values.get("chdir") or options.values.get("workdir") or "."
    return OutputDirs(submission.work_dir, start_dir, OutputNames(_PLACEHOLDER, known, frozenset("a")), array)


def output_paths(options: SlurmOptions) -> dict[str, str]:
    """Return the output files that the user names. A backslash makes every percent sign literal."""
    given = {f"--{name}": options.values.get(name, "") for name in ("output", "error")}
    return {
        option: path.replace("\\", "").replace("%", "%%") if "\\" in path else path
        for option, path in given.items()
    }


def array_of(submission: Submission, options: SlurmOptions) -> ArrayRange | None:
    """Return the tasks of the job. Raises `SubmitRefused` for a contradiction."""
    own = options.array
    if own is None or submission.array is None:
        return own or submission.array
    if set(own) != set(submission.array):
        raise SubmitRefused(
            f"--array={own} in the jobscript or in submit_opt contradicts --array_tid {submission.array}"
        )
    return own


def options_of(submission: Submission, environ: Mapping[str, str]) -> SlurmOptions:
    """Read all options: sbatch's defaults, those in the head of the job shell, and the user's own."""
    text = read_record(submission.job_shell, 2 * MAX_SCRIPT_BYTES) or b""
    lines = Jobscript("job_shell", text).directives(DIRECTIVE, *FOREIGN)
    return read_slurm_options(submission.options, lines, environ)
