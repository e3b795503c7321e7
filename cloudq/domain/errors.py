"""The errors that cloudq raises on purpose: all have one root and carry the command's exit status.

The exit statuses are part of the interface and documented in ``docs/exit-statuses.md``. The text of an error
is complete for a program that uses the library, so it contains no command and no option: the entrypoints add
those, by the class of the error and from its fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path


class CloudqError(Exception):
    """A failure of cloudq, described so that a user can act on it.

    ``exit_code`` is the exit status of the command.
    """

    exit_code: int = 1


class UsageProblem(CloudqError):
    """The request is not valid in this form; nothing was done. The error lists all problems at once."""

    exit_code = 2

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class Problem(str):
    """One of the problems of a `UsageProblem` that programs may want to recognize by its class."""

    __slots__ = ()


class NoTargetSystem(Problem):
    """No system was named for a job that needs one."""

    __slots__ = ()


class SystemNeverReported(Problem):
    """A job names a system as which no agent ever reported; *force* queues it anyway."""

    __slots__ = ()


class VariableBeforeCommand(Problem):
    """A command begins with a variable, which only a shell would set."""

    __slots__ = ()


class BucketNeedsProfile(Problem):
    """The keys of a bucket are needed, because it does not belong to the account of the cluster."""

    __slots__ = ()


class ArchiveKeptPacked(Problem):
    """An archive of a job was downloaded but not unpacked; staging out without limits may unpack it."""

    __slots__ = ()


class InvalidInput(UsageProblem):
    """The input is invalid."""


class NoTaskNamed(InvalidInput):
    """The job is an array job, and no task of it was named."""

    def __init__(self, job_id: str, tasks: str) -> None:
        self.job_id = job_id
        self.tasks = tasks
        super().__init__(f"Job ({job_id}) is an array ({tasks}): name a task.")


class ConfigProblem(InvalidInput):
    """The configuration cannot be used; the error lists every problem with its place."""

    exit_code = 3


class RootRefused(ConfigProblem):
    """The agent does not run as root unless the configuration allows it."""

    def __init__(self) -> None:
        super().__init__(
            "the agent refuses to run as root: every job would run as root, and anyone who can write to "
            "the store could do anything on this machine. Start it as an ordinary user. If you really "
            "want this (a container, a test machine), set [agent] allow_root = true."
        )


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
            "restored from a backup, or something deletes objects below jobs/"
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


class AmbiguousJobId(InvalidInput):
    """Several jobs have ids that begin like this; *job_ids* are some of them."""

    def __init__(self, text: str, job_ids: Sequence[str]) -> None:
        self.text = text
        self.job_ids = tuple(job_ids)
        super().__init__(f"{text!r} is the beginning of several job ids: {', '.join(job_ids)}")


class StagedOutInPart(CloudqError):
    """Some files of a job could not be brought; all others were."""

    exit_code = 16

    def __init__(self, job_id: str, target: Path, problems: Sequence[str]) -> None:
        self.job_id = job_id
        self.target = target
        self.problems = tuple(problems)
        self.summary = f"Job ({job_id}) was staged out into {target}, except for:"
        super().__init__("\n".join([self.summary, *self.problems]))


class NoAgentLog(CloudqError):
    """The store contains no log of the agent of *system*."""

    exit_code = 5

    def __init__(self, system: str) -> None:
        self.system = system
        super().__init__(f"There is no agent log of {system}.")


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


class JobNotFinal(JobStateConflict):
    """Only a final job may be deleted, and this one is in *state*."""

    def __init__(self, job_id: str, state: str) -> None:
        self.job_id = job_id
        self.state = state
        super().__init__(f"Job ({job_id}) is {state}: only a finished job can be deleted.")


class JobNotPutAway(JobStateConflict):
    """The agent of *system* did not clean up a final job and has been silent for long.

    *force* deletes the job anyway.
    """

    def __init__(self, job_id: str, system: str) -> None:
        self.job_id = job_id
        self.system = system
        super().__init__(
            f"The agent of {system} did not clean up job ({job_id}) and has been silent for a long time."
        )


class HolderReported(JobStateConflict):
    """The agent of the *system* that holds the job reported recently, so the job may still run there.

    The job may be taken back after *silence_s* seconds without a report. *force* does it before: then the
    job may run twice.
    """

    def __init__(self, job_id: str, system: str, silence_s: float) -> None:
        self.job_id = job_id
        self.system = system
        self.silence_s = silence_s
        super().__init__(
            f"The agent of {system} reported recently, so job ({job_id}) may still run there. "
            f"Wait until it has been silent for {silence_s / 60:.0f} min."
        )


class IllegalTransition(JobStateConflict):
    """No job may make this change of state."""


class JobIdTaken(CloudqError):
    """Another job has this id already."""


class RecordChanged(CloudqError):
    """Another process rewrote the record after it was read."""


class MaybeSubmitted(CloudqError):
    """The store did not confirm a submission: the job may have been submitted."""

    exit_code = 8

    def __init__(self, job_id: str, name: str, reason: str) -> None:
        self.job_id = job_id
        self.name = name
        super().__init__(f"Job ({job_id}) {name} may have been submitted: {reason}")


class WaitTimedOut(CloudqError):
    """The awaited event did not happen in time; it may still happen."""

    exit_code = 9


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


class WorkAbandoned(CloudqError):
    """Background work was ended because its result is no longer needed."""

    exit_code = 10


class InputIsBig(CloudqError):
    """An input is too large to be fetched with the small ones; it is fetched with the big ones."""

    exit_code = 11


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


class ArchiveRejected(WorkspaceProblem):
    """An archive would write outside its target, or unpacks to more than is allowed."""


class SchedulerProblem(CloudqError):
    """The scheduler did not do what was requested."""

    exit_code = 12


class SchedulerUnavailable(SchedulerProblem):
    """No usable answer was received from the scheduler, so nothing is known."""


class SchedulerUnfit(SchedulerProblem):
    """The scheduler's commands on this machine do not support what cloudq needs of them."""


class SubmitRefused(SchedulerProblem):
    """The scheduler rejected the job permanently; the message contains its own words."""


class SubmitDeferred(SchedulerProblem):
    """The scheduler rejected the job because of a temporary limit or budget."""


class SubmitUncertain(SchedulerProblem):
    """The submit command gave no answer: the job may have been submitted."""


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


class ClusterIncomplete(ClusterConflict):
    """A stack of the cluster *name* has failed or is missing, so the cluster cannot be completed."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"The parts of the cluster ({name}) do not fit together: one of its stacks has failed or is "
            "missing. Delete the cluster, then create it again."
        )


class NameTaken(ClusterConflict):
    """A stack that is not cloudq's has this name already."""


class CloudProblem(CloudqError):
    """The cloud did not do what was requested."""

    exit_code = 15


class CloudUnavailable(CloudProblem):
    """No usable answer was received from the cloud, so the outcome of the request is unknown."""


class CloudRefused(CloudProblem):
    """The cloud refused the request: no permission, expired credentials, or a limit of the account."""


class ClusterFailed(CloudProblem):
    """The cluster *name* could not be created or deleted; the message contains the cloud's own events."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        super().__init__(message)


class ClusterNotCreated(ClusterFailed):
    """The cluster could not be created; what was created of it may cost money."""


class ClusterNotDeleted(ClusterFailed):
    """The cluster could not be deleted; what remains of it may cost money."""
