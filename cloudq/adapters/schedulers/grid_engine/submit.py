"""Build the submit command for Grid Engine from a submission and the user's options for ``qsub``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve

from cloudq.adapters.schedulers.grid_engine.options import (
    NO_LISTS,
    GridEngineOptions,
    is_plain_path,
    job_name,
    read_grid_engine_options,
)
from cloudq.adapters.schedulers.grid_engine.parse import CONTEXT
from cloudq.adapters.schedulers.output_dirs import OutputDirs, OutputNames
from cloudq.domain.errors import SubmitRefused
from cloudq.domain.jobs.job_shell import STAY
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.ports.batch_scheduler import Submission, SubmitPlan


def plan_qsub(submission: Submission, account: str) -> SubmitPlan:
    """Return the submit command: the user's options stay as they are, and only missing ones are added.

    *account* is the user's name on the system. Raises `SubmitRefused`.
    """
    options = read_grid_engine_options(submission.options, submission.header_lines)
    array = _array_of(submission, options)
    array_words = tuple(_array_words(options, array))
    stays = options.has("wd")  # -cwd is where cloudq would start it anyway
    added = ["-terse"]
    if submission.name and not options.has("N"):
        added += ["-N", job_name(submission.name)]
    if not stays and not options.has("cwd") and "$" not in str(submission.work_dir):  # qsub expands $
        added += ["-wd", str(submission.work_dir)]
    streams = _streams(submission, options, array)
    # Last, so that no word before it can override it or be taken for the jobscript.
    own = ("-ac", f"{CONTEXT}={submission.tag}", "-S", "/bin/bash", str(submission.job_shell))
    return SubmitPlan(
        submission=submission,
        argv=("qsub", *added, *array_words, *options.words, *streams, *own, *((STAY,) if stays else ())),
        typed=("qsub", *array_words, *submission.options),
        array=array,
        output_dirs=_output_dirs(submission, account, options, array),
    )


def _array_words(options: GridEngineOptions, array: ArrayRange | None) -> Iterator[str]:
    """Yield the options for the tasks that the user did not give."""
    if array is not None and not options.has("t"):
        yield from ("-t", f"{array.first}-{array.last}:{array.step}")
    if array is not None and array.max_running is not None and not options.has("tc"):
        yield from ("-tc", str(array.max_running))


def _streams(submission: Submission, options: GridEngineOptions, array: ArrayRange | None) -> Iterator[str]:
    """Yield the output options that the user did not give. The job shell logs output that goes elsewhere."""
    suffix = "" if array is None else ".$TASK_ID"
    is_plain = is_plain_path(str(submission.control_dir))
    for option, name in (("o", "stdout"), ("e", "stderr")):
        if not options.has(option):
            yield f"-{option}"
            yield f"{submission.control_dir / name}{suffix}" if is_plain else os.devnull


_PLACEHOLDER = re.compile(r"\$\{?(?P<name>HOME|USER|JOB_ID|JOB_NAME|HOSTNAME|TASK_ID)\}?")


def _output_dirs(
    submission: Submission, account: str, options: GridEngineOptions, array: ArrayRange | None
) -> tuple[str, ...]:
    known = {
        "HOME": str(Path.home()),
        "USER": account,
        "JOB_NAME": options.values.get("N") or job_name(submission.name),
        "TASK_ID": "undefined",
    }
    names = OutputNames(_PLACEHOLDER, known, frozenset({"TASK_ID"}))
    start_dir = options.values.get("wd", ".")
    return OutputDirs(submission.work_dir, start_dir, names, array).needed(_output_paths(options))


def _output_paths(options: GridEngineOptions) -> dict[str, str]:
    """Return the output files that the user names, for any host or for each one as ``host:path,…``."""
    given = ((f"-{name}", options.values.get(name, "")) for name in "oe")
    return {
        f"{option} {part}" if count else option: part.rpartition(":")[2]
        for option, paths in given
        for count, part in enumerate(paths.split(","))
    }


def _array_of(submission: Submission, options: GridEngineOptions) -> ArrayRange | None:
    """Return the tasks. Raises `SubmitRefused` for a contradiction, or for tasks that qsub cannot take."""
    own, asked = options.array, submission.array
    if asked is not None and len(asked.spans) > 1:
        same = ArrayRange.covering(asked)
        instead = f"; write {same}" if len(same.spans) == 1 else ""
        raise SubmitRefused(f"array_tid {asked}: {NO_LISTS}{instead}")
    if own is None and asked is not None and options.max_running is not None:
        return evolve(asked, max_running=options.max_running)
    if own is None or asked is None:
        return own or asked
    if set(own) != set(asked):
        raise SubmitRefused(f"-t {own} in the jobscript or in submit_opt contradicts array_tid {asked}")
    return own if own.max_running is not None else evolve(own, max_running=asked.max_running)
