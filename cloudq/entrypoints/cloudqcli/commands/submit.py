"""``cloudqcli submit``."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from cloudq.entrypoints.cloudqcli.options import job_ids_option
from cloudq.entrypoints.cloudqcli.output import job_record
from cloudq.entrypoints.cloudqcli.session import PROGRAM, Session, pass_session
from cloudq.entrypoints.cloudqcli.submit_words import (
    STDIN,
    CommandWithWords,
    Words,
    checked_directory,
    read_words,
)
from cloudq.entrypoints.cloudqcli.waiting import exit_status_of, wait_for_one, wait_for_several
from cloudq.entrypoints.shared.advice import advised
from cloudq.entrypoints.shared.completion import complete_file
from cloudq.entrypoints.shared.json_output import print_json
from cloudq.entrypoints.shared.options import common_options, json_option, option
from cloudq.entrypoints.shared.terminal import printable, show_message, show_progress
from cloudq.entrypoints.shared.transfer import Transfer, shown_transfer

if TYPE_CHECKING:
    from cloudq.application.client.submit_job import Submitted
    from cloudq.application.client.submit_many import SubmitResult
    from cloudq.client import Client
    from cloudq.domain.errors import CloudqError
    from cloudq.domain.jobs.job import Job
    from cloudq.domain.jobs.job_request import JobSpec

_OF_RERUN = ("submit_to", "hold_jid", "hold_ok_jid", "only", "without", "force")
"""The options of a submission that a rerun has, too; for everything else it keeps the values of the job."""


class Manner(NamedTuple):
    """How the command reports, and what it does after the submission."""

    as_json: bool
    parsable: bool
    quiet: bool
    wait: bool
    fetch: str | None
    outputs: tuple[str, ...]


@click.command(cls=CommandWithWords)
@click.argument("words", nargs=-1, metavar="[SCRIPT] [ARGUMENT…]", shell_complete=complete_file)
@option("--script", "named_scripts", multiple=True, metavar="FILE", help="The jobscript; may be repeated.")
@click.option("--scripts", "are_scripts", is_flag=True, help="Every word before -- is a jobscript.")
@option("--rerun", metavar="ID", help="Run an ended job once more; with --script, a corrected script.")
@click.option("--failed", is_flag=True, help="Rerun only the tasks that failed.")
@option("--submit_to", default="", metavar="SYSTEM", help="The system that will run the job.")
@option("--submit_opt", default="", metavar="OPTIONS", help="Options for that system's submit command.")
@job_ids_option("--hold_jid", help="Jobs that must have ended before it starts.")
@job_ids_option("--hold_ok_jid", help="Jobs that must be DONE before it starts.")
@option("--array_tid", metavar="RANGE", help="Task ids of an array job, such as 1-4 or 1-10:2.")
@option("--each-line", metavar="FILE", help="An array with one task per line of arguments; - is stdin.")
@click.option("--as-jobs", is_flag=True, help="With --each-line: one job per line instead of an array.")
@option(
    "--input", "inputs", multiple=True, metavar="PATH…", help="Files and directories for the work directory."
)
@click.option("--output", "outputs", multiple=True, metavar="GLOB", help="Stage out only matching files.")
@click.option("--name", default="", metavar="NAME", help="The job's name instead of the script's.")
@click.option("--env", multiple=True, metavar="NAME[=VALUE]", help="A variable for the script.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the job.")
@option("--only", multiple=True, metavar="SYSTEM,…", help="Let a meta jobscript run only on these systems.")
@option("--not", "without", multiple=True, metavar="SYSTEM,…", help="Do not let it run on these systems.")
@click.option("--force", is_flag=True, help="Submit even to a system whose agent never reported.")
@click.option("--wait", is_flag=True, help="Wait until the job ends, and exit with its status.")
@click.option(
    "--fetch", is_flag=False, flag_value=".", metavar="[DIR]", help="Wait, and download the results to DIR."
)
@click.option("--parsable", is_flag=True, help="Print only the ids of the jobs, one per line.")
@click.option("--quiet", is_flag=True, help="Print only errors, and with --parsable the ids.")
@json_option
@common_options
@pass_session
def command(
    session: Session,
    /,
    words: tuple[str, ...],
    named_scripts: tuple[str, ...],
    are_scripts: bool,
    rerun: str | None,
    failed: bool,
    each_line: str | None,
    as_jobs: bool,
    inputs: tuple[str, ...],
    env: tuple[str, ...],
    wait: bool,
    fetch: str | None,
    parsable: bool,
    quiet: bool,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Submit a jobscript, or a command after --.

    \b
      submit job.sh a b                  a script and its arguments
      submit -- python train.py --lr 1   a command in place of a script
      submit -                           a script from standard input
      submit --scripts *.sh -- a b       several scripts
      submit job.sh --each-line params   an array, one task per line

    Options come before or after the script; arguments that begin with "-" come after --. With --script
    and --input, further words before -- are inputs, as in CloudQ 1.x.

    A meta jobscript, which begins with directives such as '#$ project: …', needs no --submit_to: it
    is offered to every system that can run it, and the first system that can start it runs it.

    With --wait, the exit status is that of the job: 0 if it is DONE, its exit code if it ended with
    one, 124 after a time limit, 143 if it was canceled. --fetch waits, too; with --output, it puts
    these files into DIR (here without DIR) in place of older ones, else everything into DIR/ID.
    """
    ctx = click.get_current_context()
    waits = wait or fetch is not None
    manner = Manner(as_json, parsable, quiet, waits, checked_directory(fetch), wanted["outputs"])
    sources = read_words(
        ctx, words, named_scripts, inputs, are_scripts=are_scripts, is_rerun=rerun is not None
    )
    _check_options(rerun, each_line, sources, failed=failed, as_jobs=as_jobs, given={
        "--submit_opt": wanted["submit_opt"], "--array_tid": wanted["array_tid"], "--input": inputs,
        "--name": wanted["name"], "--env": env, "--label": wanted["labels"], "--output": wanted["outputs"],
        "--each-line": each_line,
    })  # fmt: skip
    if as_json and parsable:
        raise click.UsageError("--json and --parsable: name one of them")
    with session.client() as client:
        if rerun is not None:
            [corrected] = _scripts(sources) or [None]
            options = {name: wanted[name] for name in _OF_RERUN}
            _end_one(client, client.rerun(rerun, script=corrected, failed=failed, **options), manner)
            return
        wanted |= {"args": sources.arguments, "env": _variables(env), "inputs": sources.inputs}
        wanted["each_line"] = _lines(each_line)
        if sources.inputs and not quiet:
            show_progress("Packing and uploading the inputs …")
        [script, *others] = _scripts(sources)
        if others or as_jobs:
            _submit_many(client, [script, *others], wanted, manner, as_jobs=as_jobs)
        else:
            _end_one(client, client.submit(script, **wanted), manner)


