"""Every error cloudq raises on purpose has one root and carries the command's exit status.

The exit statuses are part of the interface and documented in ``docs/exit-statuses.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path


class CloudqError(Exception):
    """Something cloudq could not do, said in words a user can act on.

    ``exit_code`` is the status a command ends with; ``transient`` says that the same call may
    succeed later without anybody changing anything.
    """

    exit_code: int = 1
    transient: bool = False


class UsageProblem(CloudqError):
    """What was asked cannot be asked like this; nothing was done."""

    exit_code = 2


class InvalidInput(UsageProblem):
    """Bad input, all problems at once."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class ConfigProblem(InvalidInput):
    """The configuration cannot be used; every problem is named with its place."""

    exit_code = 3


# The store -----------------------------------------------------------------------------------


class StoreProblem(CloudqError):
    """The object store did not do what was asked.

    ``date`` is when it said so, by its own clock, if it answered and told.
    """

    exit_code = 4
    date: datetime | None = None


class StoreUnavailable(StoreProblem):
    """No usable answer came: nothing is known about what was asked."""

    transient = True


class StoreRefused(StoreProblem):
    """The store answered and said no: no such bucket, no right, a request it cannot take.

    ``refusal`` is what it said, ``advice`` what a user can do about it, if anything is known.
    """

    def __init__(self, refusal: str, advice: str = "") -> None:
        self.refusal = refusal
        self.advice = advice
        super().__init__("; ".join(filter(None, (refusal, advice))))


class StoreUnfit(StoreRefused):
    """The store does not keep conditional writes apart, so nothing would run exactly once."""


class ClaimMissing(StoreUnavailable):
    """A claim is absent although something in the bucket says that it was made: nothing is known.

    The bucket was restored from a backup, a lifecycle rule expired the claim, or somebody deleted
    it. Nobody may take this for a job that nobody holds.
    """

    def __init__(self, job_id: str, n: int) -> None:
        self.job_id = job_id
        self.n = n
        super().__init__(
            f"claim {n} of job ({job_id}) is missing from the store, although it was made: the bucket was "
            "restored from a backup, or something deletes objects below jobs/; run cloudqcli doctor"
        )


class ObjectNotFound(StoreProblem):
    """There is no object under this key."""

    def __init__(self, key: str, date: datetime | None = None) -> None:
        self.key = key
        self.date = date
        super().__init__(f"no object {key} in the store")


class PreconditionFailed(StoreProblem):
    """A conditional write lost: the key exists, or its object is not the expected one."""


class WriteConflict(StoreProblem):
    """The store saw two conditional writes at once and decided neither; ask again."""

    transient = True


class OutcomeUnknown(StoreUnavailable):
    """A write may or may not have happened: read it back before concluding anything."""


class ObjectTooLarge(StoreProblem):
    """An object is larger than anything cloudq writes there."""


# Jobs ----------------------------------------------------------------------------------------


class JobNotFound(CloudqError):
    """No job has this id."""

    exit_code = 5

    def __init__(self, job_id: str, message: str | None = None) -> None:
        self.job_id = job_id
        super().__init__(message or f"Job ({job_id}) does not exist.")


class StagedOutInPart(CloudqError):
    """A part of a job's files could not be brought; everything else was."""

    exit_code = 16

    def __init__(self, job_id: str, target: Path, problems: Sequence[str]) -> None:
        self.target = target
        self.problems = tuple(problems)
        brought = f"Job ({job_id}) was staged out into {target}, but for:"
        super().__init__("\n".join([brought, *self.problems]))


class NoAgentLog(CloudqError):
    """There is no log of this agent in the store."""

    exit_code = 5


class TargetExists(UsageProblem):
    """There is something already where files would be written; nothing was touched."""


class RecordRejected(CloudqError):
    """Something read from the bucket is not what cloudq writes there; it was not used."""

    exit_code = 6


class NewerFormat(RecordRejected):
    """A record was written by a newer cloudq whose format this one cannot read."""


