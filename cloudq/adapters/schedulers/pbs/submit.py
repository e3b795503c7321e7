"""Build the submit command for PBS from a submission and the user's options for ``qsub``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from cloudq.adapters.schedulers.output_dirs import OutputDirs, OutputNames
from cloudq.adapters.schedulers.pbs.options import (
    PbsOptions,
    array_argument,
    job_name,
    read_pbs_options,
)
from cloudq.adapters.schedulers.pbs.parse import OUTPUT_VARIABLE, TAG_MARK, TAG_VARIABLE, TASK_VARIABLE
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import Submission, SubmitPlan

_INDEX = "^array_index^"
"""The placeholder in a file name that PBS replaces with the task id."""


def plan_qsub(submission: Submission) -> SubmitPlan:
    """Return the submit command: the user's options stay as they are, and only missing ones are added.

    Raises `SubmitRefused`.
    """
    options = read_pbs_options(submission.options, submission.header_lines)
    array = _array_of(submission, options)
    is_array_missing = array is not None and len(array) > 1 and not options.has("J")
    array_words = ("-J", array_argument(array)) if array is not None and is_array_missing else ()
    added = ["-f", "-S", "/bin/bash", *array_words]  # -f: qsub leaves no process behind
    if submission.name and not options.has("N"):
        added += ["-N", job_name(submission.name)]
    if not options.chooses_output:
        suffix = f".{_INDEX}" if array is not None and len(array) > 1 else ""
        added += ["-j", "oe", "-o", f"{_plain_path(submission)}/output{suffix}"]
    variables = ",".join(_variables(submission, options, array))
    return SubmitPlan(
        submission=submission,
        argv=("qsub", *added, *options.words, "-v", variables, str(submission.job_shell)),
        typed=("qsub", *array_words, *submission.options),
        array=array,
        output_dirs=_output_dirs(submission, options, array),
    )


def _plain_path(submission: Submission) -> str:
    """Return the control directory in printable ASCII, relative to qsub's directory if necessary.

    PBS rejects any other character in ``-o``, but not in the directory that it puts before a relative
    path.
    """
    path = str(submission.control_dir)
    if path.isascii() and path.isprintable():
        return path
    return os.path.relpath(submission.control_dir.resolve(), submission.work_dir.resolve())


_PLACEHOLDER = re.compile(r"\^(?P<name>array_index)\^")


def _output_dirs(submission: Submission, options: PbsOptions, array: ArrayRange | None) -> tuple[str, ...]:
    names = OutputNames(_PLACEHOLDER, {}, frozenset({"array_index"}))
    return OutputDirs(submission.work_dir, ".", names, array).needed(_output_paths(options))


def _output_paths(options: PbsOptions) -> dict[str, str]:
    """Return the output files that the user names as ``path`` or ``host:path``, without the host."""
    return {f"-{name}": options.values.get(name, "").rpartition(":")[2] for name in "oe"}


def _variables(submission: Submission, options: PbsOptions, array: ArrayRange | None) -> Iterator[str]:
    """Yield the variables for ``-v``; PBS accepts it only once, so the user's variables are included."""
    yield f"{TAG_VARIABLE}={TAG_MARK}{submission.tag}"
    if not options.chooses_output:
        yield f"{OUTPUT_VARIABLE}=log"
    if array is not None and len(array) == 1:
        # PBS has no array of one task: a plain job gets the task id in variables.
        yield f"{TASK_VARIABLE}={array.first}"
        yield f"PBS_ARRAY_INDEX={array.first}"
    if options.values.get("v"):
        yield options.values["v"]


def _array_of(submission: Submission, options: PbsOptions) -> ArrayRange | None:
    """Return the tasks. Raises `SubmitRefused` for a contradiction, or for tasks that PBS cannot run."""
    own, wanted = options.array, submission.array
    if wanted is not None:
        array_argument(wanted)
    if own is None or wanted is None:
        return own or wanted
    if set(own) != set(wanted):
        raise SubmitRefused(f"-J {own} in the jobscript or in submit_opt contradicts array_tid {wanted}")
    return own
