"""Make all files of a hand-over in a separate directory, and publish them together (protocol 4.9)."""

from __future__ import annotations

from contextlib import suppress

from attrs import frozen

from cloudq.application.agent.held_job import HandOverResult, HandOverWork
from cloudq.application.agent.local_scripts import LocalScripts
from cloudq.application.agent.permit import Permit
from cloudq.domain.errors import InputIsBig, InvalidInput, SubmitRefused, WorkspaceFull, WorkspaceProblem
from cloudq.domain.jobs.job import Job
from cloudq.domain.jobs.job_shell import BLOCKED, JobShellPlan, MetaSetting
from cloudq.domain.scripts.array_range import ArrayRange
from cloudq.domain.scripts.header import Header, read_header
from cloudq.domain.scripts.jobscript import Jobscript
from cloudq.domain.scripts.submit_options import split_options
from cloudq.ports.batch_scheduler import BatchScheduler, Submission
from cloudq.ports.clock import IdSource
from cloudq.ports.job_repository import JobFiles
from cloudq.ports.workers import Lane
from cloudq.ports.workspace import ClaimSpace, Making, SpaceOwner

SMALL_INPUT_BYTES = 8 * 1024 * 1024
"""Inputs up to this size do not wait behind bigger ones."""


@frozen
class PrepareJob:
    """Prepare the files of a held job, in the background.

    Until the rename, the job has no files under its own name; a cancel that makes the control
    directory first keeps any preparation from being published.
    """

    files: JobFiles
    scheduler: BatchScheduler
    local_scripts: LocalScripts
    ids: IdSource

    def __call__(self, work: HandOverWork, lane: Lane) -> HandOverResult:
        """Prepare the job; remove its files again if they cannot be published.

        Raises `InputIsBig` for an input that is too big for *lane*, whatever its record states;
        `RecordRejected`, `ArchiveRejected`, `ObjectNotFound`, `SubmitRefused` or `InvalidInput`
        for a job that cannot run; `WorkAbandoned` or `LeaseLost` as soon as the permit ends.
        """
        work.permit.require()
        _clear_unstarted(work)
        making = work.space.making(f"{work.permit.epoch}.{self.ids.nonce()}")
        try:
            header_lines = self._make(making, work, None if lane is Lane.DOWNLOAD else SMALL_INPUT_BYTES)
            work.permit.require()
            _publish(making, work)
        except BaseException:
            with suppress(WorkspaceProblem):  # the next epoch removes it
                making.discard()
            raise
        work.space.create(work.owner)
        return HandOverResult(job=work.job, header_lines=header_lines)

    def _make(self, making: Making, work: HandOverWork, most_bytes: int | None) -> tuple[str, ...]:
        """Make all files; return the header lines of the job shell."""
        job, permit, header = work.job, work.permit, Header()
        making.create(work.owner)
        script = self.files.script(job)
        if job.has_input:
            self._fetch(making, job, permit, most_bytes)
        if job.has_task_arguments:
            making.install_task_arguments(self.files.task_arguments(job))
        # Written after the input, which may hold a file of this name: the submitted script must win.
        if job.is_meta:
            permit.require()
            self._install_converted(making, work, script)
        else:
            making.install_script(script.name, script.body)
            options = split_options(job.submit_opt)
            header = read_header(script, options, self.scheduler.dialect.header)
            array = job.array_tid
            with suppress(SubmitRefused, InvalidInput):  # submitting it is refused, too, and gives the reason
                array = self._array_of(work, options, header)
            self._install_job_shell(making, work, script, header, array)
        permit.require()
        making.note_baseline()
        return header.lines

    def _fetch(self, making: Making, job: Job, permit: Permit, most_bytes: int | None) -> None:
        def note(done_bytes: int) -> None:
            if most_bytes is not None and done_bytes > most_bytes:
                raise InputIsBig(f"the input of job ({job.uuid}) is larger than {most_bytes} bytes")
            permit.note(done_bytes)

        making.require_room((job.size_input or 0) + (job.input_bytes or 0))
        self.files.fetch_input(job.uuid, making.archive, note)
        making.extract_input(job.input_contents, permit.require)

    def _install_converted(self, making: Making, work: HandOverWork, script: Jobscript) -> None:
        """Install the converted meta jobscript; keep its options as arguments of the submit command."""
        job = work.job
        local = self.local_scripts.convert(job, script)
        local_script = Jobscript(local.name, local.body)
        self.files.put_local_script(work.tag, local_script)
        making.install_script(local.name, local.body)
        making.install_tools()
        options = (*local.options, *split_options(job.submit_opt))
        making.keep_options(options)
        array = self._array_of(work, options, Header())
        setting = self.local_scripts.setting(local, str(work.space.tools_dir))
        self._install_job_shell(making, work, local_script, Header(), array, setting)

    def _array_of(self, work: HandOverWork, options: tuple[str, ...], header: Header) -> ArrayRange | None:
        """Return the array of a job, which its options and header lines may also request."""
        submission = Submission(
            tag=work.tag,
            job_shell=work.space.job_shell,
            work_dir=work.space.work_dir,
            control_dir=work.space.control_dir,
            options=options,
            header_lines=header.lines,
            array=work.job.array_tid,
            name=work.job.name,
        )
        return self.scheduler.plan(submission).array

    def _install_job_shell(
        self,
        making: Making,
        work: HandOverWork,
        script: Jobscript,
        header: Header,
        array: ArrayRange | None,
        meta: MetaSetting | None = None,
    ) -> None:
        space = work.space
        plan = JobShellPlan(
            tag=work.tag,
            control_dir=str(space.control_dir),
            work_dir=str(space.work_dir),
            script_path=str(space.work_dir / script.name),
            has_shebang=script.has_shebang,
            header_lines=header.lines,
            interpreter=header.interpreter,
            system=work.owner.system,
            array=array,
            meta=meta,
            arguments=work.job.arguments,
            has_task_arguments=work.job.has_task_arguments,
            environment=work.job.environment,
        )
        making.install_job_shell(plan, self.scheduler.dialect)


def lane_of(job: Job, *, has_big_input: bool) -> Lane:
    """Return the lane of a job; big inputs have separate workers, so that small ones need not wait."""
    is_big = has_big_input or (job.size_input or 0) > SMALL_INPUT_BYTES
    return Lane.DOWNLOAD if job.has_input and is_big else Lane.PREPARE


def has_its_files(space: ClaimSpace, owner: SpaceOwner) -> bool:
    """Return whether all files are in place and were made for exactly the claim of *owner*."""
    return space.is_prepared() and space.owner() == owner


def _clear_unstarted(work: HandOverWork) -> None:
    """Remove files that are incomplete or of another claim, if no submission was ever begun with them.

    Agents before 0.9 made the files in place, and left them incomplete when they died. If the bucket
    went back to an older state, the files may be those of an earlier claim with the same number.
    """
    space = work.space
    if space.owner() is None or has_its_files(space, work.owner) or space.attempts():
        return
    if all(records.holder is None for records in space.records(work.job.task_ids).values()):
        space.remove()


def _publish(making: Making, work: HandOverWork) -> None:
    try:
        making.publish()
    except WorkspaceFull:
        raise
    except WorkspaceProblem as error:
        if _was_ended(work):
            raise SubmitRefused("the job was ended before its start; no reason is recorded") from error
        raise


def _was_ended(work: HandOverWork) -> bool:
    """Return whether an agent blocked the locks and died before it recorded the reason."""
    records = work.space.records(work.job.task_ids).values()
    return not work.space.attempts() and any(task_records.holder == BLOCKED for task_records in records)
