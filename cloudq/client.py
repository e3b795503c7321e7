"""The client library, which ``cloudqcli`` and programs that ``import cloudq`` call.

It prints nothing. All methods are typed; errors are `cloudq.CloudqError` and its subclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from attrs import evolve, field, frozen

from cloudq.application.client.check_submission import jobs_of_lines
from cloudq.application.client.explain_job import Explanation
from cloudq.application.client.fetch_outputs import Fetched
from cloudq.application.client.query_jobs import ActiveJobs, JobStatus
from cloudq.application.client.read_log import STDERR, STDOUT, TaskLine
from cloudq.application.client.requeue_job import Requeued, RequeueRequest
from cloudq.application.client.submit_job import Submitted
from cloudq.application.client.submit_many import SubmitResult, no_report
from cloudq.application.client.wait_for_job import ignore_end, raise_error
from cloudq.application.client.watch_jobs import Snapshot
from cloudq.application.doctor.examine import examine
from cloudq.application.shared.cancel_job import CancelResult
from cloudq.application.shared.find_holder import Holder
from cloudq.application.shared.list_agents import AgentReport
from cloudq.bootstrap.client import ClientParts, client_parts
from cloudq.config import Config
from cloudq.domain.errors import CloudqError
from cloudq.domain.finding import Finding
from cloudq.domain.jobs.dependency import Holds, job_ids
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_request import JobRequest, JobSpec
from cloudq.domain.jobs.job_state import JobState
from cloudq.domain.jobs.outputs import checked_patterns
from cloudq.domain.jobs.selector import EVERY_JOB, Selector
from cloudq.domain.jobs.wanted_files import WantedFiles
from cloudq.domain.names import LAST_JOB, checked_system, is_beginning_of_job_id
from cloudq.domain.scripts.command import Command
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.target import named_systems
from cloudq.ports.archives import Archives, Packed
from cloudq.ports.client_memory import ClientMemory

PIECE_BYTES = 1 << 20


@frozen
class Client:
    """Submit, watch, cancel and fetch jobs.

    Make one with `Client.connect`; it keeps connections open and may be used for many calls, by one thread at
    a time. It is a context manager.
    """

    _parts: ClientParts = field(repr=False)

    @classmethod
    def connect(
        cls,
        config: Config | Path | str | None = None,
        *,
        on_silence: Callable[[str], object] | None = None,
    ) -> Client:
        """Return a client of the bucket that *config* names.

        A path is that of a configuration file; None stands for ``~/.cloudq/config.toml`` and ``CLOUDQ_*``
        variables, or the embedded default if there are none. *on_silence* is called with a message, from
        another thread, when the store does not answer for 2 s and is tried again. No request is sent yet.
        Raises `ConfigProblem`.
        """
        return cls(client_parts(config, on_silence))

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
        script: Path | str | Jobscript | Command,
        *,
        args: Sequence[str] = (),
        name: str = "",
        env: Mapping[str, str] | Sequence[str] = (),
        labels: Mapping[str, str] | Sequence[str] = (),
        outputs: Sequence[str] = (),
        each_line: Path | str | Sequence[Sequence[str]] = (),
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
            script: a file; or a `Jobscript`, which has a name and bytes and need not be in a file; or a
                `Command` in place of a script.
            args: the arguments of the script.
            name: the name of the job, instead of the script's file name.
            env: environment variables for the script, a mapping or texts ``NAME=value``; the values are
                stored in the job's record, which everyone who can read the bucket can read.
            labels: labels of the job, a mapping or texts ``key=value``.
            outputs: patterns of the files to stage out, such as ``*.csv`` or ``results/**``; everything new
                or changed if there are none.
            each_line: a file with one task of an array per line, or the words of each task: these follow
                *args* as arguments of the task. All are run, or those of *array_tid*; task 1 has the first.
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
        spec = JobSpec(
            script,
            args=args, name=name, env=env, labels=labels, outputs=outputs, each_line=each_line,
            submit_to=submit_to, submit_opt=submit_opt, hold_jid=hold_jid, hold_ok_jid=hold_ok_jid,
            array_tid=array_tid, inputs=inputs, only=only, without=without, force=force,
        )  # fmt: skip
        [resolved] = self._with_whole_ids([spec])
        request = self._parts.check_submission.read(resolved)
        with TemporaryDirectory(prefix="cloudq-") as scratch:
            [ready] = _with_inputs([request], self._parts.archives, Path(scratch))
            return self._parts.submit(ready)

    def submit_many(
        self, specs: Sequence[JobSpec], *, report: Callable[[SubmitResult], object] = no_report
    ) -> tuple[SubmitResult, ...]:
        """Submit many jobs in parallel, and return what became of each, in order.

        A `JobSpec` has the arguments of `submit`. Everything that can be checked in advance is checked for
        all jobs first: if there is a problem, nothing is submitted. An error in the store affects only its
        job. *report* gets the results while the call lasts, in order.

        Raises `InvalidInput` with all problems, and `UnknownSystem`.
        """
        requests = self._parts.submit_many.read(self._with_whole_ids(specs))
        with TemporaryDirectory(prefix="cloudq-") as scratch:
            ready = _with_inputs(requests, self._parts.archives, Path(scratch))
            return self._parts.submit_many(ready, report)

    def submit_each_line(
        self, specs: Sequence[JobSpec], *, report: Callable[[SubmitResult], object] = no_report
    ) -> tuple[SubmitResult, ...]:
        """Submit a job for each line of ``each_line``, instead of one array; else as `submit_many`."""
        return self.submit_many([job for spec in specs for job in jobs_of_lines(spec)], report=report)

    def rerun(
        self,
        job_id: str,
        *,
        script: Path | str | Jobscript | Command | None = None,
        failed: bool = False,
        submit_to: str = "",
        hold_jid: Sequence[str] | str = (),
        hold_ok_jid: Sequence[str] | str = (),
        only: Sequence[str] = (),
        without: Sequence[str] = (),
        force: bool = False,
    ) -> Submitted:
        """Submit a final job once more, with its script, options and inputs, as a new job.

        Arguments, variables, labels, outputs and the name stay, too.

        Args:
            script: a corrected script to run instead.
            failed: run only the tasks that are not DONE.
            submit_to: another system than the first time; the other arguments are those of `submit`.

        Raises `JobNotFound`, `JobStateConflict` for a job that is not final or in which nothing failed, and
        the errors of `submit`.
        """
        with TemporaryDirectory(prefix="cloudq-") as scratch:
            return self._parts.rerun(
                self.resolve(job_id),
                Path(scratch),
                script=script,
                only_failed=failed,
                submit_to=submit_to,
                only=tuple(only),
                without=tuple(without),
                holds=self._holds(hold_jid, hold_ok_jid),
                force=force,
            )

    def _with_whole_ids(self, specs: Sequence[JobSpec]) -> list[JobSpec]:
        """Return *specs* with whole ids of dependencies; each id is looked up once for all of them."""
        whole_id = cache(self._resolve_if_possible)
        return [
            evolve(
                spec,
                hold_jid=tuple(map(whole_id, job_ids(spec.hold_jid))),
                hold_ok_jid=tuple(map(whole_id, job_ids(spec.hold_ok_jid))),
            )
            for spec in specs
        ]

    def _holds(self, hold_jid: Sequence[str] | str, hold_ok_jid: Sequence[str] | str) -> Holds:
        """Return the dependencies with whole ids; what cannot name a job stays, to be reported later."""
        return Holds(
            tuple(map(self._resolve_if_possible, job_ids(hold_jid))),
            tuple(map(self._resolve_if_possible, job_ids(hold_ok_jid))),
        )

    def _resolve_if_possible(self, text: str) -> str:
        return self.resolve(text) if text == LAST_JOB or is_beginning_of_job_id(text) else text

    # Queries ---------------------------------------------------------------------------------

    def resolve(self, text: str) -> str:
        """Return the id of the job that *text* names: a whole id, the first digits of one, or ``last``.

        All methods accept such texts as ids. A whole id costs no request, the beginning of one costs a LIST.
        ``last`` is the job that this user submitted last from this machine; if that is not remembered, it is
        the job in the store that was submitted last. Raises `InvalidInput`, `AmbiguousJobId`, `JobNotFound`.
        """
        return self._parts.name_job(text)

    def job(self, job_id: str) -> Job:
        """Return one job, finished or not. Raises `JobNotFound`."""
        return self._parts.query.job(self.resolve(job_id))

    def status(self, job_id: str, *, fresh: bool = False) -> JobStatus:
        """Return one job, with what its agent or scheduler says about it: why it waits, its progress.

        With *fresh*, the agent of a job in a scheduler's hands is asked for the present states first, and
        waited for up to 12 seconds; a warning says if it did not answer. Raises `JobNotFound`.
        """
        status = self._parts.query.status(self.resolve(job_id))
        job = status.job
        if not fresh or not job.claim or job.state not in {JobState.READY, JobState.RUN}:
            return status
        silent = self._parts.refresh({job.run_system: job.tag})
        status = self._parts.query.status(job.uuid)
        return evolve(status, warnings=(*status.warnings, *map(_no_answer, silent)))

    def jobs(self, selector: Selector = EVERY_JOB, *, fresh: bool = False) -> ActiveJobs:
        """Return the unfinished jobs, oldest first, with warnings about systems that are away.

        Make *selector* with `Selector.parse`, to get only jobs with certain labels, for example. With
        *fresh*, the agents of systems whose schedulers have some of these jobs are asked for the present
        states first, and waited for up to 12 seconds; a warning names those that did not answer.
        """
        active = self._parts.query.active(selector)
        if not fresh or not active.samples:
            return active
        silent = self._parts.refresh(active.samples)
        active = self._parts.query.active(selector)
        return evolve(active, warnings=(*active.warnings, *map(_no_answer, silent)))

    @property
    def memory(self) -> ClientMemory:
        """What this user's clients remember on this machine, for completion on the command line."""
        return self._parts.memory

    def explain(self, job_id: str) -> Explanation:
        """Return why a job waits or failed, the ends of its logs if it failed, and what to do next."""
        return self._parts.explain(self.resolve(job_id))

    def agents(self) -> tuple[AgentReport, ...]:
        """Return the state of the agent of every system whose agent ever reported, sorted by name."""
        return self._parts.list_agents()

    def history(self, last: int | None = None, selector: Selector = EVERY_JOB) -> Iterator[HistoryEntry]:
        """Yield the finished jobs that *selector* selects, newest first; at most *last* jobs if given.

        It costs one LIST per thousand finished jobs, or per thousand since ``selector.since``.
        """
        return self._parts.query.history(last, selector)

    def watch(
        self, every: float = 5.0, ended_within: float = 600.0, selector: Selector = EVERY_JOB
    ) -> Iterator[Snapshot]:
        """Yield the jobs that *selector* selects, at once and then every *every* seconds, without end.

        Each snapshot contains the unfinished jobs, and those of the hundred jobs that ended last that ended
        in the last *ended_within* seconds. While the store is out of reach, a snapshot repeats the jobs of
        the last one, and its ``trouble`` gives the reason.
        """
        return self._parts.watch(every, ended_within, selector)

    def now(self) -> datetime:
        """Return the present time by the clock that this client uses for records, in UTC."""
        return self._parts.clock.now()

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
            self.resolve(job_id), timeout_s=timeout, poll_s=poll, task=tid, changed=changed
        )

    def wait_all(
        self,
        job_ids: Sequence[str],
        *,
        any_of: bool = False,
        timeout: float | None = None,
        poll: float = 2.0,
        ended: Callable[[Job], object] = ignore_end,
        failed: Callable[[CloudqError], object] = raise_error,
    ) -> tuple[Job, ...]:
        """Wait until all jobs are final and return them in this order; with *any_of*, until one is.

        Args:
            any_of: return the jobs that are final as soon as there is one.
            timeout: seconds after which `WaitTimedOut` is raised.
            poll: seconds between two looks; each look is one small request, however many jobs there are.
            ended: called with each job that has ended.
            failed: called with the error about a job that does not exist or cannot be read, instead of
                raising it; the others are awaited.
        """
        ids = [self.resolve(job_id) for job_id in job_ids]
        return self._parts.wait_for_all(
            ids, any_of=any_of, timeout_s=timeout, poll_s=poll, ended=ended, failed=failed
        )

    def log(
        self,
        job_id: str,
        *,
        tid: int | None = None,
        error: bool = False,
        wait: float = 0.0,
        tail: int | None = None,
    ) -> Iterator[bytes]:
        """Yield the output of a job, or of its task *tid*: stdout, or with *error* stderr, in pieces.

        For a running job, this is the output that has arrived so far. Its agent is asked to upload more; if
        nothing has arrived yet, the call waits up to *wait* seconds. *tail* is a number of last lines.
        Raises `NoTaskNamed` for an array without *tid*: see `task_logs`.
        """
        job = self.job(job_id)
        stream = STDERR if error else STDOUT
        self._parts.read_log.check_task(job, tid)
        self._parts.read_log.ask_for(job)
        return self._parts.read_log.so_far(job, stream, tid, wait_s=wait, tail=tail)

    def follow_log(
        self,
        job_id: str,
        *,
        tid: int | None = None,
        error: bool = False,
        poll: float = 2.0,
        tail: int | None = None,
    ) -> Iterator[bytes]:
        """Yield the output of a job as it grows, until the job is final.

        It begins with the first byte, or with *tail*, with that number of last lines of what there is.
        """
        return self._parts.read_log.follow(
            self.resolve(job_id), STDERR if error else STDOUT, tid, poll_s=poll, tail=tail
        )

    def task_logs(
        self, job_id: str, *, error: bool = False, wait: float = 0.0, tail: int | None = None
    ) -> Iterator[TaskLine]:
        """Yield the lines of all tasks of an array, task by task; the other arguments are those of `log`."""
        job = self.job(job_id)
        self._parts.read_log.ask_for(job)
        return self._parts.read_log.of_tasks(job, STDERR if error else STDOUT, wait_s=wait, tail=tail)

    def follow_task_logs(
        self, job_id: str, *, error: bool = False, poll: float = 2.0, tail: int | None = None
    ) -> Iterator[TaskLine]:
        """Yield the lines of all tasks of an array as they arrive, until the job is final."""
        return self._parts.read_log.follow_tasks(
            self.resolve(job_id), STDERR if error else STDOUT, poll_s=poll, tail=tail
        )

    def agent_log(self, system: str) -> Iterator[bytes]:
        """Yield the recent log of the agent of *system*. Raises `NoAgentLog` at the first piece."""
        return self._parts.read_log.of_agent(checked_system(system))

    def stage_out(
        self,
        job_id: str,
        into: Path | str = ".",
        *,
        only: Sequence[str] = (),
        unlimited: bool = False,
        warn: Callable[[str], object] = lambda _: None,
        progress: Callable[[int, int], object] = lambda _done, _total: None,
    ) -> Path:
        """Download a job's script, inputs, outputs and logs into the new directory ``into/<id>``.

        If the job has not ended, or with *only*, the directory contains a file ``INCOMPLETE``, and the same
        call completes the directory later. Nothing is ever overwritten.

        Args:
            only: patterns of the files to download, such as ``*.csv``, ``output/model/*`` or ``stderr*``.
            unlimited: waive the size limits on unpacked archives.
            warn: called for each file that the job's agent had to leave out, and for a job that has not
                ended.
            progress: called with the bytes that have been downloaded, and those that will be in all.

        Raises `StagedOutInPart` after everything else is in the directory.
        """
        job = self.job(job_id)
        for line in left_out_lines(job):
            warn(line)
        target = self._parts.stage_out(
            job, Path(into), wanted=WantedFiles(tuple(only)), unlimited=unlimited, note=progress
        )
        if not job.is_final:
            warn(
                f"Job ({job.uuid}) is {job.state.value}: its outputs and logs are stored once it has ended. "
                "Then stage it out again into the same place, which completes the directory."
            )
        return target

    def output_file(
        self,
        job_id: str,
        name: str = "*",
        *,
        progress: Callable[[int, int], object] = lambda _done, _total: None,
    ) -> Iterator[bytes]:
        """Yield the contents of one output file of an ended job, in pieces.

        *name* is its path in the work directory, or a pattern that exactly one file matches. Errors, such as
        `InvalidInput` for another number of files, are raised at the first piece.
        """
        job = self.job(job_id)
        with TemporaryDirectory(prefix="cloudq-") as scratch:
            path = self._parts.stage_out.output_file(job, name, Path(scratch), progress)
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    yield piece

    def fetch_outputs(
        self,
        job_id: str,
        into: Path | str,
        outputs: Sequence[str],
        *,
        progress: Callable[[int, int], object] = lambda _done, _total: None,
    ) -> Fetched:
        """Put the output files that match *outputs* into the directory *into*, in place of older ones.

        Raises `StagedOutInPart` after everything else is in place.
        """
        return self._parts.fetch_outputs(self.job(job_id), Path(into), checked_patterns(outputs), progress)

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
        chosen = self.resolve(job_id)
        if tid is not None:
            return self._parts.cancel.task(chosen, tid)
        if force and claim is None and (holder := self.holder(chosen)) is not None:
            claim = holder.claim.n
        if force and claim is not None:
            return self._parts.cancel.without_the_holder(chosen, claim, force=True)
        return self._parts.cancel(chosen)

    def holder(self, job_id: str) -> Holder | None:
        """Return a job's holder: its system, claim and last report; None if no system holds the job."""
        return self._parts.find_holder(self.resolve(job_id))

    def requeue(
        self, job_id: str, to: Sequence[str] = (), *, claim: int | None = None, force: bool = False
    ) -> Requeued:
        """Offer a job again, to the systems *to* or to those that were invited before.

        A job without a holder is offered to these systems and no others. A job with a holder is taken back if
        *claim* is the number of its `holder`'s claim and that system's agent has been silent for ten times
        its time to live, or with *force*: then the job may run twice. The call may be repeated after a crash.
        Raises `JobStateConflict`, `UnknownSystem`.
        """
        return self._parts.requeue(RequeueRequest(self.resolve(job_id), named_systems(to), claim, force))

    def delete(self, job_id: str, *, force: bool = False) -> None:
        """Delete a finished job with all its files from the bucket.

        *force* deletes it even if its agent has not put it away, provided that the agent has been silent for
        long.
        """
        self._parts.delete(self.resolve(job_id), force=force)

    def delete_finished(self, job_ids: Collection[str] | None = None) -> Iterator[str]:
        """Delete every finished job, or those of *job_ids* that are finished.

        Yields each id as its job is deleted, so exhaust the iterator. Jobs that their agent has not put away
        stay. The deletion costs about one LIST per thousand finished jobs and one per hundred deleted ones.
        """
        return self._parts.delete.all_finished(job_ids)

    def delete_agent_log(self, system: str) -> None:
        """Delete the log of an agent from the bucket."""
        self._parts.delete.agent_log(checked_system(system))


