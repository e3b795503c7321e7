"""Build the submit command for Slurm from a submission and the user's options for ``sbatch``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from cloudq.adapters.schedulers.output_dirs import OutputDirs, OutputNames
from cloudq.adapters.schedulers.slurm.options import SlurmOptions, file_pattern, read_slurm_options
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.jobs.job_shell import STAY
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import Submission, SubmitPlan


def plan_sbatch(submission: Submission, account: str, environ: Mapping[str, str]) -> SubmitPlan:
    """Return the submit command: the user's options stay as they are, and only missing ones are added.

    *account* is the user's name on the system, *environ* the environment of sbatch. Raises `SubmitRefused`.
    """
    options = read_slurm_options(submission.options, submission.header_lines, environ)
    array = _array_of(submission, options)
    is_array_missing = submission.array is not None and not options.has("array")
    array_words = (f"--array={submission.array}",) if is_array_missing else ()
    added = [*array_words]
    if submission.name and not options.has("job-name"):
        added.append(f"--job-name={submission.name}")
    stays = options.has("chdir") or options.has("workdir")
    if not stays:
        added.append(f"--chdir={submission.work_dir}")
    streams = _streams(submission, options, array)
    last = (str(submission.job_shell), *((STAY,) if stays else ()))
    return SubmitPlan(
        submission=submission,
        argv=("sbatch", "--parsable", *added, *submission.options, *streams, *last),
        typed=("sbatch", *array_words, *submission.options),
        array=array,
        output_dirs=_output_dirs(submission, account, options, array),
    )


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


def _output_dirs(
    submission: Submission, account: str, options: SlurmOptions, array: ArrayRange | None
) -> tuple[str, ...]:
    name = options.values.get("job-name") or submission.name
    known = {"%": "%", "u": account, "x": name, "n": "0", "t": "0"}
    start_dir = options.values.get("chdir") or options.values.get("workdir") or "."
    names = OutputNames(_PLACEHOLDER, known, frozenset("a"))
    return OutputDirs(submission.work_dir, start_dir, names, array).needed(_output_paths(options))


def _output_paths(options: SlurmOptions) -> dict[str, str]:
    """Return the output files that the user names. A backslash makes every percent sign literal."""
    given = {f"--{name}": options.values.get(name, "") for name in ("output", "error")}
    return {
        option: path.replace("\\", "").replace("%", "%%") if "\\" in path else path
        for option, path in given.items()
    }


def _array_of(submission: Submission, options: SlurmOptions) -> ArrayRange | None:
    """Return the tasks of the job. Raises `SubmitRefused` for a contradiction."""
    own = options.array
    if own is None or submission.array is None:
        return own or submission.array
    if set(own) != set(submission.array):
        raise SubmitRefused(
            f"--array={own} in the jobscript or in submit_opt contradicts array_tid {submission.array}"
        )
    return own
