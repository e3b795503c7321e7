"""The client: what ``cloudqcli`` and programs that ``import cloudq`` call.

Nothing here prints; everything is typed; errors are `cloudq.CloudqError` and its subclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from attrs import evolve, field, frozen

from cloudq.application.client.check_submission import Draft, Problems, parse_array, read_script
from cloudq.application.client.query_jobs import ActiveJobs
from cloudq.application.client.read_log import STDERR, STDOUT
from cloudq.application.client.requeue_job import Requeued, RequeueRequest
from cloudq.application.client.rerun_job import RerunRequest
from cloudq.application.client.submit_job import SubmitRequest, Submitted
from cloudq.application.doctor.examine import examine
from cloudq.application.shared.cancel_job import CancelResult
from cloudq.application.shared.find_holder import Holder
from cloudq.application.shared.list_agents import AgentReport
from cloudq.bootstrap.client import ClientParts, client_parts
from cloudq.config import Config
from cloudq.domain.errors import InvalidInput
from cloudq.domain.finding import Finding
from cloudq.domain.jobs.dependency import parse_hold_jid
from cloudq.domain.jobs.history import HistoryEntry
from cloudq.domain.jobs.job import Job
from cloudq.domain.names import checked_job_id, checked_system
from cloudq.domain.scripts.local_script import convert, preview
from cloudq.domain.scripts.meta_script import MetaScript
from cloudq.domain.scripts.place import named_systems
from cloudq.domain.scripts.submit_options import split_options
from cloudq.domain.scripts.system_mapping import NameTables
from cloudq.ports.archives import Archives


@frozen
class Client:
    """Submits, watches, cancels and fetches jobs.

    Make one with `Client.connect`; it keeps connections open and may be used for many calls, by
    one thread at a time. It is a context manager.
    """

    _parts: ClientParts = field(repr=False)

    @classmethod
    def connect(cls, config: Config | Path | str | None = None) -> Client:
        """A client of the bucket that *config* names.

        A path is that of a configuration file; None stands for ``~/.cloudq/config.toml`` and
        ``CLOUDQ_*`` variables, or the embedded default without any. Nothing is sent yet.
        Raises `ConfigProblem`.
        """
        return cls(client_parts(config))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections."""
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

        A meta jobscript needs no *submit_to*: without it, and without ``run_on`` in the script,
        the first system runs it that can.

        Args:
            submit_opt: options for that system's submit command, quoted as for a shell.
            hold_jid: ids of jobs that must have ended, in whatever state, before it starts.
            hold_ok_jid: ids of jobs that must be DONE before it starts; it ends DELETED, without
                being run, if one of them ends otherwise.
            array_tid: task ids of an array job, such as ``1-4`` or ``1-10:2``.
            inputs: files and directories to put into the job's work directory.
            only: systems that a meta jobscript may run on, if it is to run on no other.
            without: systems that it must not run on.
            force: submit even to a system whose agent never reported.

        Raises:
            InvalidInput: with every problem at once; nothing was submitted.
            UnknownSystem: no agent ever reported as *submit_to*, others did.
            MaybeSubmitted: the store did not confirm; the message names the job.
        """
        draft = Draft(
            script=Path(script),
            submit_to=submit_to,
            submit_opt=submit_opt,
            hold_jid=_as_text(hold_jid),
            hold_ok_jid=_as_text(hold_ok_jid),
            array_tid=array_tid,
            inputs=tuple(Path(each) for each in inputs),
            only=tuple(only),
            without=tuple(without),
            force=force,
        )
        checked = self._parts.check_submission(draft)
        with TemporaryDirectory(prefix="cloudq-") as scratch:
            request, warnings = _with_inputs(
                checked.request, draft.inputs, self._parts.archives, Path(scratch)
            )
            submitted = self._parts.submit(request)
        return evolve(submitted, warnings=(*checked.warnings, *warnings, *submitted.warnings))

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
        """Submit an ended job once more, with its script, options and inputs, as a new job.

        Args:
            failed: only the tasks that did not end DONE.
            submit_to: another system than the first time; the other arguments as for `submit`.

        Raises `JobNotFound`, `JobStateConflict` for a job that has not ended or in which nothing
        failed, and what `submit` raises.
        """
        request = RerunRequest(
            job_id=checked_job_id(job_id),
            only_failed=failed,
            submit_to=submit_to,
            only=tuple(only),
            without=tuple(without),
            hold_jid=parse_hold_jid(_as_text(hold_jid)),
            hold_ok_jid=parse_hold_jid(_as_text(hold_ok_jid), "hold_ok_jid"),
            force=force,
        )
        with TemporaryDirectory(prefix="cloudq-") as scratch:
            return self._parts.rerun(request, Path(scratch))

    # Looking ---------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job:
        """One job, finished or not. Raises `JobNotFound`."""
        return self._parts.query.job(checked_job_id(job_id))

    def jobs(self) -> ActiveJobs:
        """All unfinished jobs, oldest first, with warnings about systems that are away."""
        return self._parts.query.active()

    def agents(self) -> tuple[AgentReport, ...]:
        """Every system whose agent ever reported, by name, and how its agent is."""
        return self._parts.list_agents()

    def history(self, last: int | None = None) -> Iterator[HistoryEntry]:
        """Finished jobs, newest first; only the *last* so many if given."""
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
        """Wait until a job has ended and return it; *changed* hears of each change of state.

        Args:
            tid: wait only for this task of an array job.
            timeout: seconds to wait at most; `WaitTimedOut` is raised after them.
            poll: seconds between two looks, each one small request.
        """
        return self._parts.wait(
            checked_job_id(job_id), timeout_s=timeout, poll_s=poll, task=tid, changed=changed
        )

    def log(
        self, job_id: str, *, tid: int | None = None, error: bool = False, wait: float = 0.0
    ) -> Iterator[bytes]:
        """What a job (or the task *tid*) printed to stdout, or with *error* to stderr, in pieces.

        Of a running job: what has arrived so far; its agent is asked to bring more, and if there
        is nothing at all yet, it is given *wait* seconds for it.
        """
        job = self.job(job_id)
        stream = STDERR if error else STDOUT
        self._parts.read_log.check_task(job, tid)
        self._parts.read_log.ask_for(job)
        return self._parts.read_log.so_far(job, stream, tid, wait_s=wait)

    def follow_log(
        self, job_id: str, *, tid: int | None = None, error: bool = False, poll: float = 2.0
    ) -> Iterator[bytes]:
        """The same from the beginning until the job has ended, as it grows."""
        return self._parts.read_log.follow(
            checked_job_id(job_id), STDERR if error else STDOUT, tid, poll_s=poll
        )

    def agent_log(self, system: str) -> Iterator[bytes]:
        """The recent log of the agent of *system*."""
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

        *unlimited* waives the limits of size of what is unpacked. *warn* hears what the job's agent
        had to leave out. Raises `StagedOutInPart` once all else is there.
        """
        job = self.job(job_id)
        for line in left_out_lines(job):
            warn(line)
        return self._parts.stage_out(job, Path(into), unlimited=unlimited)

    def examine(
        self, *, deep: bool = False, collect: bool = False, begin: Callable[[str], object] = lambda _: None
    ) -> Iterator[Finding]:
        """Try the store out, look at agents and jobs; what is found comes as it is found.

        With *deep* more than a thousand small objects are put and removed; with *collect* what is
        found half done or left over is brought to its end. *begin* hears what is looked at next.
        """
        return examine(self._parts.doctor(deep, collect), begin)

    # Ending ----------------------------------------------------------------------------------

    def cancel(
        self, job_id: str, *, tid: int | None = None, force: bool = False, claim: int | None = None
    ) -> CancelResult:
        """Cancel a job: ended at once if nobody runs it, else requested of its agent.

        With *tid* only that task of an array job, the others go on. With *force* the job ends
        without the system that holds it, which may go on with it until its agent is back; if
        *claim* is given, only while that is the number of its `holder`'s claim.
        Raises `JobStateConflict` if it has ended in another way.
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
        """Which system runs a job, by which claim, and when its agent last reported; None: none does."""
        return self._parts.find_holder(checked_job_id(job_id))

    def requeue(
        self, job_id: str, to: Sequence[str] = (), *, claim: int | None = None, force: bool = False
    ) -> Requeued:
        """Offer a job again, to the systems *to* or to those that were invited before.

        A job that nobody holds is offered to these and to no others any more. One that is held is
        taken back if *claim* is the number of its `holder`'s claim, and that system's agent has
        been silent for ten times its time to live, or with *force*: then it may run twice.
        May be called again after a crash. Raises `JobStateConflict`, `UnknownSystem`.
        """
        return self._parts.requeue(RequeueRequest(checked_job_id(job_id), named_systems(to), claim, force))

    def delete(self, job_id: str, *, force: bool = False) -> None:
        """Delete a finished job with all its files from the bucket.

        With *force* even if its agent, which has not put it away, has been silent for long.
        """
        self._parts.delete(checked_job_id(job_id), force=force)

    def delete_finished(self) -> Iterator[str]:
        """Delete every finished job; the ids come as they go, so exhaust the iterator."""
        return self._parts.delete.all_finished()

    def delete_agent_log(self, system: str) -> None:
        """Delete the log of an agent from the bucket."""
        self._parts.delete.agent_log(checked_system(system))


@frozen
class Preview:
    """What a meta jobscript would become, for people to read."""

    text: str
    warnings: tuple[str, ...] = ()


def preview_conversion(
    script: Path | str,
    *,
    system: str,
    config: Config,
    profile: str = "",
    submit_opt: str = "",
    array_tid: str | None = None,
) -> Preview:
    """Convert a meta jobscript as the agent of *system* would; nothing is asked of anybody.

    Raises `InvalidInput` with every problem, `ConfigProblem` if the system's profile is not known.
    """
    from cloudq.bootstrap.profiles import profile_of  # noqa: PLC0415  submitting reads no profile

    problems = Problems()
    meta = problems.collect(lambda: _read_meta(Path(script)))
    array = problems.collect(lambda: parse_array(array_tid))
    more = problems.collect(lambda: split_options(submit_opt))
    named = problems.collect(lambda: checked_system(system.lower()))
    if problems.found or meta is None or named is None:
        raise InvalidInput(problems.found)
    found = profile_of(config, named, profile)
    mapping = NameTables(config.projects, config.resources).mapping(meta.project, meta.resource, named)
    local = convert(meta, found, mapping, array)
    local = evolve(local, options=(*local.options, *(more or ())))
    pinned = f"The script says run_on: {meta.run_on}; it would not run on {named}."
    elsewhere = (pinned,) if meta.run_on not in {"", named} else ()
    return Preview(preview(local, found.scheduler), (*meta.warnings, *elsewhere))


def _read_meta(path: Path) -> MetaScript:
    script = read_script(path)
    return MetaScript.parse(script.name, script.body)


def left_out_lines(job: Job) -> Iterator[str]:
    """What of a job's outputs could not go along, a line each; of very many a part."""
    for each in job.left_out:
        yield f"left out of the output: {each}"


def _as_text(job_ids: Sequence[str] | str) -> str:
    return job_ids if isinstance(job_ids, str) else ",".join(job_ids)


def _with_inputs(
    request: SubmitRequest, inputs: Sequence[Path], archives: Archives, scratch: Path
) -> tuple[SubmitRequest, tuple[str, ...]]:
    """The request with its inputs packed, and a warning for each that does not go along."""
    if not inputs:
        return request, ()
    archive = scratch / "input.zip"
    packed = archives.pack(inputs, archive)
    warnings = tuple(f"left out of the input: {each}" for each in packed.left_out)
    return evolve(request, input_archive=archive, input_contents=packed.contents), warnings
