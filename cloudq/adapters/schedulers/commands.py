"""Run the commands of a scheduler: the code that all schedulers with commands have in common."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from cloudq.adapters.filesystem import read_record
from cloudq.adapters.login_environment import login_environment
from cloudq.adapters.process import (
    MAX_ANSWER_BYTES,
    Command,
    Finished,
    run_to_end,
    start_recording,
)
from cloudq.adapters.schedulers.output_dirs import make_output_dir
from cloudq.domain.errors import (
    NoJobId,
    SchedulerProblem,
    SchedulerUnavailable,
    SubmitDeferred,
    SubmitUncertain,
)
from cloudq.domain.scripts.submit_options import join_options
from cloudq.ports.batch_scheduler import AttemptFiles, SubmitPlan

T = TypeVar("T")

_IDS_OF_ONE_COMMAND = 50
_OPTION_NOT_KNOWN = re.compile(
    r"(?:unrecogni[sz]ed|invalid|unknown|illegal|unsupported) (?:option|argument)|\busage:",
    re.IGNORECASE,
)
_WORDS_SHOWN = 500
_COMMAND_MISSING = frozenset({"126", "127"})
_ENDED_LATE = frozenset({"124", "137"})
MOST_MESSAGE_CHARS = 2_000
"""The most characters of a command's message that an error repeats."""
_KILLED_AFTER_S = 10.0
"""The longest time between TERM and KILL for a submit command that is ended."""


@frozen
class CommandTimes:
    """Times in seconds."""

    poll_interval_s: float = 10.0
    query_limit_s: float = 60.0
    """The time after which a query counts as failed."""
    submit_wait_s: float = 30.0
    """How long an agent waits for a submit command before it continues with other jobs."""
    submit_limit_s: float = 120.0
    """The time after which a submit command is ended."""


