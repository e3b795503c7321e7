"""The submit command for PBS, out of a submission and what its user asks of ``qsub``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from cloudq.adapters.filesystem import read_record
from cloudq.adapters.schedulers.output_dirs import OutputDirs, OutputNames
from cloudq.adapters.schedulers.pbs.options import (
    DIRECTIVE,
    PbsOptions,
    array_argument,
    job_name,
    read_pbs_options,
)
from cloudq.adapters.schedulers.pbs.parse import OUTPUT_VARIABLE, TAG_MARK, TAG_VARIABLE, TASK_VARIABLE
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.jobscript import MAX_SCRIPT_BYTES, Jobscript
from cloudq.ports.batch_scheduler import Submission

_INDEX = "^array_index^"
"""What PBS replaces by the task id in a file's name."""


def qsub_argv(submission: Submission, options: PbsOptions) -> tuple[str, ...]:
    """The submit command. What the user asked for stays as it is: only what is missing is added."""
    array = array_of(submission, options)
    added = ["-f", "-S", "/bin/bash"]  # no process of qsub's own stays behind
    if array is not None and len(array) > 1 and not options.has("J"):
        added += ["-J", array_argument(array)]
    if submission.name and not options.has("N"):
        added += ["-N", job_name(submission.name)]
    if not options.chooses_output:
        suffix = f".{_INDEX}" if array is not None and len(array) > 1 else ""
        added += ["-j", "oe", "-o", f"{_plain_path(submission)}/output{suffix}"]
    variables = ",".join(_variables(submission, options, array))
    return ("qsub", *added, *options.words, "-v", variables, str(submission.job_shell))


def _plain_path(submission: Submission) -> str:
    """The control directory as qsub takes it: printable ASCII, relative to where qsub runs if need be.

    PBS refuses any other character in ``-o``, though not in the directory that it puts before the rest.
    """
    path = str(submission.control_dir)
    if path.isascii() and path.isprintable():
        return path
    return os.path.relpath(submission.control_dir.resolve(), submission.work_dir.resolve())


_PLACEHOLDER = re.compile(r"\^(?P<name>array_index)\^")


def output_dirs(submission: Submission, options: PbsOptions) -> OutputDirs:
    """Where the files that a user names will be."""
    names = OutputNames(_PLACEHOLDER, {}, frozenset({"array_index"}))
    return OutputDirs(submission.work_dir, ".", names, array_of(submission, options))


def output_paths(options: PbsOptions) -> dict[str, str]:
    """The files that a user names, as ``path`` or ``host:path``."""
    return {f"-{name}": options.values.get(name, "").rpartition(":")[2] for name in "oe"}


def _variables(submission: Submission, options: PbsOptions, array: ArrayRange | None) -> Iterator[str]:
    """What ``-v`` passes on: PBS takes one, so the user's own is in it."""
    yield f"{TAG_VARIABLE}={TAG_MARK}{submission.tag}"
    if not options.chooses_output:
        yield f"{OUTPUT_VARIABLE}=log"
    if array is not None and len(array) == 1:
        # PBS has no array of one task: a plain job that is told which task it is.
        yield f"{TASK_VARIABLE}={array.first}"
        yield f"PBS_ARRAY_INDEX={array.first}"
    if options.values.get("v"):
        yield options.values["v"]


def options_of(submission: Submission) -> PbsOptions:
    """All options, those in the head of the job shell first."""
    text = read_record(submission.job_shell, 2 * MAX_SCRIPT_BYTES) or b""
    return read_pbs_options(submission.options, Jobscript("job_shell", text).directives(DIRECTIVE))


def array_of(submission: Submission, options: PbsOptions) -> ArrayRange | None:
    """The tasks there will be. Raises `SubmitRefused` for a contradiction, and for what PBS has not."""
    own, wanted = options.array, submission.array
    if wanted is not None:
        array_argument(wanted)
    if own is None or wanted is None:
        return own or wanted
    if set(own) != set(wanted):
        raise SubmitRefused(f"-J {own} in the jobscript or in submit_opt contradicts --array_tid {wanted}")
    return own