def _no_answer(system: str) -> str:
    return f"The agent of {system} did not answer in time: the states are those that it last reported."


def left_out_lines(job: Job) -> Iterator[str]:
    """Yield a line for each file that was left out of a job's outputs; if there are very many, for some."""
    for entry in job.left_out:
        yield f"left out of the output: {entry}"


def _with_inputs(requests: Sequence[JobRequest], archives: Archives, scratch: Path) -> tuple[JobRequest, ...]:
    """Return the requests with their inputs packed, and a warning for each input that was left out.

    Jobs with the same inputs share an archive.
    """
    packed: dict[tuple[Path, ...], tuple[Path, Packed]] = {}
    for inputs in dict.fromkeys(request.inputs for request in requests if request.inputs):
        archive = scratch / f"input.{len(packed)}.zip"
        packed[inputs] = (archive, archives.pack(inputs, archive))
    return tuple(
        _with_archive(request, *packed[request.inputs]) if request.inputs else request for request in requests
    )


def _with_archive(request: JobRequest, archive: Path, packed: Packed) -> JobRequest:
    left_out = (f"left out of the input: {entry}" for entry in packed.left_out)
    return evolve(
        request,
        input_archive=archive,
        input_contents=packed.contents,
        warnings=(*request.warnings, *left_out),
    )
