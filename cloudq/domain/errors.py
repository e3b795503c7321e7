"""The errors that cloudq raises on purpose: all have one root and carry the command's exit status.

The exit statuses are part of the interface and documented in ``docs/exit-statuses.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path


class CloudqError(Exception):
    """A failure of cloudq, described so that a user can act on it.

    ``exit_code`` is the exit status of the command; ``transient`` is True if the same call may succeed
    later without any change by a person.
    """

    exit_code: int = 1
    transient: bool = False


class UsageProblem(CloudqError):
    """The request is not valid in this form; nothing was done."""

    exit_code = 2


class InvalidInput(UsageProblem):
    """The input is invalid; the error lists all problems at once."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class ConfigProblem(InvalidInput):
    """The configuration cannot be used; the error lists every problem with its place."""

    exit_code = 3


# The store -----------------------------------------------------------------------------------


class StoreProblem(CloudqError):
    """The object store did not do what was requested.

    ``date`` is the time of the store's answer by its own clock; None without an answer or without a time in
    it.
    """

    exit_code = 4
    date: datetime | None = None


class StoreUnavailable(StoreProblem):
    """No usable answer was received from the store, so the outcome of the request is unknown."""

    transient = True


class StoreRefused(StoreProblem):
    """The store refused the request: no such bucket, no permission, or a request that it cannot process.

    ``refusal`` is the store's reason; ``advice`` is what a user can do about it, if that is known.
    """

    def __init__(self, refusal: str, advice: str = "") -> None:
        self.refusal = refusal
        self.advice = advice
        super().__init__("; ".join(filter(None, (refusal, advice))))


class StoreUnfit(StoreRefused):
    """The store does not enforce conditional writes, so nothing would run exactly once."""


class ClaimMissing(StoreUnavailable):
    """A claim is absent although something in the bucket shows that it was made: nothing is known.

    The bucket was restored from a backup, a lifecycle rule expired the claim, or someone deleted it. This
    never means that no system holds the job.
    """

    def __init__(self, job_id: str, n: int) -> None:
        self.job_id = job_id
        self.n = n
        super().__init__(
            f"claim {n} of job ({job_id}) is missing from the store, although it was made: the bucket was "
            "restored from a backup, or something deletes objects below jobs/; run cloudqcli doctor"
        )


class ObjectNotFound(StoreProblem):
    """The store has no object under this key."""

    def __init__(self, key: str, date: datetime | None = None) -> None:
        self.key = key
        self.date = date
        super().__init__(f"no object {key} in the store")


class PreconditionFailed(StoreProblem):
    """A conditional write failed: the key exists, or its object is not the expected one."""


class WriteConflict(StoreProblem):
    """The store received two conditional writes at once and decided neither; try again."""

    transient = True


class OutcomeUnknown(StoreUnavailable):
    """A write may or may not have happened; read the object back before concluding anything."""


class ObjectTooLarge(StoreProblem):
    """An object is larger than anything that cloudq writes there."""


# Jobs ----------------------------------------------------------------------------------------


class JobNotFound(CloudqError):
    """No job has this id."""

    exit_code = 5

    def __init__(self, job_id: str, message: str | None = None) -> None:
        self.job_id = job_id
        super().__init__(message or f"Job ({job_id}) does not exist.")


class StagedOutInPart(CloudqError):
    """Some files of a job could not be brought; all others were."""

    exit_code = 16

    def __init__(self, job_id: str, target: Path, problems: Sequence[str]) -> None:
        self.target = target
        self.problems = tuple(problems)
        brought = f"Job ({job_id}) was staged out into {target}, except for:"
        super().__init__("\n".join([brought, *self.problems]))


class NoAgentLog(CloudqError):
    """The store contains no log of this agent."""

    exit_code = 5


class TargetExists(UsageProblem):
    """Something exists already where files would be written; nothing was changed."""


class RecordRejected(CloudqError):
    """Data read from the bucket is not what cloudq writes there; it was not used."""

    exit_code = 6


