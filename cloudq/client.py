"""The client library, which ``cloudqcli`` and programs that ``import cloudq`` call.

It prints nothing. All methods are typed; errors are `cloudq.CloudqError` and its subclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from attrs import evolve, field, frozen

from cloudq.application.client.query_jobs import ActiveJobs, JobStatus
from cloudq.application.client.read_log import STDERR, STDOUT
from cloudq.application.client.requeue_job import Requeued, RequeueRequest
from cloudq.application.client.submit_job import Submitted
from cloudq.application.doctor.examine import examine
from cloudq.application.shared.cancel_job import CancelResult
from cloudq.application.shared.find_holder import Holder
from cloudq.application.shared.list_agents import AgentReport
from cloudq.bootstrap.client import ClientParts, client_parts
from cloudq.config import Config
from cloudq.domain.finding import Finding
from cloudq.domain.jobs.dependency import Holds, job_ids
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.names import checked_job_id, checked_system
from cloudq.domain.scripts.target import named_systems
from cloudq.ports.archives import Archives


@frozen
class Client:
    """Submit, watch, cancel and fetch jobs.

    Make one with `Client.connect`; it keeps connections open and may be used for many calls, by one thread at
    a time. It is a context manager.
    """

    _parts: ClientParts = field(repr=False)

    @classmethod
    def connect(cls, config: Config | Path | str | None = None) -> Client:
        """Return a client of the bucket that *config* names.

        A path is that of a configuration file; None stands for ``~/.cloudq/config.toml`` and ``CLOUDQ_*``
        variables, or the embedded default if there are none. No request is sent yet. Raises `ConfigProblem`.
        """
        return cls(client_parts(config))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._parts.close()

    # Submitting ------------------------------------------------------------------------------

    def submit(
        self,
        script: Path | str,
        *,
        submit_to: str = "",
        submit_opt: str = "",
        hold_jid: Sequence[str] | str = (),
        hold_ok_jid: Sequence[str] | str = (),
        array_tid: str | None = None,
        inputs: Sequence[Path | str] = (),
        only: Sequence[str] = (),
        without: Sequence[str] = (),
        force: bool = False,
    ) -> Submitted:
        """Submit the jobscript in the file *script* to the system *submit_to*.

        A meta jobscript needs no *submit_to*: without it, and without ``run_on`` in the script, the job runs
        on the first eligible system that takes it.

        Args:
            submit_opt: options for that system's submit command, quoted as for a shell.
            hold_jid: ids of jobs that must be final, in any state, before the job starts: a sequence, or a
                text with commas.
            hold_ok_jid: ids of jobs that must be DONE before the job starts; if one of them ends in
                another state, the job becomes DELETED without being run.
            array_tid: task ids of an array job, such as ``1-4`` or ``1-10:2``.
            inputs: files and directories to put into the job's work directory.
            only: the only systems on which a meta jobscript may run; empty for no restriction.
            without: systems on which it must not run.
            force: submit even to a system whose agent never reported.

        Raises:
            InvalidInput: with all problems at once; nothing was submitted.
            UnknownSystem: no agent ever reported as *submit_to*, but others did.
            MaybeSubmitted: the store did not confirm the submission; the message names the job.
        """
        request = self._parts.check_submission.read(
            Path(script),
            submit_to=submit_to,
            submit_opt=submit_opt,
            holds=Holds(job_ids(hold_jid), job_ids(hold_ok_jid)),
            array_tid=array_tid,
            inputs=tuple(map(Path, inputs)),
            only=tuple(only),
            without=tuple(without),
            force=force,
        )
        with TemporaryDirectory(prefix="cloudq-") as scratch:
            return self._parts.submit(_with_inputs(request, self._parts.archives, Path(scratch)))

    def rerun(
        self,
        job_id: str,
        *,
        failed: bool = False,
        submit_to: str = "",
        hold_jid: Sequence[str] | str = (),
        hold_ok_jid: Sequence[str] | str = (),
        only: Sequence[str] = (),
        without: Sequence[str] = (),
        force: bool = False,
    ) -> Submitted:
        """Submit a final job once more, with its script, options and inputs, as a new job.

        Args:
            failed: run only the tasks that are not DONE.
            submit_to: another system than the first time; the other arguments are those of `submit`.

        Raises `JobNotFound`, `JobStateConflict` for a job that is not final or in which nothing failed, and
        the errors of `submit`.
        """
        with TemporaryDirectory(prefix="cloudq-") as scratch:
            return self._parts.rerun(
                checked_job_id(job_id),
                Path(scratch),
                only_failed=failed,
                submit_to=submit_to,
                only=tuple(only),
                without=tuple(without),
                holds=Holds(job_ids(hold_jid), job_ids(hold_ok_jid)),
                force=force,
            )

    # Queries ---------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job:
        """Return one job, finished or not. Raises `JobNotFound`."""
        return self._parts.query.job(checked_job_id(job_id))

    def status(self, job_id: str, *, fresh: bool = False) -> JobStatus:
        """Return one job, with what its agent or scheduler says about it: why it waits, its progress.

        With *fresh*, the agent of a job in a scheduler's hands is asked for the present states first, and
        waited for up to 12 seconds; a warning says if it did not answer. Raises `JobNotFound`.
        """
        status = self._parts.query.status(checked_job_id(job_id))
        job = status.job
        if not fresh or not job.claim or job.state not in {JobState.READY, JobState.RUN}:
            return status
        silent = self._parts.refresh({job.run_system: job.tag})
        status = self._parts.query.status(job.uuid)
        return evolve(status, warnings=(*status.warnings, *map(_no_answer, silent)))

    def jobs(self, *, fresh: bool = False) -> ActiveJobs:
        """Return all unfinished jobs, oldest first, with warnings about systems that are away.

        With *fresh*, the agents of systems whose schedulers have jobs are asked for the present states first,
        and waited for up to 12 seconds; a warning names those that did not answer.
        """
        active = self._parts.query.active()
        if not fresh or not active.samples:
            return active
        silent = self._parts.refresh(active.samples)
        active = self._parts.query.active()
        return evolve(active, warnings=(*active.warnings, *map(_no_answer, silent)))

    def agents(self) -> tuple[AgentReport, ...]:
        """Return the state of the agent of every system whose agent ever reported, sorted by name."""
        return self._parts.list_agents()

    def history(self, last: int | None = None) -> Iterator[HistoryEntry]:
        """Yield finished jobs, newest first; at most *last* jobs if given."""
        return self._parts.query.history(last)

    def wait(
        self,
        job_id: str,
        *,
        tid: int | None = None,
        timeout: float | None = None,
        poll: float = 2.0,
        changed: Callable[[Job], None] | None = None,
    ) -> Job:
        """Wait until a job is final and return it; *changed* is called after each change of state.

        Args:
            tid: wait only for this task of an array job.
            timeout: seconds after which `WaitTimedOut` is raised.
            poll: seconds between two looks; each look is one small request.
        """
        return self._parts.wait(
            checked_job_id(job_id), timeout_s=timeout, poll_s=poll, task=tid, changed=changed
        )

    def log(
        self, job_id: str, *, tid: int | None = None, error: bool = False, wait: float = 0.0
    ) -> Iterator[bytes]:
        """Yield the output of a job, or of its task *tid*: stdout, or with *error* stderr, in pieces.

        For a running job, this is the output that has arrived so far. Its agent is asked to upload more; if
        nothing has arrived yet, the call waits up to *wait* seconds.
        """
        job = self.job(job_id)
        stream = STDERR if error else STDOUT
        self._parts.read_log.check_task(job, tid)
        self._parts.read_log.ask_for(job)
        return self._parts.read_log.so_far(job, stream, tid, wait_s=wait)

    def follow_log(
        self, job_id: str, *, tid: int | None = None, error: bool = False, poll: float = 2.0
    ) -> Iterator[bytes]:
        """Yield the output of a job as it grows, from the beginning until the job is final."""
        return self._parts.read_log.follow(
            checked_job_id(job_id), STDERR if error else STDOUT, tid, poll_s=poll
        )

    def agent_log(self, system: str) -> Iterator[bytes]:
        """Yield the recent log of the agent of *system*. Raises `NoAgentLog` at the first piece."""
        return self._parts.read_log.of_agent(checked_system(system))

    def stage_out(
        self,
        job_id: str,
        into: Path | str = ".",
        *,
        unlimited: bool = False,
        warn: Callable[[str], object] = lambda _: None,
    ) -> Path:
        """Download a job's script, inputs, outputs and logs into the new directory ``into/<id>``.

        *unlimited* waives the size limits on unpacked archives. *warn* is called for each file that the job's
        agent had to leave out. Raises `StagedOutInPart` after everything else is in the directory.
        """
        job = self.job(job_id)
        for line in left_out_lines(job):
            warn(line)
        return self._parts.stage_out(job, Path(into), unlimited=unlimited)

    def examine(
        self, *, deep: bool = False, collect: bool = False, begin: Callable[[str], object] = lambda _: None
    ) -> Iterator[Finding]:
        """Test the store and examine agents and jobs; yield each finding at once.

        *deep* also writes and removes more than a thousand small objects. *collect* finishes or removes what
        is incomplete or left over. *begin* is called with the name of each check before it runs.
        """
        return examine(self._parts.doctor(deep, collect), begin)

    # Ending jobs -----------------------------------------------------------------------------

    def cancel(
        self, job_id: str, *, tid: int | None = None, force: bool = False, claim: int | None = None
    ) -> CancelResult:
        """Cancel a job: end it at once if it has no holder, else ask its agent to end it.

        *tid* cancels only that task of an array job; the others continue. *force* ends the job without its
        holder, which may keep running it until its agent returns; if *claim* is given, only while that is the
        number of its `holder`'s claim. Raises `JobStateConflict` if the job ended in another way.
        """
        chosen = checked_job_id(job_id)
        if tid is not None:
            return self._parts.cancel.task(chosen, tid)
        if force and claim is None and (holder := self.holder(chosen)) is not None:
            claim = holder.claim.n
        if force and claim is not None:
            return self._parts.cancel.without_the_holder(chosen, claim, force=True)
        return self._parts.cancel(chosen)

    def holder(self, job_id: str) -> Holder | None:
        """Return a job's holder: its system, claim and last report; None if no system holds the job."""
        return self._parts.find_holder(checked_job_id(job_id))

    def requeue(
        self, job_id: str, to: Sequence[str] = (), *, claim: int | None = None, force: bool = False
    ) -> Requeued:
        """Offer a job again, to the systems *to* or to those that were invited before.

        A job without a holder is offered to these systems and no others. A job with a holder is taken back if
        *claim* is the number of its `holder`'s claim and that system's agent has been silent for ten times
        its time to live, or with *force*: then the job may run twice. The call may be repeated after a crash.
        Raises `JobStateConflict`, `UnknownSystem`.
        """
        return self._parts.requeue(RequeueRequest(checked_job_id(job_id), named_systems(to), claim, force))

    def delete(self, job_id: str, *, force: bool = False) -> None:
        """Delete a finished job with all its files from the bucket.

        *force* deletes it even if its agent has not put it away, provided that the agent has been silent for
        long.
        """
        self._parts.delete(checked_job_id(job_id), force=force)

    def delete_finished(self) -> Iterator[str]:
        """Delete every finished job; yield each id as its job is deleted, so exhaust the iterator."""
        return self._parts.delete.all_finished()

    def delete_agent_log(self, system: str) -> None:
        """Delete the log of an agent from the bucket."""
        self._parts.delete.agent_log(checked_system(system))


def _no_answer(system: str) -> str:
    return f"The agent of {system} did not answer in time: the states are those that it last reported."


def left_out_lines(job: Job) -> Iterator[str]:
    """Yield a line for each file that was left out of a job's outputs; if there are very many, for some."""
    for entry in job.left_out:
        yield f"left out of the output: {entry}"


def _with_inputs(request: JobRequest, archives: Archives, scratch: Path) -> JobRequest:
    """Return the request with its inputs packed, and a warning for each input that was left out."""
    if not request.inputs:
        return request
    archive = scratch / "input.zip"
    packed = archives.pack(request.inputs, archive)
    left_out = (f"left out of the input: {entry}" for entry in packed.left_out)
    return evolve(
        request,
        input_archive=archive,
        input_contents=packed.contents,
        warnings=(*request.warnings, *left_out),
    )