def _check_options(
    rerun: str | None,
    each_line: str | None,
    sources: Words,
    *,
    failed: bool,
    as_jobs: bool,
    given: dict[str, object],
) -> None:
    """Raise a usage error for options that do not fit together."""
    if failed and rerun is None:
        raise click.UsageError("--failed requires --rerun")
    kept = [name for name, value in given.items() if value]
    if rerun is not None and kept:
        raise click.UsageError(f"{', '.join(kept)}: not with --rerun, which keeps the values of the job")
    if as_jobs and each_line is None:
        raise click.UsageError("--as-jobs requires --each-line")
    if [*sources.scripts, each_line].count(STDIN) > 1:
        raise click.UsageError("standard input can be read only once")


def _scripts(sources: Words) -> list[Any]:
    """Return what to submit, as the library takes it."""
    from cloudq.domain.scripts.command import Command  # noqa: PLC0415 (--help must not wait for it)

    if sources.command:
        return [Command(sources.command)]
    return [_script_from_stdin() if path == STDIN else path for path in sources.scripts]


def _script_from_stdin() -> Any:
    from cloudq.domain.scripts.jobscript import MAX_SCRIPT_BYTES, Jobscript  # noqa: PLC0415

    return Jobscript("stdin.sh", sys.stdin.buffer.read(MAX_SCRIPT_BYTES + 1))


def _lines(each_line: str | None) -> Any:
    """Return the file with the arguments, or the arguments from standard input, as the library takes them."""
    from cloudq.domain.jobs.arguments import MAX_LINES_BYTES, read_lines  # noqa: PLC0415

    if each_line != STDIN:
        return () if each_line is None else each_line
    body = sys.stdin.buffer.read(MAX_LINES_BYTES + 1)
    if len(body) > MAX_LINES_BYTES:
        raise click.UsageError(f"standard input: larger than {MAX_LINES_BYTES >> 20} MiB")
    return read_lines(body.decode(errors="surrogateescape"), "standard input")


def _variables(texts: Sequence[str]) -> tuple[str, ...]:
    """Return variables with their values; those without one have it in the environment of this command."""
    unset = [text for text in texts if "=" not in text and text not in os.environ]
    if unset:
        raise click.UsageError(f"--env {unset[0]}: {unset[0]} is not set here; write {unset[0]}=VALUE")
    return tuple(text if "=" in text else f"{text}={os.environ[text]}" for text in texts)


# One job -------------------------------------------------------------------------------------


def _end_one(client: Client, submitted: Submitted, manner: Manner) -> None:
    """Report that a job is submitted; if that is wanted, wait for it and exit with its status."""
    job = submitted.job
    if not manner.quiet:
        for warning in submitted.warnings:
            show_message(warning)
    with _interruption_explained([job]):
        _report_submission(job, manner)
        if manner.as_json and not manner.wait:
            print_json({**job_record(job), "warnings": submitted.warnings})
        if manner.wait:
            sys.stdout.flush()
            job = wait_for_one(client, job.uuid, quiet=manner.quiet)
    if manner.wait:
        if manner.as_json:
            print_json(job_record(job))
        click.get_current_context().exit(_status_with_results(client, job, manner, manner.outputs))