class JobStateConflict(CloudqError):
    """The job is not in a state in which this can be done."""

    exit_code = 7


class IllegalTransition(JobStateConflict):
    """A change of state that no job may make."""


class JobIdTaken(CloudqError):
    """Another job has this id already."""


class RecordChanged(CloudqError):
    """Somebody else rewrote the record since it was read."""

    transient = True


class MaybeSubmitted(CloudqError):
    """The store did not confirm a submission: the job may have been submitted."""

    exit_code = 8


class WaitTimedOut(CloudqError):
    """What was waited for did not happen in time; it may still happen."""

    exit_code = 9
    transient = True


# Systems and agents --------------------------------------------------------------------------


class UnknownSystem(UsageProblem):
    """No agent ever reported under this name."""


class AgentRunsAlready(CloudqError):
    """An agent of this home and system runs on this host already."""

    exit_code = 14


class AgentEndedAtOnce(CloudqError):
    """An agent that was started in the background has ended; its own status is passed on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class LeaseLost(CloudqError):
    """This process may no longer act for its system."""

    exit_code = 10
    transient = True


class WorkAbandoned(CloudqError):
    """Background work was ended because nobody wants its result any more."""

    exit_code = 10
    transient = True


class InputIsBig(CloudqError):
    """An input is larger than what is fetched among small ones: it is fetched among the big ones."""

    exit_code = 11
    transient = True


class WorkspaceProblem(CloudqError):
    """The agent's own directory cannot be used as it must be."""

    exit_code = 11


class WorkDirOccupied(WorkspaceProblem):
    """Something is in the place of a work directory that its claim is not known to have made."""


class WorkDirGone(WorkspaceProblem):
    """The control directory of a claim is there, and the work directory that was beside it is not."""


class HomeInDoubt(WorkspaceProblem):
    """The home is a copy, or older or newer than the bucket: no job is started until a person confirms."""


class WorkspaceFull(WorkspaceProblem):
    """No space, quota or inodes are left where the job's files must go."""

    transient = True


class ArchiveRejected(WorkspaceProblem):
    """An archive would write outside its target, or unpacks to more than is allowed."""


class SchedulerProblem(CloudqError):
    """The batch scheduler did not do what was asked."""

    exit_code = 12


class SchedulerUnavailable(SchedulerProblem):
    """No usable answer came from the scheduler: nothing is known."""

    transient = True


class SchedulerUnfit(SchedulerProblem):
    """The scheduler's commands on this machine do not take what cloudq needs of them."""


class SubmitRefused(SchedulerProblem):
    """The scheduler refused the job for good; the message holds its own words."""


class SubmitDeferred(SchedulerProblem):
    """The scheduler refused the job for a limit or budget of the moment."""

    transient = True


class SubmitUncertain(SchedulerProblem):
    """The submit command gave no answer: the job may have been submitted."""

    transient = True


class NoJobId(SubmitUncertain):
    """The submit command ended well and named no job: to repeat it may never lead anywhere."""


# Clusters in a cloud -------------------------------------------------------------------------


class ToolMissing(ConfigProblem):
    """A command that the builder needs is not there, or of a version that it cannot use."""


class ConfigurationRejected(ConfigProblem):
    """The configuration of a cluster cannot be used; nothing was made of it."""


class ClusterConflict(CloudqError):
    """The cluster is not as it must be for this: somebody else works on it, or changed it by other means."""

    exit_code = 7


class NameTaken(ClusterConflict):
    """A stack has this name already, and it is not cloudq's."""


class CloudProblem(CloudqError):
    """The cloud did not do what was asked."""

    exit_code = 15


class CloudUnavailable(CloudProblem):
    """No usable answer came from the cloud: nothing is known about what was asked."""

    transient = True


class CloudRefused(CloudProblem):
    """The cloud answered and said no: no right, expired credentials, a limit of the account."""


class ClusterFailed(CloudProblem):
    """A cluster could not be made or removed; the message holds the cloud's own events."""