class NewerFormat(RecordRejected):
    """A record was written by a newer cloudq, in a format that this one cannot read."""


class JobStateConflict(CloudqError):
    """The state of the job does not allow this operation."""

    exit_code = 7


class IllegalTransition(JobStateConflict):
    """No job may make this change of state."""


class JobIdTaken(CloudqError):
    """Another job has this id already."""


class RecordChanged(CloudqError):
    """Another process rewrote the record after it was read."""

    transient = True


class MaybeSubmitted(CloudqError):
    """The store did not confirm a submission: the job may have been submitted."""

    exit_code = 8


class WaitTimedOut(CloudqError):
    """The awaited event did not happen in time; it may still happen."""

    exit_code = 9
    transient = True


# Systems and agents --------------------------------------------------------------------------


class UnknownSystem(UsageProblem):
    """No agent has ever reported under this name."""


class AgentRunsAlready(CloudqError):
    """An agent of this home and system runs on this host already."""

    exit_code = 14


class AgentEndedAtOnce(CloudqError):
    """An agent that was started in the background has ended; its own exit status is passed on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class LeaseLost(CloudqError):
    """This process may no longer act for its system."""

    exit_code = 10
    transient = True


class WorkAbandoned(CloudqError):
    """Background work was ended because its result is no longer needed."""

    exit_code = 10
    transient = True


class InputIsBig(CloudqError):
    """An input is too large to be fetched with the small ones; it is fetched with the big ones."""

    exit_code = 11
    transient = True


class WorkspaceProblem(CloudqError):
    """The agent's own directory cannot be used as required."""

    exit_code = 11


class WorkDirOccupied(WorkspaceProblem):
    """The place of a work directory contains something that its claim is not known to have made."""


class WorkDirGone(WorkspaceProblem):
    """The work directory of a claim is gone, although its control directory exists."""


class HomeInDoubt(WorkspaceProblem):
    """The home is a copy, or older or newer than the bucket; no job starts until a person confirms it."""


class WorkspaceFull(WorkspaceProblem):
    """No space, quota or inodes are left for the job's files."""

    transient = True


class ArchiveRejected(WorkspaceProblem):
    """An archive would write outside its target, or unpacks to more than is allowed."""


class SchedulerProblem(CloudqError):
    """The scheduler did not do what was requested."""

    exit_code = 12


class SchedulerUnavailable(SchedulerProblem):
    """No usable answer was received from the scheduler, so nothing is known."""

    transient = True


class SchedulerUnfit(SchedulerProblem):
    """The scheduler's commands on this machine do not support what cloudq needs of them."""


class SubmitRefused(SchedulerProblem):
    """The scheduler rejected the job permanently; the message contains its own words."""


class SubmitDeferred(SchedulerProblem):
    """The scheduler rejected the job because of a temporary limit or budget."""

    transient = True


class SubmitUncertain(SchedulerProblem):
    """The submit command gave no answer: the job may have been submitted."""

    transient = True


class NoJobId(SubmitUncertain):
    """The submit command succeeded but named no job; repeating it may never help."""


# Clusters in a cloud -------------------------------------------------------------------------


class ToolMissing(ConfigProblem):
    """A command that the builder needs is missing, or its version cannot be used."""


class ConfigurationRejected(ConfigProblem):
    """The configuration of a cluster cannot be used; nothing was created from it."""


class ClusterConflict(CloudqError):
    """The cluster is not in the required state: someone else works on it, or changed it by other means."""

    exit_code = 7


class NameTaken(ClusterConflict):
    """A stack that is not cloudq's has this name already."""


class CloudProblem(CloudqError):
    """The cloud did not do what was requested."""

    exit_code = 15


class CloudUnavailable(CloudProblem):
    """No usable answer was received from the cloud, so the outcome of the request is unknown."""

    transient = True


class CloudRefused(CloudProblem):
    """The cloud refused the request: no permission, expired credentials, or a limit of the account."""


class ClusterFailed(CloudProblem):
    """A cluster could not be created or deleted; the message contains the cloud's own events."""