def _report_submission(job: Job, manner: Manner) -> None:
    if manner.parsable:
        click.echo(job.uuid)
    elif not manner.as_json and not manner.quiet:
        click.echo(f"Job ({job.uuid}) {printable(job.name)} has been submitted.")


@contextmanager
def _interruption_explained(jobs: Sequence[Job]) -> Iterator[None]:
    """On Ctrl-C, explain that only the waiting ends; the jobs are in the store and continue."""
    try:
        yield
    except KeyboardInterrupt:
        if len(jobs) == 1:
            show_message(f"Job ({jobs[0].uuid}) continues; to end it: cloudqcli cancel {jobs[0].uuid}")
        else:
            show_message(f"{len(jobs)} jobs continue; to see them: cloudqcli list")
        raise


def _status_with_results(client: Client, job: Job, manner: Manner, outputs: Sequence[str]) -> int:
    """Download the results of *job* if that is wanted; return its status, or that of a failed download."""
    from cloudq.domain.errors import CloudqError  # noqa: PLC0415 (--help must not wait for it)

    status = exit_status_of(job)
    if manner.fetch is None:
        return status
    try:
        with shown_transfer(f"Job ({job.uuid})", quiet=manner.quiet) as transfer:
            _fetch(client, job, manner.fetch, outputs, transfer)
    except CloudqError as error:
        show_message(advised(error), f"{PROGRAM}: ")
        return status or error.exit_code
    return status


def _fetch(client: Client, job: Job, into: str, outputs: Sequence[str], transfer: Transfer) -> None:
    if not outputs:
        target = client.stage_out(job.uuid, into, warn=transfer.warn, progress=transfer.show)
        if transfer.is_shown:
            transfer.warn(f"Job ({job.uuid}): the results are in {target}")
        return
    for pattern in client.fetch_outputs(job.uuid, into, outputs, progress=transfer.show).unmatched:
        transfer.warn(f"no output of job ({job.uuid}) matches {pattern!r}")


# Many jobs -----------------------------------------------------------------------------------


def _submit_many(
    client: Client, scripts: Sequence[Any], wanted: dict[str, Any], manner: Manner, *, as_jobs: bool
) -> None:
    """Submit jobs in parallel, report each, and exit with the status of the first one that failed."""
    from cloudq.domain.jobs.job_request import JobSpec  # noqa: PLC0415 (--help must not wait for it)

    specs: list[JobSpec] = [JobSpec(script, **wanted) for script in scripts]
    report = _ResultsShown(manner)
    try:
        submit = client.submit_each_line if as_jobs else client.submit_many
        results = submit(specs, report=report)
    except KeyboardInterrupt:
        show_message("Some more jobs may have been submitted; to see them: cloudqcli list")
        raise
    jobs = [result.submitted.job for result in results if result.submitted is not None]
    statuses = [result.error.exit_code for result in results if result.error is not None]
    if manner.wait:
        ended = _wait_for_all(client, jobs, manner, statuses)
        statuses += [_status_with_results(client, job, manner, ()) for job in ended]
        if manner.as_json:
            print_json([job_record(job) for job in ended])
    elif manner.as_json:
        print_json([_result_record(result) for result in results])
    click.get_current_context().exit(next(filter(None, statuses), 0))


def _wait_for_all(
    client: Client, jobs: Sequence[Job], manner: Manner, statuses: list[int]
) -> tuple[Job, ...]:
    """Return the jobs as they ended; the status of an error about one of them is added to *statuses*."""

    def note_problem(error: CloudqError) -> None:
        show_message(advised(error), f"{PROGRAM}: ")
        statuses.append(error.exit_code)

    sys.stdout.flush()
    with _interruption_explained(jobs):
        return wait_for_several(client, [job.uuid for job in jobs], note_problem, quiet=manner.quiet)


class _ResultsShown:
    """A report of each job as it is submitted or fails; a warning of many jobs is shown once."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._warnings: set[str] = set()

    def __call__(self, result: SubmitResult) -> None:
        if result.error is not None:
            show_message(f"{_shown(result)}: {advised(result.error)}", f"{PROGRAM}: ")
        if result.submitted is not None:
            for warning in result.submitted.warnings:
                if not self._manner.quiet and warning not in self._warnings:
                    show_message(warning)
                self._warnings.add(warning)
            _report_submission(result.submitted.job, self._manner)


def _shown(result: SubmitResult) -> str:
    return " ".join([result.name, *map(shlex.quote, result.arguments)])


def _result_record(result: SubmitResult) -> dict[str, Any]:
    if result.submitted is not None:
        return {**job_record(result.submitted.job), "warnings": result.submitted.warnings}
    return {"name": result.name, "arguments": result.arguments, "error": str(result.error)}