class SchedulerCommands:
    """Runs commands in a clean login environment, without the agent's own keys."""

    def __init__(
        self,
        times: CommandTimes,
        environ: Mapping[str, str] | None,
        query_environment: Mapping[str, str],
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._times = times
        self._environ = login_environment(os.environ if environ is None else environ)
        self._query_environ = {**self._environ, **query_environment}
        self._most_bytes = most_bytes

    @property
    def submit_environment(self) -> Mapping[str, str]:
        """The environment of submit commands."""
        return self._environ

    @property
    def submit_time_limit_s(self) -> float:
        """Seconds after which a submit command that still runs can no longer submit the job."""
        return self._times.submit_limit_s + _KILLED_AFTER_S

    def ask(self, *argv: str) -> Finished:
        """Run a query; return its result, whatever that is. Raises `SchedulerUnavailable` if it has none."""
        command = Command(argv, Path("/"), self._query_environ)
        return run_to_end(command, self._times.query_limit_s, self._most_bytes)

    def succeed(self, *argv: str) -> Finished:
        """Run a query; raise `SchedulerUnavailable` also for an exit status other than 0."""
        done = self.ask(*argv)
        if done.status != 0:
            raise SchedulerUnavailable(words_of(argv[0], done))
        return done

    def flaw_of(self, *argv: str, is_fine: Callable[[Finished], bool] = lambda _done: False) -> str:
        """Return why a command on this machine rejects *argv*, in its own words; empty if it accepts it.

        *is_fine* accepts answers with an exit status other than 0. Raises `SchedulerUnavailable` for any
        other failure, because it reveals nothing about the command's options.
        """
        done = self.ask(*argv)
        if done.status == 0 or is_fine(done):
            return ""
        if is_about_options(f"{done.stderr}\n{done.stdout}"):
            return f"{words_of(argv[0], done)} (command: {join_options(argv)})"
        raise SchedulerUnavailable(words_of(argv[0], done))

    def answer(self, *argv: str) -> str:
        """Return the output of a query that succeeded. Raises `SchedulerUnavailable`."""
        return self.succeed(*argv).stdout

    def submit(self, plan: SubmitPlan, files: AttemptFiles) -> None:
        """Run the submit command of *plan*, which leaves its answer in *files*.

        Raises `SubmitDeferred` if it cannot be run, `SubmitUncertain` if it does not end in time.
        """
        work_dir, argv = plan.submission.work_dir, plan.argv
        for directory in plan.output_dirs:
            make_output_dir(work_dir, directory)
        command = Command(argv, work_dir, self._environ, files.stdout, files.stderr)
        try:
            process = start_recording(command, files.process, files.status, self._times.submit_limit_s)
        except OSError as error:
            raise SubmitDeferred(f"{argv[0]} cannot be run: {error}") from error
        if process.wait(self._times.submit_wait_s) is None:
            process.let_go()
            words = " ".join(left_in(files)[2].split())[:_WORDS_SHOWN]
            raise SubmitUncertain(
                f"{argv[0]} gave no answer within {self._times.submit_wait_s:.0f} s{words and f': {words}'}"
            )


def is_about_options(message: str) -> bool:
    """Return whether a command failed because it does not know an option or argument."""
    return _OPTION_NOT_KNOWN.search(message) is not None


def read_answer(
    command: str,
    answer: tuple[str, str, str],
    *,
    job_in: Callable[[str], T | None],
    message_in: Callable[[str, str], str],
    problem_of: Callable[[str], SchedulerProblem],
) -> T | None:
    """Return the job that a submit command printed last; None while there is no answer.

    Args:
        command: the name of the command, for messages.
        answer: its exit status, stdout and stderr, as `left_in` returns them.
        job_in: returns the job in one line of stdout, or None.
        message_in: returns the message in stdout and stderr as one line.
        problem_of: returns the error that a message stands for.

    Raises `SubmitRefused`, `SubmitDeferred` or `SubmitUncertain`.
    """
    status, stdout, stderr = answer
    lines = [line.strip() for line in stdout.splitlines() if line.strip()]
    jobs = [job for job in map(job_in, lines) if job is not None]
    if status in {"", "0"} and jobs:
        return jobs[-1]
    if not status:
        return None
    if status == "0":
        printed = on_one_line(" ".join(lines))[:200]
        message = on_one_line(stderr)[:MOST_MESSAGE_CHARS]
        raise NoJobId(f"{command} printed no job id: {printed!r} {message}".strip())
    message = message_in(stdout, stderr) or f"{command} ended with {status} and printed nothing"
    if status in _COMMAND_MISSING:
        raise SubmitDeferred(f"{command} cannot be run: {message[:MOST_MESSAGE_CHARS]}")
    if status in _ENDED_LATE or not status.isdigit():
        raise SubmitUncertain(f"{command} gave no answer in time: {message[:MOST_MESSAGE_CHARS]}")
    raise problem_of(message)


def on_one_line(message: str) -> str:
    """Return *message* with every line break and run of blanks replaced by one blank."""
    return " ".join(message.split())


def every_line_matches(pattern: re.Pattern[str], message: str) -> bool:
    """Return whether *message* has lines, and *pattern* is found in each that is not blank."""
    lines = [line for line in message.splitlines() if line.strip()]
    return bool(lines) and all(pattern.search(line) for line in lines)


def left_in(files: AttemptFiles) -> tuple[str, str, str]:
    """Return the exit status, stdout and stderr of a submit command; the status is empty until it ends."""
    status, stdout, stderr = (
        (read_record(path) or b"").decode(errors="replace")
        for path in (files.status, files.stdout, files.stderr)
    )
    return status.strip(), stdout, stderr


def in_chunks(scheduler_job_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield as many ids at a time as fit into one command."""
    for start in range(0, len(scheduler_job_ids), _IDS_OF_ONE_COMMAND):
        yield scheduler_job_ids[start : start + _IDS_OF_ONE_COMMAND]


def words_of(command: str, done: Finished) -> str:
    """Return the message of a failed command, for people."""
    message = " ".join((done.stderr or done.stdout).split())[:_WORDS_SHOWN]
    return f"{command} ended with {done.status}: {message or 'it printed nothing'}"
