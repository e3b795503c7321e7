"""Check a job's options and header lines for a kind of scheduler, before the job is submitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

from cloudq.domain.errors import SubmitRefused
from cloudq.domain.jobs.job_request import JobRequest
from cloudq.domain.names import ClaimTag
from cloudq.domain.scripts.header import Header, HeaderSyntax, foreign_lines, read_header
from cloudq.domain.scripts.submit_options import split_options
from cloudq.ports.batch_scheduler import Submission, SubmitPlan

_NO_CLAIM = ClaimTag("00000000", 1)
_NOWHERE = Path()


@frozen
class SchedulerKind:
    """What is known about one kind of scheduler without asking it."""

    plan: Callable[[Submission], SubmitPlan]
    """Returns the submit command; raises `SubmitRefused`."""
    header: HeaderSyntax


@frozen
class CheckOptions:
    """Check what a system's agent would check; kinds of schedulers that are unknown here pass."""

    kind_of: Callable[[str], SchedulerKind | None]
    """Returns the kind that a lease names; None if it is unknown here."""

    def problems(self, request: JobRequest, scheduler: str) -> Iterator[str]:
        """Yield why an agent with *scheduler* would refuse the job, such as an option that blocks.

        The options that an agent derives from a meta jobscript are not known here.
        """
        kind = self.kind_of(scheduler)
        if kind is None:
            return
        meta, options = request.meta, split_options(request.submit_opt)
        header = read_header(request.script, options, kind.header) if meta is None else Header()
        submission = Submission(
            tag=_NO_CLAIM,
            job_shell=_NOWHERE,
            work_dir=_NOWHERE,
            control_dir=_NOWHERE,
            options=options if meta is None else (*meta.other_opts, *options),
            header_lines=header.lines,
            array=request.array_tid,
        )
        try:
            kind.plan(submission)
        except SubmitRefused as refusal:
            yield str(refusal)

    def warnings(self, request: JobRequest, scheduler: str) -> Iterator[str]:
        """Yield a sentence about the header lines of a local jobscript that *scheduler* does not read."""
        kind = self.kind_of(scheduler)
        if kind is not None and request.meta is None:
            yield from foreign_lines(request.script, kind.header)
